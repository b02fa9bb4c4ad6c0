"""How an order is stored: the item, what changes in it, and the conditions of its writes."""

from datetime import datetime
from functools import reduce
from operator import and_

from aiodynamo.expressions import Condition, F, UpdateExpression

from order_shared.aws.dynamodb import Item
from order_shared.clock import from_text, to_text
from order_shared.order.ids import OrderId
from order_shared.order.models import (
    ENDED,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Reason,
    ReasonCode,
    TimelineEntry,
)

ITEM_VERSION = 1

ORDER_ABSENT = F("customer_key").does_not_exist()
OPEN_ATTRIBUTES = ("open_shard", "due_at", "sweeps", "lease_owner", "lease_until")
"""What an order has only until it ends."""


def item_key(customer_key: str, created_at: datetime) -> Item:
    return {"customer_key": customer_key, "created_at": to_text(created_at)}


def still(order: Order) -> Condition:
    """The stored order is the one we know: same id, state and owner."""
    condition = F("order_id").equals(order.order_id) & F("status").equals(str(order.status))
    condition &= F("fence").equals(order.fence)
    if order.lease_owner is not None:
        condition &= F("lease_owner").equals(order.lease_owner)
    return condition


def transition(before: Order, after: Order) -> UpdateExpression:
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


def to_item(order: Order) -> Item:
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


def to_customer(customer_key: str) -> Customer:
    tenant, _, customer = customer_key.partition("#")
    return Customer(tenant, customer)


def to_order(item: Item) -> Order:
    reason = item.get("reason")
    return Order(
        customer=to_customer(item["customer_key"]),
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
