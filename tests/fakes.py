"""In-memory stand-ins for the real adapters; one contract suite runs over both.

The repositories are the real ones over `tests.memory_dynamo`. The queue is written by hand.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiodynamo.utils import dy2py

from order_shared.aws.dynamodb import Dynamo
from order_shared.aws.encoding import attributes
from order_shared.domain.clock import Clock, to_text, utc_now
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.models import Order
from order_shared.messaging.queue import (
    Depth,
    EntryFailure,
    OutgoingMessage,
    Queue,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from order_shared.runtime.adapters import Adapters
from order_shared.storage.audit_trail import Operation
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader
from order_shared.storage.inventory import (
    PRODUCT_RECORD,
    DynamoInventoryRepository,
    InventoryRepository,
    product_key,
    stock_record,
)
from order_shared.storage.order_items import to_item, to_order
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository
from order_shared.storage.tenant_orders import DynamoTenantOrders
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases
from order_shared.tables import IDEMPOTENCY, INVENTORY, ORDERS, TableNames
from tests.memory_dynamo import ItemKey, Json, MemoryDynamo

TABLES = TableNames.with_prefix("memory-")


class HandClock:
    """A clock that the test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class StoredOrders(MutableMapping[tuple[str, datetime], Order]):
    """Orders by customer key and instant. An item is decoded once, however often it is looked at."""

    def __init__(self, tables: MemoryDynamo) -> None:
        self._tables = tables
        self._decoded: dict[ItemKey, tuple[Json, Order]] = {}

    def __getitem__(self, key: tuple[str, datetime]) -> Order:
        return self._order(_order_key(key))

    def __setitem__(self, key: tuple[str, datetime], order: Order) -> None:
        self._tables.store(_order_key(key), attributes(to_item(order)))

    def __delitem__(self, key: tuple[str, datetime]) -> None:
        self._tables.store(_order_key(key), None)

    def __iter__(self) -> Iterator[tuple[str, datetime]]:
        orders = [self._order(key) for key, _ in self._tables.of_table(ORDERS.name)]
        return iter([(order.customer.key, order.created_at) for order in orders])

    def __len__(self) -> int:
        return sum(1 for _ in self._tables.of_table(ORDERS.name))

    def _order(self, key: ItemKey) -> Order:
        item = self._tables.items[key]
        known = self._decoded.get(key)
        if known is None or known[0] is not item:
            known = self._decoded[key] = item, to_order(dy2py(item, int))
        return known[1]


def _order_key(key: tuple[str, datetime]) -> ItemKey:
    return ItemKey(ORDERS.name, key[0], to_text(key[1]))


class MemoryStore:
    """Tables in memory that both repositories share, and ways to look into them and to change them by hand."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.tables = MemoryDynamo()
        self.orders = StoredOrders(self.tables)

    def stock(self, tenant: str, sku: str) -> list[int]:
        """Return the units of each shard."""
        shards = sorted(
            (key.range, int(item["available"]["N"]))
            for key, item in self.tables.of_table(INVENTORY.name)
            if key.hash == product_key(tenant, sku) and key.range != PRODUCT_RECORD
        )
        return [units for _, units in shards]

    def set_stock(self, tenant: str, sku: str, units: Sequence[int]) -> None:
        """Set the units of each shard. The product need not exist."""
        for shard, available in enumerate(units):
            item = {"product_key": product_key(tenant, sku), "record": stock_record(shard), "available": available}
            self.tables.put(TABLES.inventory, attributes(item))

    def delete_products(self) -> None:
        for key, _ in self.tables.of_table(INVENTORY.name):
            if key.range == PRODUCT_RECORD:
                self.tables.store(key, None)

    def expire_records(self) -> None:
        """Let every idempotency record that expires have expired a second ago, by the store's clock."""
        expired = {"N": str(to_seconds(self.clock()) - 1)}
        for key, item in self.tables.of_table(IDEMPOTENCY.name):
            if "expires_at" in item:
                self.tables.store(key, {**item, "expires_at": expired})


class MemoryOrderRepository(DynamoOrderRepository):
    """The real repository over tables in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.tables.client(), TABLES, store.clock)
        self.store = store


class MemoryInventoryRepository(DynamoInventoryRepository):
    """The real repository over tables in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.tables.client(), TABLES, store.clock)


