"""How things stand: the tables, the queues and the provider's books, read past the proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from devstack.lab.books import Books as LabBooks
from devstack.payments.options import API_KEY
from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.read import DynamoEventLogReader
from order_shared.storage.order_items import item_key, to_order
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases
from tests.tables import delete, scan
from tests.waiting import eventually

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SAMPLE_SECONDS = 0.5
AT_ONCE = 50


@dataclass
class Watch:
    """What was seen of each order while it was under way; none of it may go back."""

    seen: dict[str, Order] = field(default_factory=dict)
    regressions: list[str] = field(default_factory=list)

    def look(self, orders: list[Order]) -> None:
        for order in orders:
            before = self.seen.get(order.order_id, order)
            if order.version < before.version or order.fence < before.fence:
                self.regressions.append(f"{order.order_id} went back from {before.version}/{before.fence}")
            if order.history[: len(before.history)] != before.history:
                self.regressions.append(f"{order.order_id} has another past than before")
            self.seen[order.order_id] = order


class Books(LabBooks):
    """Books of one world, and what the tests do beside its services."""

    def __init__(self, dynamo: Dynamo, sqs: "SQSClient", prefix: str, bank: str, http: aiohttp.ClientSession) -> None:
        super().__init__(dynamo, sqs, prefix, bank, http)
        self._done_with = "-"
        self.repository = DynamoOrderRepository(dynamo, self._tables)
        self.event_reader = DynamoEventLogReader(dynamo, self._tables)
        self.endpoints = DynamoEndpointRepository(dynamo, self._tables)
        self.endpoint_leases = DynamoEndpointLeases(dynamo, self._tables, duration=LEASE)

    async def find(self, order_id: str) -> Order:
        (order,) = [order for order in map(to_order, await self.items()) if order.order_id == order_id]
        return order

    async def ask_provider(self, path: str, form: dict[str, str], key: str) -> dict[str, Any]:
        """What a worker would ask the provider, past the proxy."""
        headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": key}
        async with self._http.post(f"{self._bank}{path}", data=form, headers=headers) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer

    async def publish(self, order: Order) -> None:
        """Send the message of an order once more."""
        await self.send(message_of(order).to_json())

    async def forget(self, tenant: str) -> None:
        """Deletes the orders and products of a tenant that is done with, so that looking stays cheap.

        Only when the next one is done with: a late duplicate may still be at work on the last one.
        """
        tenant, self._done_with = self._done_with, tenant
        orders = [item_key(order.customer.key, order.created_at) for order in await self.orders(tenant)]
        records = [
            {"product_key": item["product_key"], "record": item["record"]}
            for item in await scan(self._dynamo, self._tables.inventory)
            if item["product_key"].startswith(f"{tenant}#")
        ]
        for table, keys in ((self._tables.orders, orders), (self._tables.inventory, records)):
            for start in range(0, len(keys), AT_ONCE):
                deletes = [delete(self._dynamo, table, key) for key in keys[start : start + AT_ONCE]]
                await asyncio.gather(*deletes)

    async def become_quiet(self, tenant: str, patience: float) -> None:
        """Returns once no order of the tenant is open and no message is left, or at the end of patience."""

        async def is_quiet() -> bool:
            return not any(order.is_open for order in await self.orders(tenant)) and await self.messages() == 0

        try:
            await eventually(is_quiet, "quiet", patience=patience, pause=0.2)
        except AssertionError:
            return  # who judges will see what is left

    @asynccontextmanager
    async def watched(self, tenant: str) -> AsyncIterator[Watch]:
        """Looks at the tenant's orders again and again while the block runs, and once more at its end."""
        watch = Watch()

        async def keep_looking() -> None:
            while True:
                watch.look(await self.orders(tenant))
                await asyncio.sleep(SAMPLE_SECONDS)

        looking = asyncio.create_task(keep_looking())
        try:
            yield watch
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
        watch.look(await self.orders(tenant))
