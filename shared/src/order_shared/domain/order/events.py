"""Events about orders on the queue: structured CloudEvents 1.0, versioned by their type.

A compatible change keeps the type, and readers ignore unknown fields. A breaking change gets a new type, and
`EVENT_TYPES` then has both for as long as old messages may exist: 14 days in the queue, and another 14 days in the
dead-letter queue. All readers support a new type before any writer sends it; see `docs/evolution.md`.
"""

from collections.abc import Mapping
from typing import Annotated, Generic, Literal, TypeVar, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError
from pydantic.config import JsonDict

from order_shared.domain.clock import to_text
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.exceptions import InvalidOrderId
from order_shared.domain.order.history import HistoryEntry, OrderChange
from order_shared.domain.order.ids import OrderId, created_at_of
from order_shared.domain.order.models import Customer, Order, OrderLine, OrderStatus

SOURCE = "/order-platform/orders"

EventTime = Annotated[AwareDatetime, PlainSerializer(to_text, return_type=str)]


class UnreadableEvent(PlatformError):
    """The message is not an event that this version supports. `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


INT64: JsonDict = {"format": "int64"}
"""Addition to the schema of an amount, which may exceed 32 bits."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PlacedLine(_Wire):
    sku: str
    name: str
    quantity: Annotated[int, Field(ge=1)]
    unit_price: Annotated[int, Field(ge=0, json_schema_extra=INT64)]
    shard: Annotated[int, Field(ge=0)]


class OrderData(_Wire):
    customer: Annotated[str, Field(description="Customer's subject, percent-encoded as in the keys of stored items.")]


class PlacedData(OrderData):
    """Data of a placed order, enough to process the order without reading it. It contains no payment token."""

    lines: Annotated[tuple[PlacedLine, ...], Field(min_length=1)]
    currency: str
    total: Annotated[int, Field(json_schema_extra=INT64)]
    reference: str | None = None
    paid: bool = False
    """True if the order has to be paid. The processor then reads the stored order, which has the payment token."""
    stores_history: bool = False
    """True if the stored order has a history, and not only a timeline as those of former releases."""


Data = TypeVar("Data", bound=OrderData)


class _CloudEvent(_Wire, Generic[Data]):
    """Fields of every message. `subject` is the order id."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = SOURCE
    subject: str
    time: EventTime
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
    tenantid: str
    data: Data

    @property
    def customer(self) -> Customer:
        return Customer.of_stored(self.tenantid, self.data.customer)

    def to_json(self) -> str:
        """Return the message as ASCII-only JSON: SQS rejects some characters that JSON allows."""
        return self.model_dump_json(exclude_none=True, ensure_ascii=True)


class OrderPlaced(_CloudEvent[PlacedData]):
    """An order was accepted and stored."""

    type: Literal["order.placed.v1"] = "order.placed.v1"

    @classmethod
    def of(cls, order: Order) -> "OrderPlaced":
        """Return the event of a pending order. Every event of the same order has the same `id`."""
        return cls.model_validate(
            {
                "id": f"{order.order_id}.placed",
                "subject": order.order_id,
                "time": order.created_at,
                "traceparent": order.traceparent,
                "tenantid": order.customer.tenant,
                "data": {
                    "customer": order.customer.stored_id,
                    "lines": [line.values() for line in order.lines],
                    "currency": order.currency,
                    "total": order.total,
                    "reference": order.reference,
                    "paid": order.must_be_paid,
                    "stores_history": order.stores_history,
                },
            }
        )

    def order(self) -> Order:
        """Return the pending order in the event, without its payment, schedule, metadata and caller.

        The event does not contain them, and no step of an order without payment changes them.

        Raises UnreadableEvent for an invalid order id.
        """
        try:
            created_at = created_at_of(self.subject)
        except InvalidOrderId as error:
            raise UnreadableEvent("invalid_event", "subject: not an order id") from error
        return Order(
            customer=self.customer,
            order_id=OrderId(self.subject),
            created_at=created_at,
            updated_at=created_at,
            status=OrderStatus.PENDING,
            version=1,
            fence=0,
            lines=tuple(OrderLine.of(vars(line)) for line in self.data.lines),
            currency=self.data.currency,
            reference=self.data.reference,
            traceparent=self.traceparent,
            history=(HistoryEntry((OrderChange.PLACED,), created_at),),
            stores_history=self.data.stores_history,
        )


class OrderCancelRequested(_CloudEvent[OrderData]):
    """A customer requested to cancel an order that holds stock. The stored order has the request too."""

    type: Literal["order.cancel_requested.v1"] = "order.cancel_requested.v1"

    @classmethod
    def of(cls, order: Order, *, traceparent: str | None = None) -> "OrderCancelRequested":
        """Return the event with `traceparent`, or if it is None, with the order's own `traceparent`."""
        return cls.model_validate(
            {
                "id": f"{order.order_id}.cancel_requested",
                "subject": order.order_id,
                "time": order.cancel_requested_at or order.updated_at,
                "traceparent": traceparent or order.traceparent,
                "tenantid": order.customer.tenant,
                "data": {"customer": order.customer.stored_id},
            }
        )


Event = OrderPlaced | OrderCancelRequested

EVENT_CLASSES: tuple[type[Event], ...] = get_args(Event)

EVENT_TYPES: Mapping[str, TypeAdapter[Event]] = {
    event.model_fields["type"].default: TypeAdapter(event) for event in EVENT_CLASSES
}
"""Adapter of each supported event type. If an event has several versions, the adapter of each returns the same class
(with an `AfterValidator`), so that no other code depends on the version."""


def event_of(order: Order) -> Event:
    """Return the event to publish for an open order: its cancellation if one is requested, otherwise its placement."""
    return OrderPlaced.of(order) if order.cancel_requested_at is None else OrderCancelRequested.of(order)


class _Envelope(_Wire):
    specversion: str
    type: str


def parse_event(body: str) -> Event:
    """Return the event in a message body.

    Raises UnreadableEvent with the reason `not_an_event`, `unknown_type` or `invalid_event`.
    """
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableEvent("not_an_event", _summary(error)) from error
    adapter = EVENT_TYPES.get(envelope.type)
    if adapter is None:
        raise UnreadableEvent("unknown_type", ascii(envelope.type[:100]))
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise UnreadableEvent("invalid_event", _summary(error)) from error


def _summary(error: ValidationError) -> str:
    """Return the first validation error without the invalid value, which may be data that must not be logged."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}"
