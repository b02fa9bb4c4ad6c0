"""Interface to the payment provider, and its errors.

PlatformError
├── PaymentDeclined          declined for a reason on the customer's side: the order cannot be paid this way
└── PaymentUnavailable       no response, or an inconclusive one: repeat the call later
    ├── IdempotencyKeySpent  the provider saved the response under its key: repeat the call with the next key
    └── PaymentPaused        the call was not made: the order waits in the outbox
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from order_shared.domain.errors import PlatformError
from order_shared.domain.order.payments import Charge, PaymentCall


class PaymentDeclined(PlatformError):
    """Declined payment. `code` is the provider's stable code, such as `card_declined`."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the payment was declined: {code}")
        self.code = code


class FailureReason(StrEnum):
    """Reason why a payment call has no result."""

    NO_RESPONSE = "no_response"
    """The provider did not respond in time, or a proxy responded instead."""
    THROTTLED = "throttled"
    """The provider limits the request rate, or is already processing the same request."""
    PROVIDER_ERROR = "provider_error"
    """The provider failed: a 5xx, or a failed refund."""
    REFUSED = "refused"
    """The provider refuses the request: a wrong API key, an account without permission, an unknown parameter. The cause
    is on our side and needs an operator."""
    PENDING = "pending"
    """The payment is not final yet."""
    PACED = "paced"
    """No call was made: the process has reached its own call rate."""


class PaymentUnavailable(PlatformError):
    """Payment call without a result: money may have moved. Repeating the call is safe and never moves money twice.

    `is_outage` means that calls for every order fail: no response, or status 401, 403, 429 or 5xx.
    """

    def __init__(self, message: str, reason: FailureReason, *, is_outage: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_outage = is_outage

    @property
    def cause(self) -> str:
        return f"payment_{self.reason}"


class IdempotencyKeySpent(PaymentUnavailable):
    """Call without effect. The provider replays its response until the idempotency key expires."""

    def __init__(self, message: str, reason: FailureReason, call: PaymentCall, *, is_outage: bool = False) -> None:
        super().__init__(message, reason, is_outage=is_outage)
        self.call = call


class PaymentPaused(PaymentUnavailable):
    """Call that was not made, because the provider is down or the call rate is reached.

    `retry_after` is the time until the call rate allows the call; None during an outage.
    """

    def __init__(self, message: str, reason: FailureReason, retry_after: timedelta | None = None) -> None:
        super().__init__(message, reason)
        self.retry_after = retry_after


class PaymentStatus(StrEnum):
    OPEN = "open"
    """Not confirmed: no money has moved."""
    SUCCEEDED = "succeeded"
    """The money was taken. A refund does not change this status."""
    CANCELLED = "cancelled"
    """The payment can never be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """State of a payment at the provider.

    `matches` is false if its amount or currency differs from the order's. `declined` is the code of the last
    confirmation, if it was declined for a reason on the customer's side.
    """

    status: PaymentStatus
    matches: bool
    declined: str | None


class PaymentGateway(Protocol):
    """Gateway to the payment provider. Every call is safe to repeat.

    Idempotency keys derive from order id, payment and attempt number. The provider does not check the fence. Therefore
    the order is written between the calls: after `create` and before `confirm`, the payment id is stored under the
    fence; before `cancel` and `refund`, the decision to undo. Without a stored payment id no money can have moved.
    All calls raise PaymentUnavailable. All except `create` need the charge's `payment_id`.
    """

    async def create(self, charge: Charge) -> str:
        """Create an unconfirmed payment, which moves no money, and return its id.

        The amount must be above 0: a free order has no payment. Raises PaymentDeclined.
        """
        ...

    async def retrieve(self, charge: Charge) -> Payment:
        """Return the current state of the payment."""
        ...

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        """Take the money. Return SUCCEEDED, also if an earlier call took it, or CANCELLED.

        A refunded payment is SUCCEEDED too. If another worker is undoing the payment, the fence of the order rejects
        the write that would follow.
        Raises PaymentDeclined.
        """
        ...

    async def cancel(self, charge: Charge) -> PaymentStatus:
        """Cancel the payment. Return CANCELLED, or SUCCEEDED if the money was already taken."""
        ...

    async def refund(self, charge: Charge) -> None:
        """Refund a succeeded payment in full. Return once it is refunded, by this call or an earlier one."""
        ...
