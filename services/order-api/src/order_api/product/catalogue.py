"""In-process cache of existing products and their prices, for at most five seconds.

fresh     4 s   requests use the cached product
overdue   1 s   one request reads the product again; the others use the cached product
expired         each request reads the product, until one has cached it again
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.inventory.models import Product
from order_shared.storage.inventory import InventoryRepository

FRESH_SECONDS = 4.0
OVERDUE_SECONDS = 1.0
CACHE_SIZE = 10_000


@dataclass(slots=True, kw_only=True)
class _Entry:
    product: Product
    fresh_until: float
    """Monotonic time. The request that reads the product again sets it to `known_until`, so that others do not."""
    known_until: float


class Catalogue:
    """Product cache. Missing products are not cached, so that a new product can be ordered at once."""

    def __init__(self, inventory: InventoryRepository, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._inventory = inventory
        self._monotonic = monotonic
        self._cache: dict[tuple[str, str], _Entry] = {}

    async def get(self, tenant: str, skus: Collection[str]) -> dict[str, Product]:
        """Return the products by SKU. Raises UnknownSku with the SKUs that do not exist."""
        now = self._monotonic()
        found: dict[str, Product] = {}
        missing: list[str] = []
        for sku in skus:
            entry = self._cache.get((tenant, sku))
            if entry is not None and now < entry.fresh_until:
                found[sku] = entry.product
            else:
                missing.append(sku)
                if entry is not None:
                    entry.fresh_until = entry.known_until
        if missing:
            read = await self._inventory.get_products(tenant, missing)
            unknown = [sku for sku in missing if sku not in read]
            if unknown:
                raise UnknownSku(unknown)
            self._remember(tenant, read, now)
            found |= read
        return found

    def _remember(self, tenant: str, products: dict[str, Product], now: float) -> None:
        if len(self._cache) + len(products) > CACHE_SIZE:
            self._cache.clear()
        fresh_until = now + FRESH_SECONDS
        for sku, product in products.items():
            self._cache[tenant, sku] = _Entry(
                product=product, fresh_until=fresh_until, known_until=fresh_until + OVERDUE_SECONDS
            )
