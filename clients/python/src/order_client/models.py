"""Responses of the API. Money is in minor units of `currency`; times are UTC.

Unknown fields of a newer API are ignored, and an unknown status or type is a text.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class OrderStatus(StrEnum):
    PENDING = "pending"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


END_STATES = frozenset({OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED})
"""States in which processing has finished. A confirmed order can still be cancelled."""


UNREACHABLE = {
    OrderStatus.CONFIRMED: frozenset(OrderStatus) - {OrderStatus.CONFIRMED, OrderStatus.CANCELLED},
    OrderStatus.REJECTED: frozenset(OrderStatus) - {OrderStatus.REJECTED},
    OrderStatus.CANCELLED: frozenset(OrderStatus) - {OrderStatus.CANCELLED},
}
"""States that an order in an end state can no longer reach."""

Status = Annotated[OrderStatus | str, Field(union_mode="left_to_right")]
"""State of an order. A newer API may return one that this release does not know, as a text."""


class PaymentStatus(StrEnum):
    PENDING = "pending"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    """The order ended without a charge."""


class MovementType(StrEnum):
    CHARGED = "charged"
    REFUNDED = "refunded"


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderLine(_Resource):
    sku: str
    name: str
    quantity: int
    unit_price: int
    amount: int


class Reason(_Resource):
    """Reason why an order was rejected. `code` is stable, `detail` is for people."""

    code: str
    detail: str
    sku: str | None = None


class TimelineEntry(_Resource):
    status: Status
    at: AwareDatetime


class Movement(_Resource):
    """A charge or a refund."""

    type: Annotated[MovementType | str, Field(union_mode="left_to_right")]
    amount: int
    at: AwareDatetime


class Payment(_Resource):
    """What was charged and refunded so far."""

    status: Annotated[PaymentStatus | str, Field(union_mode="left_to_right")]
    captured: int
    refunded: int
    history: tuple[Movement, ...]


class Order(_Resource):
    """An order. `version` grows with every change visible to the customer.

    `placed_by` is the subject that placed the order for the customer; None if the customer placed it. `payment` is
    None for an order with nothing to pay. `metadata` is empty and `payment` None in responses of an API without them.
    """

    id: str
    status: Status
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    reference: str | None
    lines: tuple[OrderLine, ...]
    currency: str
    total: int
    reason: Reason | None
    timeline: tuple[TimelineEntry, ...]
    cancel_requested_at: AwareDatetime | None = None
    placed_by: str | None = None
    metadata: Mapping[str, str] = {}
    payment: Payment | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.version))

    @property
    def is_being_cancelled(self) -> bool:
        """Return whether cancellation was requested and is not complete: the order will end as `cancelled`."""
        return self.cancel_requested_at is not None and self.status is not OrderStatus.CANCELLED


class PlacedOrder(Order):
    """A placed order. `replayed` is true if an earlier call or attempt with the same idempotency key placed it."""

    replayed: bool = False


class TenantOrder(Order):
    """An order of any customer of the tenant. `customer` is the subject of its customer."""

    customer: str


class TenantOrderPage(_Resource):
    items: tuple[TenantOrder, ...]
    next_cursor: str | None
    has_more: bool


class OrderPage(_Resource):
    items: tuple[Order, ...]
    next_cursor: str | None
    has_more: bool


class EventType(StrEnum):
    PLACED = "order.placed.v1"
    RESERVED = "order.reserved.v1"
    CONFIRMED = "order.confirmed.v1"
    REJECTED = "order.rejected.v1"
    CANCEL_REQUESTED = "order.cancel_requested.v1"
    CANCELLED = "order.cancelled.v1"
    CHARGED = "order.charged.v1"
    REFUNDED = "order.refunded.v1"


class EventBase(_Resource):
    """Fields of every event, which do not depend on who reads it."""

    id: str
    type: Annotated[EventType | str, Field(union_mode="left_to_right")]
    time: AwareDatetime
    order_id: str = Field(validation_alias="subject")
    tenant: str = Field(validation_alias="tenantid")
    position: str | None = None

    def __hash__(self) -> int:
        return hash(self.id)


class Event(EventBase):
    """One change of an order. Its `id` is the same whenever the event is read: ignore one that you have handled.

    `order` is the order as it was when the event was read, and may be newer than the change. It is None if the API
    could not read the order. `position` is what to store when the event is handled: reading continues after it.
    """

    order: Order | None = Field(None, validation_alias="data")

    __hash__ = EventBase.__hash__


class TenantEvent(EventBase):
    """One change of an order of any customer of the tenant, as `Event` otherwise."""

    order: TenantOrder | None = Field(None, validation_alias="data")

    __hash__ = EventBase.__hash__


class EventPage(_Resource):
    """Events, and the position after them: store `next` when all are handled. `items` may be empty."""

    items: tuple[Event, ...]
    next: str
    has_more: bool


class TenantEventPage(_Resource):
    """Events of the tenant's orders, and the position after them: store `next` when all are handled."""

    items: tuple[TenantEvent, ...]
    next: str
    has_more: bool


class ListedProduct(_Resource):
    """A product as lists contain it, without its stock."""

    sku: str
    name: str
    unit_price: int
    currency: str
    stock_shards: int = 1
    updated_at: AwareDatetime | None = None


class Product(ListedProduct):
    """A product. `available` units can be ordered now."""

    available: int


class ProductPage(_Resource):
    items: tuple[ListedProduct, ...]
    next_cursor: str | None
    has_more: bool


class EndpointState(StrEnum):
    UNVERIFIED = "unverified"
    ACTIVE = "active"
    FAILING = "failing"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookAttempt(_Resource):
    """One request to a receiver. It succeeded if `status` is 200 to 299 and `error` is None."""

    at: AwareDatetime
    status: int | None
    error: str | None
    milliseconds: int
    response: str


class WebhookEndpoint(_Resource):
    """Endpoint that receives the events of all orders of the tenant; `types` is empty for all types.

    `secret` is set in the result of `create_webhook_endpoint` and `rotate_webhook_secret` only, and `verification` in
    that of a call that sent a challenge.
    """

    id: str
    url: str
    types: tuple[Annotated[EventType | str, Field(union_mode="left_to_right")], ...]
    description: str
    state: Annotated[EndpointState | str, Field(union_mode="left_to_right")]
    disabled_reason: str | None
    failing_since: AwareDatetime | None
    failures: int
    waiting: int
    replaying: int
    delivered_at: AwareDatetime | None
    missed_at: AwareDatetime | None
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    previous_secret_expires_at: AwareDatetime | None
    secret: str | None = Field(repr=False)
    verification: WebhookAttempt | None


class WebhookEndpointPage(_Resource):
    items: tuple[WebhookEndpoint, ...]
    next_cursor: str | None
    has_more: bool


class WebhookDelivery(_Resource):
    """Delivery of one event whose first attempt failed."""

    id: str
    event_id: str
    type: Annotated[EventType | str, Field(union_mode="left_to_right")]
    order_id: str
    state: Annotated[DeliveryState | str, Field(union_mode="left_to_right")]
    created_at: AwareDatetime
    next_attempt_at: AwareDatetime | None
    attempted: int
    attempts: tuple[WebhookAttempt, ...]


class WebhookDeliveryPage(_Resource):
    items: tuple[WebhookDelivery, ...]
    next_cursor: str | None
    has_more: bool


class Fault(_Resource):
    """One error in a request. `pointer` is a JSON pointer into the body, or `query:limit`, `path:sku`, `header:…`."""

    pointer: str
    code: str
    detail: str
