"""Request and response schemas of orders."""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from order_api.schemas import Instant, InstantIn, Integer, PageQuery, Request, Resource, typename
from order_shared.domain.order.models import (
    MAX_LINES,
    MAX_QUANTITY,
    MAX_REFERENCE_LENGTH,
    Order,
    OrderStatus,
    ReasonCode,
)
from order_shared.runtime.validation import SKU_PATTERN, TEXT_PATTERN

Sku = Annotated[str, Field(pattern=f"^{SKU_PATTERN}$", examples=["TEA-GREEN-100"])]


MAX_LINES_SENT = 10 * MAX_LINES
"""Limit before lines of the same SKU are merged: reporting the faults of thousands of lines would take long."""


class OrderLineIn(Request):
    sku: Sku
    quantity: Annotated[Integer, Field(ge=1, le=MAX_QUANTITY, examples=[2])]


class OrderIn(Request):
    """1 to 50 lines; lines of the same SKU are merged, and the limits hold after that."""

    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=MAX_LINES_SENT)]
    reference: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=TEXT_PATTERN,
            description="Your own name for the order; unique among your orders that are not rejected or cancelled.",
            examples=["PO-2026-0042"],
        ),
    ] = None
    payment_token: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,255}$",
            description="What to charge, as the payment provider named it to you. Never stored beyond the order's end.",
            examples=["pm_card_visa"],
        ),
    ] = None
    _quantities: dict[str, int] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _merge(self) -> Self:
        merged: dict[str, int] = {}
        for line in self.lines:
            merged[line.sku] = merged.get(line.sku, 0) + line.quantity
        if len(merged) > MAX_LINES:
            raise PydanticCustomError(
                "too_many_lines", "an order has at most {limit} different products", {"limit": MAX_LINES}
            )
        for sku, quantity in merged.items():
            if quantity > MAX_QUANTITY:
                raise PydanticCustomError(
                    "too_many_units",
                    "at most {limit} units of {sku} in one order",
                    {"limit": MAX_QUANTITY, "sku": sku},
                )
        self._quantities = merged
        return self

    @property
    def quantities(self) -> dict[str, int]:
        """Quantities by SKU."""
        return self._quantities


class OrderQuery(PageQuery):
    status: Annotated[
        frozenset[OrderStatus], Field(description="Orders in this status; repeat it for any of several.")
    ] = frozenset()
    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=TEXT_PATTERN,
            description="Orders whose reference, or one of whose SKUs, contains this text, in upper or lower case.",
            examples=["PO-2026"],
        ),
    ] = None
    created_at_gte: Annotated[
        InstantIn | None, Field(alias="created_at[gte]", description="Created at this time or later.")
    ] = None
    created_at_lt: Annotated[
        InstantIn | None, Field(alias="created_at[lt]", description="Created before this time.")
    ] = None
    sort: Annotated[str, Field(max_length=60, description="`-created_at` (newest first) or `created_at`.")] = (
        "-created_at"
    )


class OrderLineOut(Resource):
    typename: Literal["OrderLine"] = typename("OrderLine")
    sku: str
    name: str
    quantity: int
    unit_price: int
    amount: int


class ReasonOut(Resource):
    code: ReasonCode
    detail: str
    sku: str | None


class TimelineEntryOut(Resource):
    status: OrderStatus
    at: Instant


class OrderOut(Resource):
    """Money is in minor units of `currency`."""

    typename: Literal["Order"] = typename("Order")
    id: str = Field(validation_alias="order_id", examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345"])
    status: OrderStatus
    version: int
    created_at: Instant
    updated_at: Instant
    reference: str | None
    lines: list[OrderLineOut]
    currency: str = Field(examples=["EUR"])
    total: int
    reason: ReasonOut | None
    cancel_requested_at: Instant | None = Field(description="Set if it is being cancelled: it will end as `cancelled`.")
    timeline: list[TimelineEntryOut]

    @classmethod
    def of(cls, order: Order) -> "OrderOut":
        return cls.model_validate(order, from_attributes=True)


class OrderPage(Resource):
    typename: Literal["OrderPage"] = typename("OrderPage")
    items: list[OrderOut]
    next_cursor: str | None = Field(description="Where the next page begins; null if there is none.")
    has_more: bool = Field(description="There is a next page. With `status` or `q` it may turn out to be empty.")
