"""Other releases, for tests with two releases at the same time.

Release 1 is written out, so that its stored form and its reader do not change with today's code. Remove it when no
item of version 1 is stored anywhere. The next release is invented, to test the reading of a second version of a
message.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, TypeAdapter

from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import from_text, to_text
from order_shared.domain.order.history import HistoryEntry
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.messages import MESSAGE_TYPES, LineData, ProcessingData, ProcessingRequested, WorkMessage
from order_shared.domain.order.models import (
    CHANGE_TO,
    Customer,
    Lease,
    Order,
    OrderLine,
    OrderStatus,
    Parked,
    Parking,
    Reason,
    ReasonCode,
    Schedule,
)
from order_shared.domain.order.payments import PaymentState
from order_shared.storage.outbox import open_shard_of

LINE_FIELDS = ("sku", "name", "quantity", "unit_price", "shard")


def stored_by_release_1(order: Order) -> Item:
    """Return an item of version 1."""
    reason, parked = order.reason, order.parking.parked
    item: Item = {
        "customer_key": order.customer.key,
        "created_at": to_text(order.created_at),
        "order_id": order.order_id,
        "version": order.version,
        "lines": [{name: getattr(line, name) for name in LINE_FIELDS} for line in order.lines],
        "currency": order.currency,
        "total": order.total,
        "timeline": [{"status": str(entry.status), "at": to_text(entry.at)} for entry in order.timeline],
        "item_version": 1,
        "status": str(order.status),
        "fence": order.fence,
        "updated_at": to_text(order.updated_at),
    }
    optional: Item = {
        "reference": order.reference,
        "reason": reason and {"code": str(reason.code), "detail": reason.detail},
        "open_shard": open_shard_of(order) if order.is_open else None,
        "due_at": order.schedule.due_at,
        "sweeps": order.schedule.sweeps if order.is_open else None,
        "lease_owner": order.lease and order.lease.owner,
        "lease_until": order.lease and order.lease.until,
        "payment_token": order.payment.token,
        "payment_id": order.payment.id,
        "attempts": order.parking.attempts or None,
        "parked": parked and {"at": to_text(parked.at), "reason": parked.reason},
        "retried_at": order.parking.retried_at and to_text(order.parking.retried_at),
        "cancel_requested_at": order.cancel_requested_at and to_text(order.cancel_requested_at),
    }
    if reason is not None and reason.sku is not None:
        optional["reason"]["sku"] = reason.sku
    return item | {name: value for name, value in optional.items() if value is not None}


def without_version(item: Item) -> Item:
    """Return an item of version 1 as an item of version 0."""
    return {name: value for name, value in item.items() if name != "item_version"}


def read_by_release_1(item: Item) -> Order:
    """Reads an item without checking its version. The history has the changes of the timeline only."""
    tenant, _, customer = item["customer_key"].partition("#")
    reason, parked = item.get("reason"), item.get("parked")
    return Order(
        customer=Customer(tenant=tenant, id=customer),
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
        history=tuple(
            HistoryEntry((CHANGE_TO[OrderStatus(entry["status"])],), from_text(entry["at"]))
            for entry in item["timeline"]
        ),
        stores_history=False,
        schedule=Schedule(due_at=item.get("due_at"), sweeps=item.get("sweeps", 0)),
        lease=Lease(owner=item["lease_owner"], until=item["lease_until"]) if "lease_owner" in item else None,
        payment=PaymentState(token=item.get("payment_token"), id=item.get("payment_id")),
        parking=Parking(
            attempts=item.get("attempts", 0),
            parked=Parked(from_text(parked["at"]), parked["reason"]) if parked else None,
            retried_at=from_text(retried) if (retried := item.get("retried_at")) else None,
        ),
        cancel_requested_at=from_text(cancelled) if (cancelled := item.get("cancel_requested_at")) else None,
    )


class NextCustomer(BaseModel):
    id: str


class NextPlacedData(BaseModel):
    """Breaking change: the customer is an object."""

    customer: NextCustomer
    lines: tuple[LineData, ...]
    currency: str
    total: int
    stores_history: bool


class NextProcessingRequested(BaseModel):
    """`order.processing_requested.v2`, as a next release might publish it."""

    specversion: Literal["1.0"] = "1.0"
    type: Literal["order.processing_requested.v2"] = "order.processing_requested.v2"
    id: str
    subject: str
    time: Any
    tenantid: str
    data: NextPlacedData

    @classmethod
    def of(cls, order: Order) -> "NextProcessingRequested":
        said = ProcessingRequested.of(order).model_dump(mode="json", exclude={"type"})
        return cls.model_validate({**said, "data": {**said["data"], "customer": {"id": order.customer.stored_id}}})


def as_placed(event: NextProcessingRequested) -> ProcessingRequested:
    data = ProcessingData(
        customer=event.data.customer.id,
        lines=event.data.lines,
        currency=event.data.currency,
        total=event.data.total,
        stores_history=event.data.stores_history,
    )
    return ProcessingRequested(id=event.id, subject=event.subject, time=event.time, tenantid=event.tenantid, data=data)


MESSAGE_TYPES_OF_NEXT_RELEASE: Mapping[str, TypeAdapter[WorkMessage]] = {
    **MESSAGE_TYPES,
    "order.processing_requested.v2": cast(
        "TypeAdapter[WorkMessage]", TypeAdapter(Annotated[NextProcessingRequested, AfterValidator(as_placed)])
    ),
}
