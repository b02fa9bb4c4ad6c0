"""Errors of products and stock.

DomainError
├── ProductNotFound     the tenant has no such product
├── UnknownSku          an order line has a product that does not exist
├── InsufficientStock   an adjustment would make the stock negative
└── StockShardsShrunk   `stock_shards` cannot decrease
"""

from collections.abc import Mapping, Sequence

from order_shared.domain.errors import DomainError


class ProductNotFound(DomainError):
    def __init__(self, sku: str) -> None:
        super().__init__(f"there is no product {sku}")


class UnknownSku(DomainError):
    """Some products do not exist. `details` has a sentence about each SKU."""

    def __init__(self, skus: Sequence[str], hints: Mapping[str, str] | None = None) -> None:
        """`hints` are additions to the sentences, by SKU, such as a SKU that is meant."""
        hints = hints or {}
        self.details = {sku: f"there is no product {sku}{hints.get(sku, '')}" for sku in skus}
        only = self.details[skus[0]] if len(skus) == 1 else f"there is no product {', '.join(skus)}"
        super().__init__(only)
        self.skus = tuple(skus)


class InsufficientStock(DomainError):
    def __init__(self, sku: str, available: int) -> None:
        super().__init__(f"only {available} of {sku} are in stock")
        self.available = available


class StockShardsShrunk(DomainError):
    def __init__(self, sku: str, wanted: int) -> None:
        super().__init__(f"{sku} already has more than {wanted} stock shards, and the number cannot decrease")
