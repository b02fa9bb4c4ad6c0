"""Stored form of orders: the item, its updates, and the conditions of its writes.

    version 3   has `history` instead of `timeline`, and may have `payment_attempts` or `undo`
    version 2   has no `total`, which is computed from the lines
    version 1   has `total`, which no release reads
    version 0   has no `item_version`; otherwise as version 1

The rules for a new version are in `docs/evolution.md`. This release writes versions 2 and 3. An item keeps the version
with which its order was placed, except that the write that first stores payment attempts or an undo makes it version 3:
a release that supports only version 2 must not process such an order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

from aiodynamo.expressions import Append, Condition, F, Modify, SetAction, UpdateExpression, Value

from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import from_text, to_text
from order_shared.domain.identity import decode_subject, encode_subject
from order_shared.domain.order.history import HistoryEntry, OrderChange
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.models import (
    HOLDS_STOCK,
    Customer,
    LastError,
    Lease,
    Order,
    OrderLine,
    OrderStatus,
    Parked,
    Parking,
    Reason,
    ReasonCode,
    Schedule,
    TimelineEntry,
)
from order_shared.domain.order.payments import NO_ATTEMPTS, PaymentAttempts, PaymentState, Undo, UndoKind
from order_shared.storage.item_schema import Versions, version_of
from order_shared.storage.order_upgrades import UPGRADES
from order_shared.storage.outbox import open_shard_of
from order_shared.storage.tenant_keys import listing_attributes
from order_shared.tables import DEFAULT_OPEN_SHARDS

ITEM_VERSION = 3
TIMELINE_VERSION = 2
"""Newest version with a timeline instead of a history."""

VERSIONS = Versions("orders", ITEM_VERSION, UPGRADES)
OF_KNOWN_VERSION = VERSIONS.known()
STORES_HISTORY = F("item_version").equals(ITEM_VERSION)
STORES_TIMELINE = VERSIONS.known(TIMELINE_VERSION)

ORDER_ABSENT = F("customer_key").does_not_exist()
CANCEL_NOT_REQUESTED = F("cancel_requested_at").does_not_exist()
HOLDS_STOCK_STORED = F("status").is_in([str(status) for status in sorted(HOLDS_STOCK)])

MUTABLE: dict[str, Callable[[Order], Any]] = {
    "status": lambda order: str(order.status),
    "fence": lambda order: order.fence,
    "updated_at": lambda order: to_text(order.updated_at),
    "reason": lambda order: order.reason and _reason_item(order.reason),
    "due_at": lambda order: order.schedule.due_at,
    "sweeps": lambda order: order.schedule.sweeps if order.is_open else None,
    "lease_owner": lambda order: order.lease and order.lease.owner,
    "lease_until": lambda order: order.lease and order.lease.until,
    "payment_token": lambda order: order.payment.token,
    "payment_id": lambda order: order.payment.id,
    "payment_attempts": lambda order: _attempts_item(order.payment.attempts),
    "undo": lambda order: order.payment.undo and _undo_item(order.payment.undo),
    "attempts": lambda order: order.parking.attempts or None,
    "last_error": lambda order: order.parking.last_error and _error_item(order.parking.last_error),
    "parked": lambda order: order.parking.parked and _parked_item(order.parking.parked),
    "retried_at": lambda order: order.parking.retried_at and to_text(order.parking.retried_at),
    "cancel_requested_at": lambda order: order.cancel_requested_at and to_text(order.cancel_requested_at),
}
"""Functions that return the stored form of each attribute that can change; None means that it is not stored.

