"""The running stack, as `make up` has it: real processes, spoken to over HTTP."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from devstack.issuer import ALL_SCOPES, Issuer
from devstack.stack import Stack, running_stack
from tests.factories import make_tenant
from tests.waiting import eventually

END_STATES = {"confirmed", "rejected"}
QUICK = {"ORDER_SWEEP_BASE_SECONDS": "1", "ORDER_SWEEP_INTERVAL_SECONDS": "0.5"}
"""Settings under which a lost message is found soon."""


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that disturb nothing; each takes a tenant of its own."""
    with running_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started


@dataclass(frozen=True)
class Shop:
    """One tenant's shop, and any customer of it."""

    http: httpx2.AsyncClient
    issuer: Issuer
    tenant: str

    def headers(self, customer: str = "ada", *, tenant: str | None = None, scope: str = ALL_SCOPES) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(tenant or self.tenant, customer, scope)}"}

    async def stock(self, sku: str, units: int, *, shards: int = 1) -> None:
        product = {"name": sku, "unit_price": 590, "currency": "EUR", "stock_shards": shards}
        headers = {**self.headers("keeper"), "Idempotency-Key": uuid.uuid4().hex}
        (await self.http.put(f"/v1/products/{sku}", json=product, headers=headers)).raise_for_status()
        change = await self.http.post(f"/v1/products/{sku}/stock", json={"delta": units}, headers=headers)
        change.raise_for_status()

    async def available(self, sku: str) -> int:
        response = await self.http.get(f"/v1/products/{sku}", headers=self.headers())
        return int(response.raise_for_status().json()["available"])

    async def post(
        self,
        sku: str = "TEA",
        quantity: int = 1,
        *,
        key: str | None = None,
        customer: str = "ada",
        payment_token: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> httpx2.Response:
        body: dict[str, Any] = {"lines": [{"sku": sku, "quantity": quantity}]}
        if payment_token is not None:
            body["payment_token"] = payment_token
        if metadata is not None:
            body["metadata"] = metadata
        headers = {**self.headers(customer), "Idempotency-Key": key or uuid.uuid4().hex}
        return await self.http.post("/v1/orders", json=body, headers=headers)

    async def get(self, order_id: str, **who: str) -> httpx2.Response:
        return await self.http.get(f"/v1/orders/{order_id}", headers=self.headers(**who))

    async def accepted(self, count: int, **order: Any) -> list[str]:
        """Ids of that many orders, posted at once; every one of them was accepted."""
        responses = await asyncio.gather(*(self.post(**order) for _ in range(count)))
        assert {response.status_code for response in responses} == {202}
        return [response.json()["id"] for response in responses]

    async def ended(self, order_id: str, **who: str) -> dict[str, Any]:
        """The order once it has reached an end state."""
        order: dict[str, Any] = {}

        async def has_ended() -> bool:
            order.update((await self.get(order_id, **who)).raise_for_status().json())
            return order["status"] in END_STATES

        await eventually(has_ended, f"the end of {order_id}")
        return order

    async def all_ended(self, order_ids: list[str]) -> list[dict[str, Any]]:
        """Return the orders once they have ended. Asking for all of them at once would keep the services busy."""
        return [await self.ended(order_id) for order_id in order_ids]


@asynccontextmanager
async def open_shop(stack: Stack) -> AsyncIterator[Shop]:
    limits = httpx2.Limits(max_connections=50)
    async with httpx2.AsyncClient(base_url=stack.api, timeout=60.0, limits=limits) as http:
        yield Shop(http, stack.issuer, make_tenant())


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    async with open_shop(stack) as opened:
        yield opened
