"""In-memory stand-ins with the real adapters' meaning; one contract suite runs over both."""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.idempotency import IdempotencyRecord, RecordTaken
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.domain.inventory.models import Product, StockedProduct, consolidation
from order_shared.domain.order.exceptions import (
    InvalidOrderId,
    OrderInstantTaken,
    OrderNotFound,
    OutOfStock,
    ReferenceTaken,
    StaleOrder,
)
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import FREES_REFERENCE, NOT_DUE, Customer, Order, OrderLine, Parking, Schedule
from order_shared.domain.order.payments import PaymentState
from order_shared.messaging.queue import (
    Depth,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from order_shared.storage.audit_trail import Operation
from order_shared.storage.inventory import Moves, shard_for_adjustment
from order_shared.storage.orders import NO_MOVES, OpenOrder, OrderSlice, Window, reference_record
from order_shared.storage.outbox import open_shard_of

STORED_BY_FIELD = (Schedule, Parking, PaymentState)
"""The value objects of an order whose fields are attributes of their own, written one by one."""


class HandClock:
    """A clock that the test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class OrderTable(dict[tuple[str, datetime], Order]):
    """The orders by customer key and instant, with the index `open_orders` beside them."""

    def __init__(self) -> None:
        super().__init__()
        self._open: defaultdict[str, dict[tuple[str, datetime], Order]] = defaultdict(dict)

    def __setitem__(self, key: tuple[str, datetime], order: Order) -> None:
        before = self.get(key)
        if before is not None:
            self._open[open_shard_of(before)].pop(key, None)
        if order.schedule.due_at is not None:
            self._open[open_shard_of(order)][key] = order
        super().__setitem__(key, order)

    def in_shard(self, open_shard: str) -> Iterable[Order]:
        """Return the open orders of a partition of the index."""
        return self._open[open_shard].values()


@dataclass
class MemoryStore:
    """What both repositories share, as the real ones share their tables."""

    clock: Clock = utc_now
    orders: OrderTable = field(default_factory=OrderTable)
    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    stock: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    key_records: dict[str, IdempotencyRecord] = field(default_factory=dict)

    def move_units(self, tenant: str, sku: str, moves: Moves, into: int) -> None:
        stock = self.stock[tenant, sku]
        for source, units in moves.items():
            stock[source] -= units
            stock[into] += units

    def is_free(self, key_record: IdempotencyRecord) -> bool:
        held = self.key_records.get(key_record.key)
        return held is None or (key_record.expires_at is not None and not held.is_live(self.clock()))


class MemoryOrderRepository:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, order: Order, key_record: IdempotencyRecord) -> None:
        key = (order.customer.key, order.created_at)
        if not self._store.is_free(key_record):
            raise RecordTaken(key_record.key)
        if key in self._store.orders:
            raise OrderInstantTaken(order.order_id)
        if order.reference is not None:
            reference = reference_record(order)
            if not self._store.is_free(reference):
                raise ReferenceTaken(order.reference)
            self._store.key_records[reference.key] = reference
        self._store.key_records[key_record.key] = key_record
        self._store.orders[key] = order

    async def get(self, customer: Customer, order_id: str) -> Order:
        try:
            order = self._store.orders.get((customer.key, created_at_of(order_id)))
        except InvalidOrderId:
            order = None
        if order is None or order.order_id != order_id:
            raise OrderNotFound(order_id)
        return order

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        for order in self._store.orders.values():
            if order.customer.tenant == tenant and order.order_id == order_id:
                return order
        raise OrderNotFound(order_id)

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        inside = [
            order
            for (customer_key, created_at), order in self._store.orders.items()
            if customer_key == customer.key and window.start <= created_at < window.end
        ]
        ordered = sorted(inside, key=lambda order: order.created_at, reverse=descending)
        # Like DynamoDB, it has not looked beyond the last one that was wanted.
        return OrderSlice(ordered[:limit], more=len(ordered) >= limit)

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        key = (before.customer.key, before.created_at)
        stored = self._store.orders.get(key)
        if stored is None or _identity(stored) != _identity(before):
            raise StaleOrder(before.order_id)
        tenant = before.customer.tenant
        if after.holds_stock and not before.holds_stock:
            if short := [line.sku for line in before.lines if not self._can_take(tenant, line, moves)]:
                raise OutOfStock(short)
            for line in before.lines:
                self._store.move_units(tenant, line.sku, moves.get(line.sku, {}), line.shard)
                self._store.stock[tenant, line.sku][line.shard] -= line.quantity
        elif before.holds_stock and not after.holds_stock:
            for line in before.lines:
                self._store.stock[tenant, line.sku][line.shard] += line.quantity
        if before.reference is not None and after.status in FREES_REFERENCE:
            self._store.key_records.pop(reference_record(before).key, None)
        version = stored.version + after.version - before.version
        moved = replace(_merged(stored, before, after), version=version)
        if not after.is_open:  # who ends an order need not know that it was due: an event does not say so
            moved = replace(moved, schedule=NOT_DUE, lease=None, parking=after.parking, payment=moved.payment.ended())
        self._store.orders[key] = moved
        return self._store.orders[key]

    async def request_cancel(self, requested: Order, *, version: int | None) -> Order:
        key = (requested.customer.key, requested.created_at)
        stored = self._store.orders.get(key)
        if stored is None or stored.order_id != requested.order_id or not stored.holds_stock:
            raise StaleOrder(requested.order_id)
        if stored.cancel_requested_at is not None or version not in {None, stored.version}:
            raise StaleOrder(requested.order_id)
        self._store.orders[key] = replace(
            stored,
            cancel_requested_at=requested.cancel_requested_at,
            updated_at=requested.updated_at,
            version=stored.version + 1,
            schedule=requested.schedule,
            parking=replace(stored.parking, parked=None),
        )
        return self._store.orders[key]

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return self._store.key_records.get(key)

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        due = [
            OpenOrder(
                customer_key=order.customer.key,
                created_at=order.created_at,
                open_shard=open_shard,
                due_at=order.schedule.due_at,
                sweeps=order.schedule.sweeps,
            )
            for order in self._store.orders.in_shard(open_shard)
            if order.schedule.due_at is not None and order.schedule.due_at < before
        ]
        return sorted(due, key=lambda entry: entry.due_at)[:limit]

    async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
        key = (entry.customer_key, entry.created_at)
        stored = self._store.orders[key]
        if (stored.schedule.due_at, open_shard_of(stored)) != (entry.due_at, entry.open_shard):
            return None
        self._store.orders[key] = replace(stored, schedule=Schedule(due_at=due_at, sweeps=sweeps))
        return self._store.orders[key]

    async def get_entry(self, entry: OpenOrder) -> Order | None:
        return self._store.orders.get((entry.customer_key, entry.created_at))

    async def ping(self) -> None:
        pass

    def _can_take(self, tenant: str, line: OrderLine, moves: Mapping[str, Moves]) -> bool:
        stock = dict(enumerate(self._store.stock.get((tenant, line.sku), [])))
        into = moves.get(line.sku, {})
        return all(stock.get(source, 0) >= units for source, units in into.items()) and (
            stock.get(line.shard, 0) + sum(into.values()) >= line.quantity
        )


def _identity(order: Order) -> tuple[object, ...]:
    """What a write's condition names."""
    owner = order.lease and order.lease.owner
    return order.order_id, order.status, order.fence, owner, order.cancel_requested_at is None


def _merged(stored: Any, before: Any, after: Any) -> Any:
    """Return `stored` with every field that differs between `before` and `after`, also of its value objects.

    The other fields stay as they are stored: another owner may have written them meanwhile.
    """
    changed: dict[str, Any] = {}
    for name in (each.name for each in fields(after)):
        old, new = getattr(before, name), getattr(after, name)
        if new != old:
            changed[name] = _merged(getattr(stored, name), old, new) if isinstance(new, STORED_BY_FIELD) else new
    return replace(stored, **changed)


class MemoryInventoryRepository:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        product = self._store.products.get((tenant, sku))
        if product is None:
            raise ProductNotFound(sku)
        return StockedProduct(product, tuple(self._store.stock[tenant, sku]))

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        return {sku: self._store.products[tenant, sku] for sku in skus if (tenant, sku) in self._store.products}

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Product]:
        own = [product for (owner, sku), product in self._store.products.items() if owner == tenant]
        return sorted((each for each in own if after is None or each.sku > after), key=lambda each: each.sku)[:limit]

    async def put(self, product: Product) -> None:
        stock = self._store.stock.get((product.tenant, product.sku), [])
        if len(stock) > product.stock_shards:
            raise StockShardsShrunk(product.sku, product.stock_shards)
        self._store.products[product.tenant, product.sku] = product
        self._store.stock[product.tenant, product.sku] = stock + [0] * (product.stock_shards - len(stock))

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        stock = list((await self.get(tenant, sku)).stock)
        if sum(stock) + delta < 0:
            raise InsufficientStock(sku, sum(stock))
        if not self._store.is_free(key_record):
            raise RecordTaken(key_record.key)
        self._store.key_records[key_record.key] = key_record
        shard = shard_for_adjustment(key_record.key, len(stock))
        if delta < 0 and stock[shard] < -delta:
            shard = stock.index(max(stock))
            self._store.move_units(tenant, sku, consolidation(-delta, shard, stock) or {}, shard)
        self._store.stock[tenant, sku][shard] += delta

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        moves = await self.plan_consolidation(tenant, sku, shard=shard, quantity=quantity)
        if moves is not None:
            self._store.move_units(tenant, sku, moves, shard)
        return moves is not None

    async def plan_consolidation(self, tenant: str, sku: str, *, shard: int, quantity: int) -> Moves | None:
        stock = self._store.stock.get((tenant, sku), [])
        return consolidation(quantity, shard, stock) if shard < len(stock) else None

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return self._store.key_records.get(key)


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