More attributes change: `open_shard`, which depends on the number of keys that are written; `version`, which is only
incremented; and `history` or `timeline`, to which entries are only appended.
"""

OPEN_ATTRIBUTES = frozenset(
    {
        "open_shard",
        "due_at",
        "sweeps",
        "lease_owner",
        "lease_until",
        "payment_token",
        "attempts",
        "last_error",
        "parked",
        "retried_at",
        "undo",
    }
)
"""Attributes that are removed when an order ends."""


FIELDS = {
    name: F(name) for name in (*MUTABLE, "open_shard", "order_id", "version", "history", "timeline", "item_version")
}


def item_key(customer_key: str, created_at: datetime) -> Item:
    return {"customer_key": customer_key, "created_at": to_text(created_at)}


def unchanged_condition(order: Order) -> Condition:
    """Return the condition that the stored order still has the id, status, fence and lease owner of `order`.

    If `order` has no request to cancel, the stored order must have none either. The stored version must be one that
    this release supports, because the first attempt to process an order does not read it, and one with the history or
    the timeline that the write extends: a migration may replace it at any time.
    """
    condition = FIELDS["order_id"].equals(order.order_id) & FIELDS["status"].equals(str(order.status))
    condition &= FIELDS["fence"].equals(order.fence) & form_condition(order)
    if order.lease is not None:
        condition &= FIELDS["lease_owner"].equals(order.lease.owner)
    if order.cancel_requested_at is None:
        condition &= CANCEL_NOT_REQUESTED
    return condition


def form_condition(order: Order) -> Condition:
    """Return the condition that the stored order has a history, or else a timeline, as `order` has."""
    return STORES_HISTORY if order.stores_history else STORES_TIMELINE


def parked_condition(after: Order) -> Condition:
    """Return the condition that the stored order is not parked, except by an earlier attempt of the same write.

    It belongs to each write that starts from an order which is not parked: an attempt that began before the order was
    parked must not change the order afterwards.
    """
    absent: Condition = FIELDS["parked"].does_not_exist()
    if after.parking.parked is None:
        return absent
    return absent | FIELDS["parked"].equals(_parked_item(after.parking.parked))


def payment_condition(order: Order) -> Condition:
    """Return the condition that the stored order has the payment of `order`, or none."""
    if order.payment.id is None:
        return FIELDS["payment_id"].does_not_exist()
    return FIELDS["payment_id"].equals(order.payment.id)


@cache
def mutable_attributes(open_shards: int) -> Mapping[str, Callable[[Order], Any]]:
    """Return MUTABLE with `open_shard`, which is one of `open_shards` keys."""
    return MUTABLE | {"open_shard": lambda order: open_shard_of(order, open_shards) if order.is_open else None}


def update_expression(before: Order, after: Order, open_shards: int = DEFAULT_OPEN_SHARDS) -> UpdateExpression:
    """Return the update from `before` to `after`.

    The update increments `version` instead of setting it, because a concurrent write may increment it too.
    """
    updates: list[tuple[F, SetAction]] = []
    removed: set[F] = set()
    ends = not after.is_open
    for name, stored in mutable_attributes(open_shards).items():
        value = stored(after)
        if value is None:
            if (ends and name in OPEN_ATTRIBUTES) or stored(before) is not None:
                removed.add(FIELDS[name])
        elif value != stored(before):
            updates.append((FIELDS[name], Value(value)))
    if after.version != before.version:
        updates.append((FIELDS["version"], Modify(after.version - before.version)))
    if not before.stores_history and _needs_newest_version(after):
        updates.append((FIELDS["item_version"], Value(ITEM_VERSION)))
        updates.append((FIELDS["history"], Value(history_items(after.history))))
        removed.add(FIELDS["timeline"])
    elif before.stores_history and (entries := after.history[len(before.history) :]):
        updates.append((FIELDS["history"], Append(history_items(entries))))
    elif not before.stores_history and (statuses := after.timeline[len(before.timeline) :]):
        updates.append((FIELDS["timeline"], Append(_timeline_items(statuses))))
    return UpdateExpression(updates, removed)


def _needs_newest_version(order: Order) -> bool:
    return order.payment.undo is not None or not order.payment.attempts.is_first


def to_item(order: Order, open_shards: int = DEFAULT_OPEN_SHARDS) -> Item:
    item: Item = {
        "customer_key": order.customer.key,
        "created_at": to_text(order.created_at),
        "order_id": order.order_id,
        "version": order.version,
        "lines": [line.values() for line in order.lines],
        "currency": order.currency,
    }
    if order.stores_history or _needs_newest_version(order):
        item |= {"history": history_items(order.history), "item_version": ITEM_VERSION}
    else:
        item |= {"timeline": _timeline_items(order.timeline), "item_version": TIMELINE_VERSION}
    optional: Item = {
        "reference": order.reference,
        "metadata": dict(order.metadata) or None,
        "placed_by": None if order.placed_by is None else encode_subject(order.placed_by),
        "payment_required": order.payment.required or None,
        "traceparent": order.traceparent,
    }
    optional |= {name: stored(order) for name, stored in mutable_attributes(open_shards).items()}
    item |= listing_attributes(order.customer.tenant, order.order_id, order.reference)
    return item | {name: value for name, value in optional.items() if value is not None}


def history_items(history: Iterable[HistoryEntry]) -> list[Item]:
    return [{"types": list(map(str, entry.types)), "at": to_text(entry.at)} for entry in history]


def _timeline_items(timeline: Iterable[TimelineEntry]) -> list[Item]:
    return [{"status": str(entry.status), "at": to_text(entry.at)} for entry in timeline]


def _reason_item(reason: Reason) -> Item:
    item: Item = {"code": str(reason.code), "detail": reason.detail}
    return item if reason.sku is None else {**item, "sku": reason.sku}


def _attempts_item(attempts: PaymentAttempts) -> Item | None:
    """Return the attempt numbers above 0, by provider call; None if there are none."""
    if attempts.is_first:
        return None
    return {name: number for name, number in asdict(attempts).items() if number}


def _undo_item(undo: Undo) -> Item:
    item: Item = {"kind": str(undo.kind)}
    return item if undo.code is None else {**item, "code": undo.code}


def _parked_item(parked: Parked) -> Item:
    return {"at": to_text(parked.at), "reason": parked.reason}


def _error_item(error: LastError) -> Item:
    return {"type": error.type, "text": error.text, "at": to_text(error.at)}


def to_customer(customer_key: str) -> Customer:
    tenant, _, stored_id = customer_key.partition("#")
    return Customer.of_stored(tenant, stored_id)


def to_order(item: Item) -> Order:
    """Convert an item of any version to an order. Raises UnknownItemVersion."""
    stores_history = version_of(item) > TIMELINE_VERSION
    item = VERSIONS.upgraded(item)
    lines = tuple(map(OrderLine.of, item["lines"]))
    reason = item.get("reason")
    return Order(
        customer=to_customer(item["customer_key"]),
        order_id=OrderId(item["order_id"]),
        created_at=from_text(item["created_at"]),
        updated_at=from_text(item["updated_at"]),
        status=OrderStatus(item["status"]),
        version=item["version"],
        fence=item["fence"],
        lines=lines,
        currency=item["currency"],
        reference=item.get("reference"),
        metadata=item.get("metadata", {}),
        placed_by=decode_subject(placed_by) if (placed_by := item.get("placed_by")) else None,
        traceparent=item.get("traceparent"),
        reason=Reason(ReasonCode(reason["code"]), reason["detail"], reason.get("sku")) if reason else None,
        history=tuple(
            HistoryEntry(tuple(map(OrderChange, entry["types"])), from_text(entry["at"])) for entry in item["history"]
        ),
        stores_history=stores_history,
        schedule=Schedule(due_at=item.get("due_at"), sweeps=item.get("sweeps", 0)),
        lease=Lease(owner=owner, until=item["lease_until"]) if (owner := item.get("lease_owner")) else None,
        payment=_to_payment(item, total=sum(line.amount for line in lines)),
        parking=_to_parking(item),
        cancel_requested_at=from_text(cancelled) if (cancelled := item.get("cancel_requested_at")) else None,
    )


def _to_payment(item: Item, *, total: int) -> PaymentState:
    """Return the payment of an order. The last release stored neither `payment_required` nor a trace of it.

    An order of that release that ended before its payment was created therefore counts as one with nothing to pay.
    """
    attempts, undo = item.get("payment_attempts"), item.get("undo")
    token, payment_id = item.get("payment_token"), item.get("payment_id")
    return PaymentState(
        required=item.get("payment_required", payment_id is not None or (token is not None and total > 0)),
        token=token,
        id=payment_id,
        attempts=PaymentAttempts(**attempts) if attempts else NO_ATTEMPTS,
        undo=Undo(UndoKind(undo["kind"]), undo.get("code")) if undo else None,
    )


def _to_parking(item: Item) -> Parking:
    error, parked, retried = item.get("last_error"), item.get("parked"), item.get("retried_at")
    return Parking(
        attempts=item.get("attempts", 0),
        last_error=LastError(type=error["type"], text=error["text"], at=from_text(error["at"])) if error else None,
        parked=Parked(from_text(parked["at"]), parked["reason"]) if parked else None,
        retried_at=from_text(retried) if retried else None,
    )
