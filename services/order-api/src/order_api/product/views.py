"""Routes of products."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from order_api.cursors import InvalidCursor
from order_api.dependencies import ScopedRoute, identity_of, requires, services_of
from order_api.idempotency import HEADER, KEY_HEADER, IdempotencyKeyMissing, parse_idempotency_key
from order_api.product.schemas import ProductIn, ProductOut, ProductPage, StockedProductOut, StockIn
from order_api.schemas import V1, PageQuery
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.runtime.validation import SKU_PATTERN

router = APIRouter(prefix=f"{V1}/products", tags=["products"], route_class=ScopedRoute)

SkuPath = Annotated[str, Path(pattern=f"^{SKU_PATTERN}$", examples=["TEA-GREEN-100"])]


@router.get("", summary="List products, sorted by SKU")
@requires("products:read", InvalidCursor)
async def list_products(query: Annotated[PageQuery, Query()], request: Request) -> ProductPage:
    page = await services_of(request).products.list_products(
        identity_of(request).customer.tenant, limit=query.limit, cursor=query.cursor
    )
    return ProductPage(
        items=[ProductOut.of(product) for product in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get("/{sku}", summary="Get a product and its stock")
@requires("products:read", ProductNotFound)
async def get_product(sku: SkuPath, request: Request) -> StockedProductOut:
    stocked = await services_of(request).products.get(identity_of(request).customer.tenant, sku)
    return StockedProductOut.of_stocked(stocked)


@router.put("/{sku}", summary="Create or replace a product")
@requires("products:write", StockShardsShrunk)
async def put_product(sku: SkuPath, body: ProductIn, request: Request) -> StockedProductOut:
    """Create or replace the product without changing its stock. Orders use a new price after some seconds."""
    stocked = await services_of(request).products.put(
        identity_of(request).customer.tenant,
        sku,
        name=body.name,
        unit_price=body.unit_price,
        currency=body.currency,
        stock_shards=body.stock_shards,
    )
    return StockedProductOut.of_stocked(stocked)


@router.post(
    "/{sku}/stock",
    summary="Change the stock",
    openapi_extra=KEY_HEADER,
)
@requires("products:write", IdempotencyKeyMissing, IdempotencyKeyReused, ProductNotFound, InsufficientStock)
async def adjust_stock(
    sku: SkuPath,
    body: StockIn,
    request: Request,
    response: Response,
) -> StockedProductOut:
    """Add or remove units, once per `Idempotency-Key` even if the request is repeated."""
    key = parse_idempotency_key(*request.headers.getlist(HEADER))
    adjusted = await services_of(request).products.adjust_stock(identity_of(request).customer, sku, body.delta, key)
    if adjusted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return StockedProductOut.of_stocked(adjusted.stocked)
