"""Responses of the API. Money is in minor units of `currency`; times are UTC.

Unknown fields of a newer API are ignored.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict


class OrderStatus(StrEnum):
    PENDING = "pending"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


END_STATES = frozenset({OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED})
"""States in which processing has finished. A confirmed order can still be cancelled."""


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
    status: OrderStatus
    at: AwareDatetime


class Order(_Resource):
    """An order. `version` grows with every change visible to the customer.

    `placed_by` is the subject that placed the order for the customer; None if the customer placed it.
    """

    id: str
    status: OrderStatus
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

    @property
    def is_being_cancelled(self) -> bool:
        """Return whether cancellation was requested and is not complete: the order will end as `cancelled`."""
        return self.cancel_requested_at is not None and self.status is not OrderStatus.CANCELLED


class PlacedOrder(Order):
    """A placed order. `replayed` is true if an earlier call or attempt with the same idempotency key placed it."""

    replayed: bool = False


class OrderPage(_Resource):
    items: tuple[Order, ...]
    next_cursor: str | None
    has_more: bool


class Product(_Resource):
    """A product. `available` units can be ordered now."""

    sku: str
    name: str
    unit_price: int
    currency: str
    available: int


class Fault(_Resource):
    """One error in a request. `pointer` is a JSON pointer into the body, or `query:limit`, `path:sku`, `header:…`."""

    pointer: str
    code: str
    detail: str
