"""The port to the payment provider.

PlatformError
├── PaymentDeclined          the provider refused for a reason of the customer's: the order cannot be paid this way
└── PaymentUnavailable       no answer, or one that settles nothing: repeat the call later
    ├── IdempotencyKeySpent  the provider saved that answer under the key: repeat the call under the next key
    └── PaymentPaused        the call was not made: the order waits in the outbox
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from order_shared.domain.errors import PlatformError
from order_shared.domain.order.payments import Charge, PaymentCall


class PaymentDeclined(PlatformError):
    """`code` is the provider's and stable, such as `card_declined`."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the payment was declined: {code}")
        self.code = code


class FailureReason(StrEnum):
    """Reason of a payment call that settled nothing."""

    NO_RESPONSE = "no_response"
    """The provider did not answer in time, or something between us answered in its place."""
    THROTTLED = "throttled"
    """It refuses more requests for now, or works on the same request already."""
    PROVIDER_ERROR = "provider_error"
    """It failed: a 5xx, a refund that failed."""
    REFUSED = "refused"
    """It refuses our request: a wrong API key, an account that may not charge, a parameter that it does not know.
    Nothing that a customer did, and nothing that ends by itself."""
    PENDING = "pending"
    """The payment has not come to an end yet."""
    PACED = "paced"
    """We have not asked: the rate of our calls is used up."""


class PaymentUnavailable(PlatformError):
    """Money may or may not have moved; the same call, repeated, finds out and never moves it twice.

    `is_outage` says that the provider fails for every order: no response, 401, 403, 429 or 5xx.
    """

    def __init__(self, message: str, reason: FailureReason, *, is_outage: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_outage = is_outage

    @property
    def cause(self) -> str:
        return f"payment_{self.reason}"


class IdempotencyKeySpent(PaymentUnavailable):
    """The provider replays this answer for as long as the key lives, and the call had no effect."""

    def __init__(self, message: str, reason: FailureReason, call: PaymentCall, *, is_outage: bool = False) -> None:
        super().__init__(message, reason, is_outage=is_outage)
        self.call = call


class PaymentPaused(PaymentUnavailable):
    """The call was not made: the provider is down, or is asked often enough. `retry_after` is None if nobody knows."""

    def __init__(self, message: str, reason: FailureReason, retry_after: timedelta | None = None) -> None:
        super().__init__(message, reason)
        self.retry_after = retry_after


class PaymentStatus(StrEnum):
    OPEN = "open"
    """Not confirmed: no money has moved."""
    SUCCEEDED = "succeeded"
    """The money was taken. A refund does not change that."""
    CANCELLED = "cancelled"
    """It can never be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the provider has it.

    `matches` is false if its amount or currency is not the order's. `declined` is the code of the last attempt to
    confirm it, if that failed for a reason of the customer's.
    """

    status: PaymentStatus
    matches: bool
    declined: str | None


class PaymentGateway(Protocol):
    """Every call may be repeated: the idempotency keys derive from the order id, the payment and the attempt number.

    A fence does not reach the provider, so the order is written between the calls: create, write the payment
    id under the fence, confirm; or write the decision to undo, then cancel or refund. Without a written payment id no
    money can have moved. All calls raise PaymentUnavailable. All but `create` need the charge's `payment_id`.
    """

    async def create(self, charge: Charge) -> str:
        """Create an unconfirmed payment, which moves no money; return its id.

        The amount is above 0: the caller takes no payment for a free order. Raises PaymentDeclined.
        """
        ...

    async def retrieve(self, charge: Charge) -> Payment:
        """Read the payment as it is now."""
        ...

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        """Take the money; return SUCCEEDED, also if an earlier call took it, or CANCELLED.

        It says nothing of a later refund: whoever confirms beside an undo loses at the order's fence.
        Raises PaymentDeclined.
        """
        ...

    async def cancel(self, charge: Charge) -> PaymentStatus:
        """Make it impossible to confirm the payment; return CANCELLED, or SUCCEEDED if the money was taken before."""
        ...

    async def refund(self, charge: Charge) -> None:
        """Give back all that a succeeded payment took; return once that is so, now or by an earlier call."""
        ...
