"""Routes of products."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from order_api.cursors import InvalidCursor
from order_api.dependencies import ProductReader, ProductServiceDep, ProductWriter
from order_api.idempotency import IdempotencyKey, IdempotencyKeyMissing
from order_api.problems import answers
from order_api.product.schemas import ProductIn, ProductOut, ProductPage, StockedProductOut, StockIn
from order_api.schemas import V1, PageQuery
from order_shared.idempotency import IdempotencyKeyReused
from order_shared.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.patterns import SKU_PATTERN

router = APIRouter(prefix=f"{V1}/products", tags=["products"])

SkuPath = Annotated[str, Path(pattern=f"^{SKU_PATTERN}$", examples=["TEA-GREEN-100"])]


@router.get("", summary="List products by SKU", responses=answers(InvalidCursor))
async def list_products(
    identity: ProductReader, query: Annotated[PageQuery, Query()], products: ProductServiceDep
) -> ProductPage:
    page = await products.list_products(identity.customer.tenant, limit=query.limit, cursor=query.cursor)
    return ProductPage(
        items=[ProductOut.of(product) for product in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get("/{sku}", summary="Look at a product and its stock", responses=answers(ProductNotFound))
async def get_product(identity: ProductReader, sku: SkuPath, products: ProductServiceDep) -> StockedProductOut:
    return StockedProductOut.of_stocked(await products.get(identity.customer.tenant, sku))


@router.put("/{sku}", summary="Create or replace a product", responses=answers(StockShardsShrunk))
async def put_product(
    identity: ProductWriter, sku: SkuPath, body: ProductIn, products: ProductServiceDep
) -> StockedProductOut:
    """The stock stays as it is. A price holds for orders from some seconds after the change."""
    stocked = await products.put(
        identity.customer.tenant,
        sku,
        name=body.name,
        unit_price=body.unit_price,
        currency=body.currency,
        stock_shards=body.stock_shards,
    )
    return StockedProductOut.of_stocked(stocked)


@router.post(
    "/{sku}/stock",
    summary="Add to the stock, or take away",
    responses=answers(IdempotencyKeyMissing, IdempotencyKeyReused, ProductNotFound, InsufficientStock),
)
async def adjust_stock(
    identity: ProductWriter,
    key: IdempotencyKey,
    sku: SkuPath,
    body: StockIn,
    products: ProductServiceDep,
    response: Response,
) -> StockedProductOut:
    """Applied once per `Idempotency-Key`, however often it is sent."""
    adjusted = await products.adjust_stock(identity.customer, sku, body.delta, key)
    if adjusted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return StockedProductOut.of_stocked(adjusted.stocked)
