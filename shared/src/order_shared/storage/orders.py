"""Repository of orders. `order_items.py` defines their stored form.

Orders table: hash `customer_key` = `{tenant}#{customer}`, range `created_at`, which the order id contains. An open
order also has `open_shard` and `due_at`, so it is in the sparse index `open_orders`, which is the outbox. The index is
eventually consistent, so each write that follows a read of the index has a condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import F, HashKey, KeyCondition, RangeKey
from aiodynamo.operations import ConditionCheck, Delete, Put, Update

from order_shared.aws.dynamodb import Dynamo, FirstAttemptRefused, Item, failed_conditions
from order_shared.domain.clock import (
    EPOCH,
    MAX_MICROS,
    MICROSECOND,
    Clock,
    from_micros,
    from_text,
    to_text,
    utc_now,
)
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, RecordTaken, record_key
from order_shared.domain.order.exceptions import (
    InvalidOrderId,
    OrderInstantTaken,
    OrderNotFound,
    OutOfStock,
    ReferenceTaken,
    StaleOrder,
)
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import FREES_REFERENCE, Customer, Order, normal_reference
from order_shared.storage.idempotency_records import RECORD_ABSENT, delete_record, get_record, put_record
from order_shared.storage.inventory import Moves, return_stock, take_from_shards
from order_shared.storage.item_schema import UNREADABLE, describe
from order_shared.storage.order_items import (
    CANCEL_NOT_REQUESTED,
    HOLDS_STOCK_STORED,
    OF_KNOWN_VERSION,
    ORDER_ABSENT,
    form_condition,
    history_items,
    item_key,
    parked_condition,
    payment_condition,
    to_customer,
    to_item,
    to_order,
    unchanged_condition,
    update_expression,
)
from order_shared.storage.outbox import open_shard_of
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_ORDERS_INDEX, ORDERS_BY_ID_INDEX, TableNames

if TYPE_CHECKING:
    from order_shared.aws.encoding import WriteOperation

NO_MOVES: Mapping[str, Moves] = MappingProxyType({})
END_OF_TIME = from_micros(MAX_MICROS)
MAX_DUE_AT = 2**53
"""Upper bound of due times in epoch milliseconds, later than any real due time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """Entry of the outbox, as stored in the index `open_orders`."""

    customer_key: str
    created_at: datetime
    open_shard: str
    due_at: int
    sweeps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Time window from `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime

    @classmethod
    def between(cls, start: datetime | None, end: datetime | None) -> "Window":
        """Return the window with these ends. None, or a start before 1970, stands for the first or last instant."""
        return cls(start=max(start or EPOCH, EPOCH), end=end or END_OF_TIME)

    def beyond(self, position: datetime, *, descending: bool) -> "Window":
        """Return the part of the window that remains to be read after `position`."""
        return (
            Window(start=self.start, end=position) if descending else Window(start=position + MICROSECOND, end=self.end)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableOrder:
    """Stored order that this release cannot read, usually because a newer release wrote it."""

    customer: Customer
    created_at: datetime
    error: str
    """Reason, for operators and logs."""


@dataclass(frozen=True, slots=True)
class OrderSlice:
    """Orders from one read of a window. `more` is True if the window may contain further orders."""

    orders: Sequence[Order | UnreadableOrder]
    more: bool


class OrderRepository(Protocol):
    """Port of orders. Any method may raise StorageUnavailable; the outcome of a write is then unknown."""

    async def add(self, order: Order, key_record: IdempotencyRecord, *, sent_reference: str | None = None) -> None:
        """Store a pending order, its idempotency record and its reference record in one transaction.

        `sent_reference` is the order's reference as the customer sent it. No order may have it either: the last
        release stored references in that form.

        Raises RecordTaken, OrderInstantTaken or ReferenceTaken. If several apply, the first of them is raised.
        """

    async def get(self, customer: Customer, order_id: str) -> Order:
        """Return the customer's order. Strongly consistent. Raises OrderNotFound, also for another customer's order."""
        ...

    async def get_many(self, keys: Sequence[tuple[Customer, datetime]]) -> list[Order | UnreadableOrder]:
        """Return the orders that exist among up to 100 different keys, in no particular order. Strongly consistent.

        A key is the customer and the creation time of an order.
        """
        ...

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        """Return the order with this id, of any customer of the tenant. Raises OrderNotFound.

        The lookup uses an eventually consistent index, so a new order may not be found for a moment.
        """
        ...

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        """Return the customer's orders created within the window, sorted by time. Strongly consistent.

        An order that this release cannot read does not fail the others. One call reads at most `limit` orders and 1 MB.
        """
        ...

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        """Write the change from `before` to `after` and its stock changes, in one transaction.

        If the new status frees the order's reference, the transaction also deletes the reference record. `moves`
        contains the stock to move into the shard of a line, by SKU, before the quantity of the line is taken from it.

        Return the stored order. It may contain values that neither `before` nor `after` has, such as the payment, if
        `before` was not read from the table.

        Raises StaleOrder if the stored order no longer matches `before`; otherwise OutOfStock if a stock shard holds
        too little.
        """
        ...

    async def request_cancel(self, requested: Order, *, version: int | None) -> Order:
        """Store a request to cancel an order that holds stock, even if another owner is processing the order.

        Return the stored order. Raises StaleOrder if the order holds no stock or already has a request to cancel, or
        if `version` is given and is not the stored version.
        """
        ...

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        """Return the record, even if it has expired; None if there is none. Strongly consistent."""

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        """Return up to `limit` open orders of a key, with due times before `before` (epoch milliseconds).

        The earliest due time comes first. Eventually consistent.
        """
        ...

    async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
        """Set the due time and the number of sweeps of an open order, and return the stored order.

        Return None if another writer has changed the due time or the key since the read, or the order has ended.
        """

    async def get_entry(self, entry: OpenOrder) -> Order | UnreadableOrder | None:
        """Return the order of an outbox entry; None if it does not exist. Strongly consistent."""

    async def ping(self) -> None:
        """Check that the table is readable, with one read and no retries. Raises AwsError."""


def reference_key(customer: Customer, reference: str) -> str:
    """Return the key of the record of a reference. Each form of a reference has its own record."""
    return record_key(customer, RecordKind.REFERENCE, reference)


def reference_record(order: Order) -> IdempotencyRecord:
    key = reference_key(order.customer, order.reference or "")
    return IdempotencyRecord(key=key, subject=order.order_id, fingerprint=None, expires_at=None)


class DynamoOrderRepository:
    """Order repository on DynamoDB. `open_shards` is the number of outbox keys that it writes: 16 or 128."""

    def __init__(
        self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now, *, open_shards: int = DEFAULT_OPEN_SHARDS
    ) -> None:
        self._dynamo = dynamo
        self._tables = tables
        self._clock = clock
        self._open_shards = open_shards

    async def add(self, order: Order, key_record: IdempotencyRecord, *, sent_reference: str | None = None) -> None:
        now = self._clock()
        operations: list[WriteOperation] = [
            Put(self._tables.orders, to_item(order, self._open_shards), ORDER_ABSENT),
            put_record(self._tables.idempotency, key_record, now),
        ]
        if order.reference is not None:
            operations.append(put_record(self._tables.idempotency, reference_record(order), now))
            if sent_reference not in {None, order.reference}:
                key = reference_key(order.customer, sent_reference or "")
                operations.append(ConditionCheck(self._tables.idempotency, {"key": key}, RECORD_ABSENT))
        try:
            await self._dynamo.transact_write(operations)
        except TransactionCanceled as error:
            instant_taken, record_taken, *_ = failed_conditions(error)
            if record_taken:
                raise RecordTaken(key_record.key) from error
            if instant_taken:
                raise OrderInstantTaken(order.order_id) from error
            raise ReferenceTaken(order.reference or "") from error

    async def get(self, customer: Customer, order_id: str) -> Order:
        created_at = _created_at(order_id)
        item = await self._dynamo.get(self._tables.orders, item_key(customer.key, created_at))
        if item is None or item["order_id"] != order_id:
            raise OrderNotFound(order_id)
        return to_order(item)

    async def get_many(self, keys: Sequence[tuple[Customer, datetime]]) -> list[Order | UnreadableOrder]:
        wanted = [item_key(customer.key, created_at) for customer, created_at in keys]
        return list(map(readable_order, await self._dynamo.get_many(self._tables.orders, wanted)))

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        _created_at(order_id)
        hints = await self._dynamo.query(
            self._tables.orders, HashKey("order_id", order_id), index=ORDERS_BY_ID_INDEX, limit=1
        )
        owner = to_customer(hints[0]["customer_key"]) if hints else None
        if owner is None or owner.tenant != tenant:
            raise OrderNotFound(order_id)
        return await self.get(owner, order_id)

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        last = to_text(window.end - MICROSECOND)
        first = to_text(window.start)
        if first > last:
            return OrderSlice([], more=False)
        condition: KeyCondition = HashKey("customer_key", customer.key) & RangeKey("created_at").between(first, last)
        page = await self._dynamo.query_page(self._tables.orders, condition, limit=limit, descending=descending)
        return OrderSlice(list(map(readable_order, page.items)), more=page.last_evaluated_key is not None)

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        key = item_key(before.customer.key, before.created_at)
        expression = update_expression(before, after, self._open_shards)
        condition = unchanged_condition(before)
        if before.parking.parked is None:
            condition &= parked_condition(after)
        if (before.payment.id, before.payment.undo) != (after.payment.id, after.payment.undo):
            # A lost request of the same owner may take effect after the owner has stored or removed another payment.
            condition &= payment_condition(before)
        stock = self._stock_operations(before, after, moves)
        freed = self._freed_reference(before, after)
        if freed and before.reference != normal_reference(before.reference or ""):
            condition &= F("reference").equals(before.reference)  # `orderctl migrate` may change it and its record
        try:
            if not stock and not freed:
                return to_order(await self._dynamo.update(self._tables.orders, key, expression, condition=condition))
            update = Update(self._tables.orders, key, expression, condition)
            await self._dynamo.transact_write([update, *(write for _, write in stock), *freed])
        except ConditionalCheckFailed as error:
            raise StaleOrder(before.order_id) from error
        except TransactionCanceled as error:
            stale, *failed = failed_conditions(error)
            if stale:
                raise StaleOrder(before.order_id) from error
            short = {sku: None for (sku, _), missing in zip(stock, failed, strict=False) if missing}
            if not short:
                raise  # unexpected: no other condition can fail
            raise OutOfStock(tuple(short)) from error
        # A transaction returns no item. An order that is still open was pending before, so no other owner can have
        # written a payment or an undo: `after` can differ from the item in due time, sweeps and parking only.
        return after

    async def request_cancel(self, requested: Order, *, version: int | None) -> Order:
        condition = F("order_id").equals(requested.order_id) & HOLDS_STOCK_STORED & CANCEL_NOT_REQUESTED
        condition &= form_condition(requested)
        if version is not None:
            condition &= F("version").equals(version)
        changes = (
            F("cancel_requested_at").set(to_text(requested.updated_at))
            & F("updated_at").set(to_text(requested.updated_at))
            & F("version").change(1)
            & F("open_shard").set(open_shard_of(requested, self._open_shards))
            & F("due_at").set(requested.schedule.due_at)
            & F("sweeps").set(0)
            & F("parked").remove()
        )
        if requested.stores_history:
            changes &= F("history").append(history_items(requested.history[-1:]))
        try:
            item = await self._dynamo.update(
                self._tables.orders,
                item_key(requested.customer.key, requested.created_at),
                changes,
                condition=condition,
            )
        except ConditionalCheckFailed as error:
            raise StaleOrder(requested.order_id) from error
        return to_order(item)

    def _stock_operations(self, before: Order, after: Order, moves: Mapping[str, Moves]) -> list[tuple[str, Update]]:
        """Return the stock writes of a change, each with its SKU.

        They take stock if the order starts to hold stock, and return the stock if the order stops holding it.
        """
        if before.holds_stock == after.holds_stock:
            return []
        tenant = before.customer.tenant
        if after.holds_stock:
            return [
                (line.sku, write)
                for line in before.lines
                for write in take_from_shards(
                    self._tables.inventory,
                    tenant,
                    line.sku,
                    shard=line.shard,
                    quantity=line.quantity,
                    moves=moves.get(line.sku),
                )
            ]
        return [
            (
                line.sku,
                return_stock(self._tables.inventory, tenant, line.sku, shard=line.shard, quantity=line.quantity),
            )
            for line in before.lines
        ]

    def _freed_reference(self, before: Order, after: Order) -> list[Delete]:
        if before.reference is None or after.status not in FREES_REFERENCE:
            return []
        return [delete_record(self._tables.idempotency, reference_record(before).key, before.order_id)]

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return await get_record(self._dynamo, self._tables.idempotency, key)

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        items = await self._dynamo.query(
            self._tables.orders,
            HashKey("open_shard", open_shard) & RangeKey("due_at").lt(before),
            index=OPEN_ORDERS_INDEX,
            limit=limit,
        )
        return [
            OpenOrder(
                customer_key=item["customer_key"],
                created_at=from_text(item["created_at"]),
                open_shard=item["open_shard"],
                due_at=item["due_at"],
                sweeps=item.get("sweeps", 0),
            )
            for item in items
        ]

    async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
        key = item_key(entry.customer_key, entry.created_at)
        try:
            item = await self._dynamo.update(
                self._tables.orders,
                key,
                F("due_at").set(due_at) & F("sweeps").set(sweeps),
                condition=F("due_at").equals(entry.due_at)
                & F("open_shard").equals(entry.open_shard)
                & OF_KNOWN_VERSION,
            )
        except FirstAttemptRefused:
            return None  # another sweeper may have chosen the same due time: only one of them may send the message
        except ConditionalCheckFailed:
            # If the stored values are the requested ones, this was a retry after a lost response.
            stored = await self._dynamo.get(self._tables.orders, key) or {}
            if (stored.get("due_at"), stored.get("sweeps")) != (due_at, sweeps):
                return None
            item = stored
        return to_order(item)

    async def get_entry(self, entry: OpenOrder) -> Order | UnreadableOrder | None:
        item = await self._dynamo.get(self._tables.orders, item_key(entry.customer_key, entry.created_at))
        return readable_order(item) if item else None

    async def ping(self) -> None:
        await self._dynamo.ping(self._tables.orders, item_key("-", EPOCH))


def readable_order(item: Item) -> Order | UnreadableOrder:
    """Convert an item of a list, in which one item that cannot be converted must not hide the others."""
    try:
        return to_order(item)
    except UNREADABLE as error:
        return UnreadableOrder(
            customer=to_customer(item["customer_key"]), created_at=from_text(item["created_at"]), error=describe(error)
        )


def _created_at(order_id: str) -> datetime:
    try:
        return created_at_of(order_id)
    except InvalidOrderId as error:
        raise OrderNotFound(order_id[:60]) from error
