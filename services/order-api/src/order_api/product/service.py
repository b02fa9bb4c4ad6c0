"""Use cases of shops: manage products and their stock."""

from collections.abc import Callable
from dataclasses import dataclass

from order_api.cursors import CursorCodec, Page
from order_api.idempotency import earlier_record
from order_shared.domain.clock import Clock
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, RecordTaken, expiry, fingerprint, record_key
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.domain.inventory.models import Product, StockedProduct
from order_shared.domain.order.models import Customer
from order_shared.storage.inventory import InventoryRepository, UnreadableProduct

ADJUST_ROUNDS = 3
PUT_ROUNDS = 3


@dataclass(frozen=True)
class Adjusted:
    stocked: StockedProduct
    replayed: bool


class ProductService:
    def __init__(
        self,
        inventory: InventoryRepository,
        cursors: CursorCodec,
        clock: Clock,
        *,
        on_unreadable: Callable[..., None],
    ) -> None:
        """Create the service. `on_unreadable` is called with `product` and the reason for each one left out."""
        self._on_unreadable = on_unreadable
        self._inventory = inventory
        self._cursors = cursors
        self._clock = clock

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        """Return a product with its stock. Raises ProductNotFound."""
        return await self._inventory.get(tenant, sku)

    async def list_products(self, tenant: str, *, limit: int, cursor: str | None) -> Page[Product]:
        """Return a page of products, sorted by SKU. An unreadable one is left out. Raises InvalidCursor."""
        scope = {"list": "products", "tenant": tenant}
        after = None if cursor is None else self._cursors.decode(cursor, scope)
        products = await self._inventory.list_products(tenant, after=after, limit=limit + 1)
        page = self._cursors.page(products, limit, scope, lambda product: product.sku)
        for product in page.items:
            if isinstance(product, UnreadableProduct):
                self._on_unreadable("product", sku=product.sku, error=product.error)
        return Page([product for product in page.items if isinstance(product, Product)], page.next_cursor)

    async def put(
        self, tenant: str, sku: str, *, name: str, unit_price: int, currency: str, stock_shards: int | None
    ) -> StockedProduct:
        """Create or replace a product. Raises StockShardsShrunk.

        With `stock_shards` None, an existing product keeps its number of shards, and a new product gets one shard.
        """
        for _ in range(PUT_ROUNDS):
            number = stock_shards
            if number is None:
                known = await self._inventory.get_products(tenant, [sku])
                number = known[sku].stock_shards if sku in known else 1
            product = Product(
                tenant=tenant,
                sku=sku,
                name=name,
                unit_price=unit_price,
                currency=currency,
                stock_shards=number,
                updated_at=self._clock(),
            )
            try:
                await self._inventory.put(product)
            except StockShardsShrunk:
                if stock_shards is None:
                    continue  # their number has grown since it was read
                raise
            return await self._inventory.get(tenant, sku)
        raise StorageUnavailable(f"the number of stock shards of {sku} changes too fast")

    async def adjust_stock(self, caller: Customer, sku: str, delta: int, idempotency_key: str) -> Adjusted:
        """Change the stock, once per key. Raises ProductNotFound, InsufficientStock, IdempotencyKeyReused."""
        key = record_key(caller, RecordKind.STOCK, idempotency_key)
        request_fingerprint = fingerprint({"sku": sku, "delta": delta})
        for _ in range(ADJUST_ROUNDS):
            try:
                await self._inventory.adjust(
                    caller.tenant,
                    sku,
                    delta,
                    IdempotencyRecord(
                        key=key, subject=sku, fingerprint=request_fingerprint, expires_at=expiry(self._clock())
                    ),
                )
            except (ProductNotFound, InsufficientStock, RecordTaken) as error:
                if await earlier_record(self._inventory.find_record, key, request_fingerprint, self._clock) is None:
                    if isinstance(error, RecordTaken):
                        continue  # the record expired meanwhile
                    raise
                return Adjusted(await self._inventory.get(caller.tenant, sku), replayed=True)
            return Adjusted(await self._inventory.get(caller.tenant, sku), replayed=False)
        raise StorageUnavailable("too many concurrent requests with one idempotency key")
