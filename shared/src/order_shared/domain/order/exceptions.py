"""What can go wrong with an order.

DomainError
├── InvalidOrderId      not an id that this platform ever gave
├── OrderNotFound       no such order, or another customer's
├── InvalidTransition   the state machine does not allow it
├── CurrencyMismatch    lines in more than one currency
├── ReferenceTaken      the customer has an order with this reference
├── OrderInstantTaken   the customer has an order of this very microsecond
├── StaleOrder          the stored order is no longer as it was when it was read
└── OutOfStock          less in stock than the order wants
"""

from collections.abc import Sequence

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
    def __init__(self, currencies: Sequence[str]) -> None:
        super().__init__(f"an order has one currency, these lines have {', '.join(currencies)}")
        self.currencies = tuple(currencies)


class ReferenceTaken(DomainError):
    def __init__(self, reference: str) -> None:
        super().__init__(f"you already have an order with the reference {reference!r}")


class OrderInstantTaken(DomainError):
    """Place the order again with a later time."""


class StaleOrder(DomainError):
    """Read the order again and decide anew."""


class OutOfStock(DomainError):
    def __init__(self, skus: Sequence[str]) -> None:
        super().__init__(f"not enough in stock of {', '.join(skus)}")
        self.skus = tuple(skus)