class MemoryTenantOrders(DynamoTenantOrders):
    """The real search over tables in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.tables.client(), TABLES)


def make_adapters(
    dynamo: Dynamo,
    tables: TableNames,
    *,
    queue: Queue | None = None,
    clock: Clock = utc_now,
    orders: OrderRepository | None = None,
    inventory: InventoryRepository | None = None,
) -> Adapters:
    """Return the real adapters over a client of DynamoDB, with a queue in memory unless one is given."""
    return Adapters(
        orders=orders or DynamoOrderRepository(dynamo, tables, clock),
        inventory=inventory or DynamoInventoryRepository(dynamo, tables, clock),
        queue=queue or MemoryQueue(),
        tenant_orders=DynamoTenantOrders(dynamo, tables),
        event_reader=DynamoEventLogReader(dynamo, tables, clock),
        event_writer=DynamoEventLogWriter(dynamo, tables, clock),
        endpoints=DynamoEndpointRepository(dynamo, tables, clock),
        endpoint_leases=DynamoEndpointLeases(dynamo, tables, duration=LEASE, clock=clock),
    )


def memory_adapters(
    store: MemoryStore,
    *,
    queue: Queue | None = None,
    orders: OrderRepository | None = None,
    inventory: InventoryRepository | None = None,
) -> Adapters:
    """Return the adapters over tables in memory, with a queue in memory unless one is given."""
    return make_adapters(
        store.tables.client(),
        TABLES,
        queue=queue,
        clock=store.clock,
        orders=orders or MemoryOrderRepository(store),
        inventory=inventory or MemoryInventoryRepository(store),
    )


@dataclass(eq=False)
class _Stored:
    message_id: str
    message: OutgoingMessage
    sent_at: int
    visible_at: float = 0.0
    receipt: str = ""
    receive_count: int = 0


@dataclass
class MemoryQueue:
    """A standard queue. `down` makes every call fail; `refuse_next` fails that many entries, one by one.

    A second of a long poll lasts `poll_second` seconds.
    """

    messages: list[_Stored] = field(default_factory=list)
    dead_letters: list[OutgoingMessage] = field(default_factory=list)
    poll_second: float = 0.05
    down: bool = False
    dead_letters_down: bool = False
    refuse_next: int = 0
    asked_for: list[int] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set when a message may have become visible; every poll that waits holds the one of its time."""

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        await self._request()
        self.batches.append(len(messages))
        failures = self._refusals(len(messages))
        refused = {failure.index for failure in failures}
        self.messages += [
            _Stored(uuid.uuid4().hex, message, time.time_ns() // 1_000_000)
            for index, message in enumerate(messages)
            if index not in refused
        ]
        self._notify()
        return failures

    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        await self._request()
        if self.dead_letters_down:
            raise QueueUnavailable("down")
        self.dead_letters += messages
        return []

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        self.asked_for.append(limit)
        deadline = time.monotonic() + wait_seconds * self.poll_second
        while True:
            await self._request()
            now = time.monotonic()
            visible = [stored for stored in self.messages if stored.visible_at <= now][:limit]
            if visible or now >= deadline:
                return [self._deliver(stored, now + visibility_seconds) for stored in visible]
            due = min([deadline, *(stored.visible_at for stored in self.messages)])
            with suppress(TimeoutError):
                async with asyncio.timeout(due - now):
                    await self._changed.wait()

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:
        await self._request()
        failures = self._refusals(len(receipts))
        refused = {failure.index for failure in failures}
        for index, receipt in enumerate(receipts):
            if index not in refused:
                self.messages = [stored for stored in self.messages if stored.receipt != receipt]
        return failures

    async def depth(self) -> Depth:
        await self._request()
        now = time.monotonic()
        visible = sum(stored.visible_at <= now for stored in self.messages)
        return Depth(work=visible, in_flight=len(self.messages) - visible, dead=len(self.dead_letters))

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        await self._request()
        failures = self._refusals(len(changes))
        refused = {failure.index for failure in failures}
        for index, change in enumerate(changes):
            held = next((stored for stored in self.messages if stored.receipt == change.receipt), None)
            if index in refused:
                continue
            if held is None or held.visible_at <= time.monotonic():
                failures.append(EntryFailure(index, "ReceiptHandleIsInvalid", gone=True))
            else:
                held.visible_at = time.monotonic() + change.seconds
        self._notify()
        return failures

    async def ping(self) -> None:
        await self._request()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _deliver(self, stored: _Stored, visible_at: float) -> ReceivedMessage:
        stored.receive_count += 1
        stored.receipt = uuid.uuid4().hex
        stored.visible_at = visible_at
        return ReceivedMessage(
            message_id=stored.message_id,
            receipt=stored.receipt,
            body=stored.message.body,
            receive_count=stored.receive_count,
            sent_at=stored.sent_at,
        )

    def _refusals(self, entries: int) -> list[EntryFailure]:
        refused = min(self.refuse_next, entries)
        self.refuse_next -= refused
        return [EntryFailure(index, "InternalError") for index in range(refused)]

    async def _request(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise QueueUnavailable("down")


@dataclass
class MemoryAuditTrail:
    operations: list[Operation] = field(default_factory=list)

    def record(self, operation: Operation) -> None:
        self.operations.append(operation)

    def of(self, subject: str, limit: int = 100, *, newest_first: bool = False) -> list[Operation]:
        found = [operation for operation in self.operations if operation.subject == subject]
        return (found[::-1] if newest_first else found)[:limit]
