"""In-process cache of existing products and their prices, for at most five seconds.

fresh     4 s   requests use the cached product
overdue   1 s   one request reads the product again; the others use the cached product
expired         each request reads the product, until one has cached it again
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from order_api.sentences import did_you_mean
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.inventory.models import Product
from order_shared.storage.inventory import InventoryRepository

FRESH_SECONDS = 4.0
OVERDUE_SECONDS = 1.0
CACHE_SIZE = 10_000
SKUS_SUGGESTED = 200
SUGGESTED_SECONDS = 60.0
TENANTS_SUGGESTED = 1_000


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
        self._suggested: dict[str, tuple[float, tuple[str, ...]]] = {}
        """SKUs for suggestions by tenant, each with the monotonic time until which they are used."""

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
                raise UnknownSku(unknown, await self._hints(tenant, unknown))
            self._remember(tenant, read, now)
            found |= read
        return found

    async def _hints(self, tenant: str, unknown: Collection[str]) -> dict[str, str]:
        """Return a suggestion for each unknown SKU that resembles one of the tenant's first SKUS_SUGGESTED products.

        They are read at most once in SUGGESTED_SECONDS, because any caller can send unknown SKUs at any rate.
        """
        until, skus = self._suggested.get(tenant, (0.0, ()))
        now = self._monotonic()
        if now >= until:
            try:
                products = await self._inventory.list_products(tenant, after=None, limit=SKUS_SUGGESTED)
            except StorageUnavailable:
                return {}  # a suggestion is not worth an error of another kind
            skus = tuple(product.sku for product in products if isinstance(product, Product))
            if len(self._suggested) >= TENANTS_SUGGESTED:
                self._suggested.clear()
            self._suggested[tenant] = now + SUGGESTED_SECONDS, skus
        return {sku: did_you_mean(sku, skus) for sku in unknown}

    def _remember(self, tenant: str, products: dict[str, Product], now: float) -> None:
        if len(self._cache) + len(products) > CACHE_SIZE:
            self._cache.clear()
        fresh_until = now + FRESH_SECONDS
        for sku, product in products.items():
            self._cache[tenant, sku] = _Entry(
                product=product, fresh_until=fresh_until, known_until=fresh_until + OVERDUE_SECONDS
            )
