"""What the API answers. Money is in minor units of `currency`, times are in UTC.

Fields that a newer API adds are ignored.
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
"""Where the platform has done its part. A confirmed order can still be cancelled."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderLine(_Resource):
    sku: str
    name: str
    quantity: int
    unit_price: int
    amount: int


class Reason(_Resource):
    """Why an order was not carried out. `code` is stable, `detail` is for people."""

    code: str
    detail: str
    sku: str | None = None


class TimelineEntry(_Resource):
    status: OrderStatus
    at: AwareDatetime


class Order(_Resource):
    """`version` grows with every change that a customer can see."""

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

    @property
    def is_being_cancelled(self) -> bool:
        """Whatever its status says, it will end as `cancelled`."""
        return self.cancel_requested_at is not None and self.status is not OrderStatus.CANCELLED


class PlacedOrder(Order):
    """`replayed`: the idempotency key was used before, by an earlier call or by an attempt of this one."""

    replayed: bool = False


class OrderPage(_Resource):
    items: tuple[Order, ...]
    next_cursor: str | None
    has_more: bool


class Product(_Resource):
    """`available` units can be ordered now."""

    sku: str
    name: str
    unit_price: int
    currency: str
    available: int


class Fault(_Resource):
    """One fault of a request. `pointer` is a JSON pointer into the body, or `query:limit`, `path:sku`, `header:…`."""

    pointer: str
    code: str
    detail: str
