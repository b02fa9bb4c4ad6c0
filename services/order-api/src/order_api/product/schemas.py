"""Products on the wire."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from order_api.schemas import Instant, Request, Resource, typename
from order_shared.inventory.models import MAX_NAME_LENGTH, MAX_UNIT_PRICE, Product, StockedProduct
from order_shared.patterns import TEXT_PATTERN
from order_shared.tables import MAX_STOCK_SHARDS

MAX_DELTA = 1_000_000_000


class ProductIn(Request):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=TEXT_PATTERN, examples=["Green tea"])]
    unit_price: Annotated[int, Field(ge=0, le=MAX_UNIT_PRICE, description="Minor units.", examples=[590])]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["EUR"])]
    stock_shards: Annotated[
        int | None,
        Field(ge=1, le=MAX_STOCK_SHARDS, description="More of them let more buyers in at once. Only grows."),
    ] = None


def _not_zero(delta: int) -> int:
    if delta == 0:
        raise PydanticCustomError("no_change", "a change of 0 changes nothing")
    return delta


class StockIn(Request):
    delta: Annotated[
        int,
        Field(ge=-MAX_DELTA, le=MAX_DELTA, description="Units to add, or to take away if negative.", examples=[100]),
        AfterValidator(_not_zero),
    ]


class ProductOut(Resource):
    """`unit_price` is in minor units of `currency`."""

    typename: Literal["Product"] = typename("Product")
    sku: str
    name: str
    unit_price: int
    currency: str
    stock_shards: int
    updated_at: Instant

    @classmethod
    def of(cls, product: Product) -> "ProductOut":
        return cls(**_fields(product))


class StockedProductOut(ProductOut):
    available: int = Field(description="Units that can be ordered now.")

    @classmethod
    def of_stocked(cls, stocked: StockedProduct) -> "StockedProductOut":
        return cls(**_fields(stocked.product), available=stocked.available)


class ProductPage(Resource):
    typename: Literal["ProductPage"] = typename("ProductPage")
    items: list[ProductOut]
    next_cursor: str | None
    has_more: bool


def _fields(product: Product) -> dict[str, object]:
    return {
        "sku": product.sku,
        "name": product.name,
        "unit_price": product.unit_price,
        "currency": product.currency,
        "stock_shards": product.stock_shards,
        "updated_at": product.updated_at,
    }
