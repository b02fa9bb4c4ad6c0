"""Messages on the work queue, each a request to the processor: structured CloudEvents 1.0, versioned by their type.

A compatible change keeps the type, and readers ignore unknown fields. A breaking change gets a new type, and
`MESSAGE_TYPES` then has both for as long as old messages may exist: 14 days in the queue, and another 14 days in the
dead-letter queue. All readers support a new type before any writer sends it; see `docs/evolution.md`.

The last release gave these messages the types of events, `order.placed.v1` and `order.cancel_requested.v1`.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Generic, Literal, TypeVar, get_args

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


class UnreadableMessage(PlatformError):
    """The body is not a message that this version supports. `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


INT64: JsonDict = {"format": "int64"}
"""Addition to the schema of an amount, which may exceed 32 bits."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LineData(_Wire):
    sku: str
    name: str
    quantity: Annotated[int, Field(ge=1)]
    unit_price: Annotated[int, Field(ge=0, json_schema_extra=INT64)]
    shard: Annotated[int, Field(ge=0)]


class OrderData(_Wire):
    customer: Annotated[str, Field(description="Customer's subject, percent-encoded as in the keys of stored items.")]


class ProcessingData(OrderData):
    """Data of a placed order, enough to process the order without reading it. It contains no payment token."""

    lines: Annotated[tuple[LineData, ...], Field(min_length=1)]
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

    former_type: ClassVar[str]
    """Type of this message in the last release."""

    @property
    def customer(self) -> Customer:
        return Customer.of_stored(self.tenantid, self.data.customer)

    def to_json(self, *, former_type: bool = False) -> str:
        """Return the message as ASCII-only JSON: SQS rejects some characters that JSON allows.

        With `former_type` the message has the type that the last release reads.
        """
        message = self.model_copy(update={"type": self.former_type}) if former_type else self
        return message.model_dump_json(exclude_none=True, ensure_ascii=True)


class ProcessingRequested(_CloudEvent[ProcessingData]):
    """Request to process an order, which was accepted and stored."""

    former_type: ClassVar = "order.placed.v1"
    type: Literal["order.processing_requested.v1", "order.placed.v1"] = "order.processing_requested.v1"

    @classmethod
    def of(cls, order: Order) -> "ProcessingRequested":
        """Return the message of a pending order. Every such message of the same order has the same `id`."""
        return cls.model_validate(
            {
                "id": f"{order.order_id}.processing_requested",
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
        """Return the pending order in the message, without its payment, schedule, metadata and caller.

        The message does not contain them, and no step of an order without payment changes them.

        Raises UnreadableMessage for an invalid order id.
        """
        try:
            created_at = created_at_of(self.subject)
        except InvalidOrderId as error:
            raise UnreadableMessage("invalid_event", "subject: not an order id") from error
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


class CancellationRequested(_CloudEvent[OrderData]):
    """Request to cancel an order that holds stock. The stored order has the request too."""

    former_type: ClassVar = "order.cancel_requested.v1"
    type: Literal["order.cancellation_requested.v1", "order.cancel_requested.v1"] = "order.cancellation_requested.v1"

    @classmethod
    def of(cls, order: Order, *, traceparent: str | None = None) -> "CancellationRequested":
        """Return the message with `traceparent`, or if it is None, with the order's own `traceparent`."""
        return cls.model_validate(
            {
                "id": f"{order.order_id}.cancellation_requested",
                "subject": order.order_id,
                "time": order.cancel_requested_at or order.updated_at,
                "traceparent": traceparent or order.traceparent,
                "tenantid": order.customer.tenant,
                "data": {"customer": order.customer.stored_id},
            }
        )


WorkMessage = ProcessingRequested | CancellationRequested

MESSAGE_CLASSES: tuple[type[WorkMessage], ...] = get_args(WorkMessage)

MESSAGE_TYPES: Mapping[str, TypeAdapter[WorkMessage]] = {
    name: TypeAdapter(message)
    for message in MESSAGE_CLASSES
    for name in (message.model_fields["type"].default, message.former_type)
}
"""Adapter of each supported message type. The adapters of all versions of a message return the same class (with an
`AfterValidator` where their content differs), so that no other code depends on the version."""


def message_of(order: Order) -> WorkMessage:
    """Return the message to send for an open order: the request to cancel it if there is one, else to process it."""
    return ProcessingRequested.of(order) if order.cancel_requested_at is None else CancellationRequested.of(order)


class _Envelope(_Wire):
    specversion: str
    type: str


def parse_message(body: str) -> WorkMessage:
    """Return the message in a body.

    Raises UnreadableMessage with the reason `not_an_event`, `unknown_type` or `invalid_event`.
    """
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage("not_an_event", _summary(error)) from error
    adapter = MESSAGE_TYPES.get(envelope.type)
    if adapter is None:
        raise UnreadableMessage("unknown_type", ascii(envelope.type[:100]))
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage("invalid_event", _summary(error)) from error


def _summary(error: ValidationError) -> str:
    """Return the first validation error without the invalid value, which may be data that must not be logged."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}"
