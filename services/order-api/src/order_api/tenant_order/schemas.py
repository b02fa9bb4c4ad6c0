"""Query and response schemas of the orders of a tenant."""

from typing import Annotated, Literal

from pydantic import AliasPath, Field

from order_api.order.schemas import OrderListQuery, OrderOut
from order_api.schemas import Resource, typename
from order_shared.domain.identity import MAX_SUBJECT_LENGTH
from order_shared.domain.order.models import MAX_REFERENCE_LENGTH, Order
from order_shared.runtime.validation import TEXT_PATTERN


class TenantOrderQuery(OrderListQuery):
    customer: Annotated[
        str | None,
        Field(
            max_length=MAX_SUBJECT_LENGTH,
            pattern="^[ -~]+$",
            description="Only orders of the customer with this subject.",
            examples=["ada"],
        ),
    ] = None
    reference: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_REFERENCE_LENGTH,
            pattern=TEXT_PATTERN,
            description="Only orders with exactly this reference. Several customers may have used it, and one customer "
            "several times if the earlier orders were rejected or cancelled.",
            examples=["PO-2026-0042"],
        ),
    ] = None


class TenantOrderOut(OrderOut):
    """An order, and the customer to whom it belongs. Money is in minor units of `currency`."""

    typename: Literal["TenantOrder"] = typename("TenantOrder")  # type: ignore[assignment]  # the schema has its own name
    customer: str = Field(
        validation_alias=AliasPath("customer", "id"),
        description="Subject of the customer to whom the order belongs.",
        examples=["ada"],
    )

    @classmethod
    def of(cls, order: Order) -> "TenantOrderOut":
        return cls.model_validate(order, from_attributes=True)


class TenantOrderPage(Resource):
    typename: Literal["TenantOrderPage"] = typename("TenantOrderPage")
    items: list[TenantOrderOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
    has_more: bool = Field(description="Whether there is a next page. With filters it may be empty.")
