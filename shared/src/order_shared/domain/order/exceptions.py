"""Errors of orders.

DomainError
├── InvalidOrderId      the platform cannot have created this id
├── OrderNotFound       the order does not exist, or belongs to another customer
├── InvalidTransition   the state machine does not allow the transition
├── CurrencyMismatch    the lines have more than one currency
├── ReferenceTaken      the customer already has an order with this reference
├── OrderInstantTaken   the customer already has an order created in the same microsecond
├── StaleOrder          the stored order has changed since it was read
└── OutOfStock          a stock shard holds less than a line needs
"""

from collections.abc import Mapping, Sequence

from order_shared.domain.errors import DomainError


class InvalidOrderId(DomainError):
    def __init__(self, order_id: str) -> None:
        super().__init__(f"{order_id!r:.60} is not an order id")


class OrderNotFound(DomainError):
    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")


class InvalidTransition(DomainError):
    def __init__(self, order_id: str, before: str, after: str) -> None:
        super().__init__(f"order {order_id} is {before} and cannot become {after}")


class CurrencyMismatch(DomainError):
    """The lines have several currencies. `details` has a sentence about the currency of each SKU."""

    def __init__(self, currencies: Mapping[str, str]) -> None:
        """`currencies` are the currencies by SKU."""
        self.currencies = tuple(sorted(set(currencies.values())))
        super().__init__(f"all lines of an order must have the same currency; these have {', '.join(self.currencies)}")
        self.details = {sku: f"{sku} is priced in {currency}" for sku, currency in currencies.items()}


class ReferenceTaken(DomainError):
    def __init__(self, reference: str) -> None:
        super().__init__(f"you already have an order with the reference {reference!r}")


class OrderInstantTaken(DomainError):
    """The customer already has an order created in the same microsecond. Place the order again with a later time."""


class StaleOrder(DomainError):
    """The stored order has changed since it was read. Read it again, then decide on the next change."""


class OutOfStock(DomainError):
    def __init__(self, skus: Sequence[str]) -> None:
        super().__init__(f"not enough in stock of {', '.join(skus)}")
        self.skus = tuple(skus)
