"""The port to the payment provider.

PlatformError
├── PaymentDeclined     the provider refused for good: the order cannot be paid with this token
└── PaymentUnavailable  no answer, or one that settles nothing: repeat the call later
"""

from typing import Protocol

from order_shared.exceptions import PlatformError


class PaymentDeclined(PlatformError):
    """`code` is the provider's and stable, such as `card_declined`."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the payment was declined: {code}")
        self.code = code


class PaymentUnavailable(PlatformError):
    """Money may or may not have moved; the same call, repeated, finds out and never moves it twice."""


class PaymentGateway(Protocol):
    """Every call may be repeated: the idempotency keys derive from the order id.

    A fence does not reach the provider, so the order is written between the calls: create, write the payment
    id under the fence, confirm. Without a written payment id no money can have moved.
    """

    async def create(self, order_id: str, *, amount: int, currency: str) -> str:
        """An unconfirmed payment, which moves no money; its id.

        `amount` is in minor units and above 0: the caller takes no payment for a free order.
        Raises PaymentDeclined, PaymentUnavailable.
        """
        ...

    async def confirm(self, order_id: str, payment_id: str, token: str) -> None:
        """Returns once the payment has succeeded, now or by an earlier call.

        It says nothing of a later refund: whoever confirms beside a void loses at the order's fence.
        Raises PaymentDeclined, PaymentUnavailable.
        """
        ...

    async def void(self, order_id: str, payment_id: str) -> None:
        """Cancels the payment, or refunds it if it succeeded: afterwards no money is held, nor can be taken.

        Raises PaymentUnavailable.
        """
        ...
