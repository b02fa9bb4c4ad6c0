"""Fixtures of the API over fakes, called over HTTP in process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from pydantic import SecretStr

from devstack.issuer import ALL_SCOPES, AUDIENCE, ISSUER, KEY_ID, Issuer
from order_api.auth import KeySource, SigningKey
from order_api.config import ApiSettings
from order_api.main import create_app
from order_shared.domain.clock import UniqueClock
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from tests.fakes import (
    MemoryInventoryRepository,
    MemoryOrderRepository,
    MemoryQueue,
    MemoryStore,
    memory_adapters,
)
from tests.fakes_webhooks import FakeReceivers

SETTINGS = ApiSettings(
    aws_region="eu-central-1",
    jwt_issuer=ISSUER,
    jwt_audience=(AUDIENCE,),
    jwks_url="http://127.0.0.1:9/never-asked",
    cursor_secrets=(SecretStr("a-secret-for-tests"),),
    webhook_keys=(SecretStr("YS1rZXktZm9yLXRlc3RzLW9mLTMyLWJ5dGVzLWxvbmc="),),
)


@cache
def issuer() -> Issuer:
    return Issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048))


class KnownKeys:
    """Key source that returns the issuer's key without a request."""

    async def get(self, key_id: str) -> SigningKey | None:
        return SigningKey.of(issuer().key_set["keys"][0]) if key_id == KEY_ID else None


@dataclass(frozen=True)
class Api:
    http: httpx2.AsyncClient
    store: MemoryStore
    queue: MemoryQueue
    orders: MemoryOrderRepository
    inventory: MemoryInventoryRepository
    receivers: FakeReceivers = field(default_factory=FakeReceivers)

    def headers(self, tenant: str = "acme", customer: str = "ada", scope: str = ALL_SCOPES) -> dict[str, str]:
        return {"Authorization": f"Bearer {issuer().token(tenant, customer, scope)}"}

    async def post_order(
        self, body: Any, key: str | None = "key-1", headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        sent = headers or self.headers()
        if key is not None:
            sent = {**sent, "Idempotency-Key": key}
        return await self.http.post("/v1/orders", json=body, headers=sent)

    async def put_product(self, sku: str, *, tenant: str = "acme", units: int = 0, **fields: Any) -> None:
        product = {"name": f"{sku} by name", "unit_price": 590, "currency": "EUR", **fields}
        headers = self.headers(tenant, "keeper")
        response = await self.http.put(f"/v1/products/{sku}", json=product, headers=headers)
        assert response.status_code == 200, response.text
        if units:
            response = await self.http.post(
                f"/v1/products/{sku}/stock",
                json={"delta": units},
                headers={**headers, "Idempotency-Key": f"stock-{sku}-{units}"},
            )
            assert response.status_code == 200, response.text


def make_app(settings: ApiSettings = SETTINGS, keys: KeySource | None = None) -> FastAPI:
    """The application over its own fakes."""
    store = MemoryStore(UniqueClock())
    adapters = memory_adapters(store)
    return create_app(
        settings, adapters=adapters, keys=keys or KnownKeys(), clock=store.clock, sender=FakeReceivers(store.clock)
    )


@asynccontextmanager
async def open_api(
    make_orders: Callable[[MemoryStore], MemoryOrderRepository] = MemoryOrderRepository,
    settings: ApiSettings = SETTINGS,
    tracing: Tracing = NO_TRACING,
    make_inventory: Callable[[MemoryStore], MemoryInventoryRepository] = MemoryInventoryRepository,
) -> AsyncIterator[Api]:
    store = MemoryStore(UniqueClock())
    orders, inventory, queue = make_orders(store), make_inventory(store), MemoryQueue()
    receivers = FakeReceivers(store.clock)
    app = create_app(
        settings,
        adapters=memory_adapters(store, queue=queue, orders=orders, inventory=inventory),
        keys=KnownKeys(),
        clock=store.clock,
        tracing=tracing,
        sender=receivers,
    )
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http,
    ):
        yield Api(http, store, queue, orders, inventory, receivers)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as opened:
        yield opened


def problem_of(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of a response after checking the members of every problem."""
    assert response.headers["Content-Type"] == "application/problem+json", response.text
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"].endswith(code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == response.request.url.path
    assert problem["request_id"] == response.headers["X-Request-Id"]
    return problem
