"""The only code that knows how an order is stored.

Orders table: hash `customer_key` = `{tenant}#{customer}`, range `created_at`, read back from the order id.
While an order is open it also has `open_shard` and `due_at`, and so stands in the sparse index
`open_orders`: the outbox. What an index says is a hint; the write that follows is guarded by its condition.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Protocol

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import Condition, F, HashKey, KeyCondition, RangeKey, UpdateExpression
from aiodynamo.operations import Put, Update

from order_shared.aws.claims import delete_claim, get_claim, put_claim
from order_shared.aws.dynamodb import Dynamo, Item, WriteOperation
from order_shared.clock import EPOCH, MICROSECOND, Clock, from_text, to_text, utc_now
from order_shared.idempotency import Claim, ClaimKind, ClaimTaken, claim_key
from order_shared.inventory.repository import return_stock, take_stock
from order_shared.order.exceptions import (
    InvalidOrderId,
    OrderInstantTaken,
    OrderNotFound,
    OutOfStock,
    ReferenceTaken,
    StaleOrder,
)
from order_shared.order.ids import OrderId, created_at_of
from order_shared.order.models import (
    ENDED,
    FREES_REFERENCE,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Reason,
    ReasonCode,
    TimelineEntry,
)
from order_shared.tables import OPEN_ORDERS_INDEX, ORDERS_BY_ID_INDEX, TableNames

ITEM_VERSION = 1

ORDER_ABSENT = F("customer_key").does_not_exist()
OPEN_ATTRIBUTES = ("open_shard", "due_at", "sweeps", "lease_owner", "lease_until")
"""What an order has only until it ends."""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An entry of the outbox, as the index shows it."""

    customer_key: str
    created_at: datetime
    open_shard: str
    due_at: int
    sweeps: int


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime


class OrderRepository(Protocol):
    """All methods raise StorageUnavailable when the outcome is unknown."""

    async def add(self, order: Order, claim: Claim) -> None:
        """Stores a pending order, its idempotency claim and its reference, or nothing.

        Raises OrderInstantTaken, ClaimTaken, ReferenceTaken; the first that holds.
        """

    async def get(self, customer: Customer, order_id: str) -> Order:
        """Strongly consistent. Raises OrderNotFound, for another customer's order and an impossible id too."""

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        """For staff who hold only an id; a new order may take a moment to be found. Raises OrderNotFound."""

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> list[Order]:
        """The customer's orders created within the window, by time."""

    async def move(self, before: Order, after: Order) -> None:
        """Writes a transition with all that it means: stock taken or given back, a reference freed.

        Raises StaleOrder if the stored order is not `before` any more, else OutOfStock; nothing is written.
        """

    async def find_claim(self, key: str) -> Claim | None:
        """Strongly consistent; an expired claim is returned too."""

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        """Open orders of one shard that fell due before an instant (epoch milliseconds), oldest first."""

    async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
        """Moves the due time of an open order; None if somebody else was faster or it has ended."""

    async def ping(self) -> None:
        """One real read; raises whatever is in the way."""


def reference_claim(order: Order) -> Claim:
    key = claim_key(order.customer, ClaimKind.REFERENCE, order.reference or "")
    return Claim(key, order.order_id, fingerprint=None, expires_at=None)


class DynamoOrderRepository:
    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._tables = tables
        self._clock = clock

    async def add(self, order: Order, claim: Claim) -> None:
        now = self._clock()
        operations: list[WriteOperation] = [
            Put(self._tables.orders, _to_item(order), ORDER_ABSENT),
            put_claim(self._tables.idempotency, claim, now),
        ]
        if order.reference is not None:
            operations.append(put_claim(self._tables.idempotency, reference_claim(order), now))
        try:
            await self._dynamo.transact_write(operations)
        except TransactionCanceled as error:
            order_reason, claim_reason, *_ = error.cancellation_reasons
            if claim_reason:
                raise ClaimTaken(claim.key) from error
            if order_reason:
                raise OrderInstantTaken(order.order_id) from error
            raise ReferenceTaken(order.reference or "") from error

    async def get(self, customer: Customer, order_id: str) -> Order:
        try:
            created_at = created_at_of(order_id)
        except InvalidOrderId as error:
            raise OrderNotFound(order_id) from error
        item = await self._dynamo.get(self._tables.orders, _key(customer.key, created_at))
        if item is None or item["order_id"] != order_id:
            raise OrderNotFound(order_id)
        return _to_order(item)

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        hints = await self._dynamo.query(
            self._tables.orders, HashKey("order_id", order_id), index=ORDERS_BY_ID_INDEX, limit=1
        )
        owner = _to_customer(hints[0]["customer_key"]) if hints else None
        if owner is None or owner.tenant != tenant:
            raise OrderNotFound(order_id)
        return await self.get(owner, order_id)

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> list[Order]:
        last = to_text(window.end - MICROSECOND)
        first = to_text(window.start)
        if first > last:
            return []
        condition: KeyCondition = HashKey("customer_key", customer.key) & RangeKey("created_at").between(first, last)
        items = await self._dynamo.query(self._tables.orders, condition, limit=limit, descending=descending)
        return [_to_order(item) for item in items]

    async def move(self, before: Order, after: Order) -> None:
        operations: list[WriteOperation] = [
            Update(
                self._tables.orders,
                _key(before.customer.key, before.created_at),
                _transition(before, after),
                _still(before),
            )
        ]
        stock = None
        if after.holds_stock and not before.holds_stock:
            stock = take_stock
        elif before.holds_stock and not after.holds_stock:
            stock = return_stock
        if stock is not None:
            operations += [
                stock(
                    self._tables.inventory,
                    before.customer.tenant,
                    line.sku,
                    shard=line.shard,
                    quantity=line.quantity,
                )
                for line in before.lines
            ]
        if before.reference is not None and after.status in FREES_REFERENCE:
            operations.append(delete_claim(self._tables.idempotency, reference_claim(before).key, before.order_id))
        try:
            await self._dynamo.transact_write(operations)
        except TransactionCanceled as error:
            order_reason, *stock_reasons = error.cancellation_reasons
            if order_reason:
                raise StaleOrder(before.order_id) from error
            short = [line.sku for line, reason in zip(before.lines, stock_reasons, strict=False) if reason]
            raise OutOfStock(short) from error

    async def find_claim(self, key: str) -> Claim | None:
        return await get_claim(self._dynamo, self._tables.idempotency, key)

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
        try:
            item = await self._dynamo.update(
                self._tables.orders,
                _key(entry.customer_key, entry.created_at),
                F("due_at").set(due_at) & F("sweeps").set(sweeps),
                condition=F("due_at").equals(entry.due_at) & F("open_shard").equals(entry.open_shard),
            )
        except ConditionalCheckFailed:
            return None
        return _to_order(item)

    async def ping(self) -> None:
        await self._dynamo.ping(self._tables.orders, _key("-", EPOCH))


