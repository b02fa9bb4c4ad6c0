"""Errors of products and stock.

DomainError
├── ProductNotFound     the tenant has no such product
├── UnknownSku          an order line has a product that does not exist
├── InsufficientStock   an adjustment would make the stock negative
└── StockShardsShrunk   `stock_shards` cannot decrease
"""

from collections.abc import Sequence

from order_shared.domain.errors import DomainError


class ProductNotFound(DomainError):
    def __init__(self, sku: str) -> None:
        super().__init__(f"there is no product {sku}")


class UnknownSku(DomainError):
    def __init__(self, skus: Sequence[str]) -> None:
        super().__init__(f"there is no product {', '.join(skus)}")
        self.skus = tuple(skus)


class InsufficientStock(DomainError):
    def __init__(self, sku: str, available: int) -> None:
        super().__init__(f"only {available} of {sku} are in stock")
        self.available = available


class StockShardsShrunk(DomainError):
    def __init__(self, sku: str, wanted: int) -> None:
        super().__init__(f"{sku} already has more than {wanted} stock shards, and the number cannot decrease")
