"""What can be ordered, at what price: kept in the process for some seconds, hits only."""

import time
from collections.abc import Callable, Collection

from order_shared.inventory.exceptions import UnknownSku
from order_shared.inventory.models import Product
from order_shared.inventory.repository import InventoryRepository

CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000


class Catalogue:
    """A product that does not exist is asked for each time, so a new one can be ordered at once."""

    def __init__(self, inventory: InventoryRepository, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._inventory = inventory
        self._monotonic = monotonic
        self._cache: dict[tuple[str, str], tuple[float, Product]] = {}

    async def get(self, tenant: str, skus: Collection[str]) -> dict[str, Product]:
        """All of these products by SKU; raises UnknownSku naming those that do not exist."""
        now = self._monotonic()
        found: dict[str, Product] = {}
        missing: list[str] = []
        for sku in skus:
            until, product = self._cache.get((tenant, sku), (0.0, None))
            if product is not None and now < until:
                found[sku] = product
            else:
                missing.append(sku)
        if missing:
            read = await self._inventory.get_products(tenant, missing)
            unknown = [sku for sku in missing if sku not in read]
            if unknown:
                raise UnknownSku(unknown)
            self._remember(tenant, read, now + CACHE_SECONDS)
            found |= read
        return found

    def _remember(self, tenant: str, products: dict[str, Product], until: float) -> None:
        if len(self._cache) + len(products) > CACHE_SIZE:
            self._cache.clear()
        self._cache.update({(tenant, sku): (until, product) for sku, product in products.items()})
