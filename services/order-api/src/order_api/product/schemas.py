"""Request and response schemas of products."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from order_api.schemas import INTEGER, Instant, Int64, Request, Resource, typename
from order_shared.domain.inventory.models import MAX_NAME_LENGTH, MAX_UNIT_PRICE, Product, StockedProduct
from order_shared.domain.money.currencies import DECIMALS, UnknownCurrency, known_currency
from order_shared.runtime.validation import TEXT_PATTERN
from order_shared.tables import MAX_STOCK_SHARDS

MAX_DELTA = 1_000_000_000


def _real_currency(currency: str) -> str:
    try:
        return known_currency(currency)
    except UnknownCurrency as error:
        raise PydanticCustomError("unknown_currency", "unknown currency") from error


class ProductIn(Request):
    name: Annotated[
        str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=TEXT_PATTERN, examples=["Green tea, 100 g"])
    ]
    unit_price: Annotated[
        int,
        Field(
            ge=0,
            le=MAX_UNIT_PRICE,
            description="Price in minor units of the currency (ISO 4217): 590 is 5.90 EUR or 590 JPY.",
            examples=[590],
            json_schema_extra={"format": "int64"},
        ),
        INTEGER,
    ]
    currency: Annotated[
        str,
        Field(description="Currency code (ISO 4217).", examples=["EUR"], json_schema_extra={"enum": sorted(DECIMALS)}),
        AfterValidator(_real_currency),
    ]
    stock_shards: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STOCK_SHARDS), INTEGER] | None,
        Field(
            description="Number of stock shards: more shards allow more concurrent buyers. It cannot be reduced.",
            examples=[1],
        ),
    ] = None


def _not_zero(delta: int) -> int:
    if delta == 0:
        raise PydanticCustomError("no_change", "zero")
    return delta


class StockIn(Request):
    delta: Annotated[
        int,
        Field(
            ge=-MAX_DELTA,
            le=MAX_DELTA,
            description="Units to add; negative to remove units.",
            examples=[100],
            json_schema_extra={"format": "int64", "not": {"const": 0}},
        ),
        INTEGER,
        AfterValidator(_not_zero),
    ]


class ProductOut(Resource):
    """A product. `unit_price` is in minor units of `currency`."""

    typename: Literal["Product"] = typename("Product")
    sku: str = Field(examples=["TEA-GREEN-100"])
    name: str = Field(examples=["Green tea, 100 g"])
    unit_price: Int64 = Field(examples=[590])
    currency: str = Field(examples=["EUR"])
    stock_shards: int = Field(examples=[1])
    updated_at: Instant

    @classmethod
    def of(cls, product: Product) -> "ProductOut":
        return cls(**asdict(product))


class StockedProductOut(ProductOut):
    available: Int64 = Field(description="Units that can be ordered now.", examples=[100])

    @classmethod
    def of_stocked(cls, stocked: StockedProduct) -> "StockedProductOut":
        return cls(**asdict(stocked.product), available=stocked.available)


class ProductPage(Resource):
    typename: Literal["ProductPage"] = typename("ProductPage")
    items: list[ProductOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
    has_more: bool