def _key(customer_key: str, created_at: datetime) -> Item:
    return {"customer_key": customer_key, "created_at": to_text(created_at)}


def _still(order: Order) -> Condition:
    """The stored order is the one we know: same id, state and owner."""
    condition = F("order_id").equals(order.order_id) & F("status").equals(str(order.status))
    condition &= F("fence").equals(order.fence)
    if order.lease_owner is not None:
        condition &= F("lease_owner").equals(order.lease_owner)
    return condition


def _transition(before: Order, after: Order) -> UpdateExpression:
    """What changes between two orders. `version` is counted up where it is stored: others count it too."""
    new_entries = after.timeline[len(before.timeline) :]
    changes = [
        F("status").set(str(after.status)),
        F("version").change(after.version - before.version),
        F("fence").set(after.fence),
        F("updated_at").set(to_text(after.updated_at)),
        F("timeline").append([_timeline_item(entry) for entry in new_entries]),
    ]
    if after.reason is not None and after.reason != before.reason:
        changes.append(F("reason").set(_reason_item(after.reason)))
    if after.status in ENDED:
        changes += [F(name).remove() for name in OPEN_ATTRIBUTES]
    else:
        changes += [
            F("lease_owner").set(after.lease_owner),
            F("lease_until").set(after.lease_until),
            F("due_at").set(after.due_at),
        ]
    return reduce(and_, changes)


def _to_item(order: Order) -> Item:
    item: Item = {
        "customer_key": order.customer.key,
        "created_at": to_text(order.created_at),
        "order_id": order.order_id,
        "updated_at": to_text(order.updated_at),
        "status": str(order.status),
        "version": order.version,
        "fence": order.fence,
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "shard": line.shard,
            }
            for line in order.lines
        ],
        "currency": order.currency,
        "total": order.total,
        "timeline": [_timeline_item(entry) for entry in order.timeline],
        "item_version": ITEM_VERSION,
    }
    if order.reference is not None:
        item["reference"] = order.reference
    if order.is_open:
        item |= {"open_shard": order.open_shard, "due_at": order.due_at, "sweeps": order.sweeps}
    return item


def _timeline_item(entry: TimelineEntry) -> Item:
    return {"status": str(entry.status), "at": to_text(entry.at)}


def _reason_item(reason: Reason) -> Item:
    item: Item = {"code": str(reason.code), "detail": reason.detail}
    return item if reason.sku is None else {**item, "sku": reason.sku}


def _to_customer(customer_key: str) -> Customer:
    tenant, _, customer = customer_key.partition("#")
    return Customer(tenant, customer)


def _to_order(item: Item) -> Order:
    reason = item.get("reason")
    return Order(
        customer=_to_customer(item["customer_key"]),
        order_id=OrderId(item["order_id"]),
        created_at=from_text(item["created_at"]),
        updated_at=from_text(item["updated_at"]),
        status=OrderStatus(item["status"]),
        version=item["version"],
        fence=item["fence"],
        lines=tuple(OrderLine(**line) for line in item["lines"]),
        currency=item["currency"],
        reference=item.get("reference"),
        reason=Reason(ReasonCode(reason["code"]), reason["detail"], reason.get("sku")) if reason else None,
        timeline=tuple(
            TimelineEntry(OrderStatus(entry["status"]), from_text(entry["at"])) for entry in item["timeline"]
        ),
        due_at=item.get("due_at"),
        sweeps=item.get("sweeps", 0),
        lease_owner=item.get("lease_owner"),
        lease_until=item.get("lease_until"),
    )
