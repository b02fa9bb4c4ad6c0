"""Request and response schemas of orders."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from order_api.order.listing import DEFAULT_SORT, SORTS
from order_api.order.metadata import MetadataIn
from order_api.schemas import INTEGER, Instant, InstantIn, Int64, PageQuery, Request, Resource, typename
from order_shared.domain.order.models import (
    MAX_LINES,
    MAX_QUANTITY,
    MAX_REFERENCE_LENGTH,
    Order,
    OrderStatus,
    ReasonCode,
    normal_reference,
)
from order_shared.domain.order.payment_summary import MovementType, PaymentSummaryStatus
from order_shared.runtime.validation import SKU_PATTERN, TEXT_PATTERN

Sku = Annotated[str, Field(pattern=f"^{SKU_PATTERN}$", examples=["TEA-GREEN-100"])]


MAX_LINES_SENT = 10 * MAX_LINES
"""Maximum number of lines before those of the same SKU are merged. Validating thousands would take long."""


class OrderLineIn(Request):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY, examples=[2]), INTEGER]


class OrderIn(Request):
    """An order of 1 to 50 lines. Lines of the same SKU are merged; the limits apply after that."""

    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=MAX_LINES_SENT)]
    reference: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=TEXT_PATTERN,
            description="Your id for the order; unique among your orders that are not rejected or cancelled. It is "
            "stored in Unicode form NFC, without blanks at its ends.",
            examples=["PO-2026-0042"],
        ),
    ] = None
    payment_token: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,255}$",
            description="Token of the payment method, issued by the payment provider. Deleted when the order ends.",
            examples=["pm_card_visa"],
        ),
    ] = None
    metadata: MetadataIn = None
    _quantities: dict[str, int] = PrivateAttr(default_factory=dict)

    @field_validator("reference")
    @classmethod
    def _not_blank(cls, reference: str | None) -> str | None:
        if reference is not None and not normal_reference(reference):
            raise PydanticCustomError("blank", "only blanks")
        return reference

    @model_validator(mode="after")
    def _merge(self) -> Self:
        merged: dict[str, int] = {}
        for line in self.lines:
            merged[line.sku] = merged.get(line.sku, 0) + line.quantity
        if len(merged) > MAX_LINES:
            raise PydanticCustomError("too_many_lines", "too many products", {"number": len(merged)})
        for sku, quantity in merged.items():
            if quantity > MAX_QUANTITY:
                raise PydanticCustomError("too_many_units", "too many units", {"number": quantity, "sku": sku})
        self._quantities = merged
        return self

    @property
    def quantities(self) -> dict[str, int]:
        """Return the quantities by SKU."""
        return self._quantities


class OrderListQuery(PageQuery):
    """Parameters that all lists of orders have."""

    status: Annotated[
        frozenset[OrderStatus], Field(description="Only orders in this status. Repeat the parameter to allow several.")
    ] = frozenset()
    created_at_gte: Annotated[
        InstantIn | None,
        Field(alias="created_at[gte]", description="Only orders created at this time, of 1970 to 9999, or later."),
    ] = None
    created_at_lt: Annotated[
        InstantIn | None,
        Field(
            alias="created_at[lt]", description="Only orders created before this time; not before `created_at[gte]`."
        ),
    ] = None

    @field_validator("created_at_lt")
    @classmethod
    def _not_before_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("created_at_gte")
        if start is not None and end is not None and start > end:
            raise PydanticCustomError("window_reversed", "start after end")
        return end

    sort: Annotated[
        str,
        Field(
            max_length=60,
            description="`-created_at` (newest first) or `created_at`.",
            json_schema_extra={"enum": list(SORTS)},
        ),
    ] = DEFAULT_SORT


class OrderQuery(OrderListQuery):
    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=TEXT_PATTERN,
            description="Only orders whose reference or a SKU contains this text. Case is ignored.",
            examples=["PO-2026"],
        ),
    ] = None


class OrderLineOut(Resource):
    typename: Literal["OrderLine"] = typename("OrderLine")
    sku: str
    name: str
    quantity: int
    unit_price: Int64
    amount: Int64


class ReasonOut(Resource):
    code: ReasonCode
    detail: str
    sku: str | None


class TimelineEntryOut(Resource):
    status: OrderStatus
    at: Instant


class MovementOut(Resource):
    """A charge or a refund, in minor units of the order's currency."""

    type: MovementType
    amount: Int64
    at: Instant


class PaymentOut(Resource):
    """What was charged and refunded so far, in minor units of the order's currency."""

    status: PaymentSummaryStatus = Field(
        description="`pending` until the order is charged or ends; `declined` or `cancelled` if it ended without a "
        "charge."
    )
    captured: Int64
    refunded: Int64
    history: list[MovementOut]


class OrderOut(Resource):
    """An order. Money is in minor units of `currency`."""

    typename: Literal["Order"] = typename("Order")
    id: str = Field(validation_alias="order_id", examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345"])
    status: OrderStatus
    version: Int64
    created_at: Instant
    updated_at: Instant
    reference: str | None
    placed_by: str | None = Field(
        description="Subject that placed the order for you, with `orders:act`; null if you placed it."
    )
    metadata: dict[str, str] = Field(description="Your data, as you sent it with the order.")
    lines: list[OrderLineOut]
    currency: str = Field(examples=["EUR"])
    total: Int64
    payment: PaymentOut | None = Field(
        validation_alias="payment_summary", description="Null for an order with nothing to pay."
    )
    reason: ReasonOut | None
    cancel_requested_at: Instant | None = Field(
        description="Time at which cancellation was requested: the order will end as `cancelled`."
    )
    timeline: list[TimelineEntryOut]

    @classmethod
    def of(cls, order: Order) -> "OrderOut":
        return cls.model_validate(order, from_attributes=True)


class OrderPage(Resource):
    typename: Literal["OrderPage"] = typename("OrderPage")
    items: list[OrderOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
    has_more: bool = Field(description="Whether there is a next page. With `status` or `q` it may be empty.")
