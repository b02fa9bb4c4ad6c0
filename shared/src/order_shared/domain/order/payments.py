"""Payment state of an order: the attempts of each provider call, and the decision to undo the payment.

The payment provider does not check an order's fence. Every decision to charge or to refund is therefore stored in the
order, with a condition on the fence, before the provider is called.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class PaymentCall(StrEnum):
    """Call to the payment provider that takes effect once per idempotency key."""

    CREATE = "create"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAttempts:
    """Attempt number of each provider call. The number is part of the call's idempotency key.

    The provider saves each response, including errors, and returns it for the same key for a day. After a saved error
    that is not final, the number is therefore incremented, so that the next call has a new key.
    """

    create: int = 0
    confirm: int = 0
    cancel: int = 0
    refund: int = 0

    def raised(self, call: PaymentCall) -> "PaymentAttempts":
        return replace(self, **{call.value: getattr(self, call.value) + 1})

    @property
    def is_first(self) -> bool:
        """True if all attempt numbers are 0: no call has needed a second idempotency key."""
        return self == NO_ATTEMPTS


NO_ATTEMPTS = PaymentAttempts()


class UndoKind(StrEnum):
    REJECT = "reject"
    """The payment was declined: the order ends rejected."""
    CANCEL = "cancel"
    """Cancellation was requested: the order ends cancelled."""
    REPLACE = "replace"
    """The payment's amount or currency differs from the order's: a new payment replaces it."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Decision to undo a payment. Once it is stored, every later owner of the order continues the undo.

    `code` is the provider's reason for a decline, such as `card_declined`.
    """

    kind: UndoKind
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """Payment of an order. `token` is the customer's payment method, `id` the provider's id of the payment.

    `required` is true for an order that has, or had, something to pay. The default is the state of all other orders.
    """

    required: bool = False
    token: str | None = None
    id: str | None = None
    attempts: PaymentAttempts = NO_ATTEMPTS
    undo: Undo | None = None

    def ended(self) -> "PaymentState":
        """Return the state to keep when the order ends: without the token and the decision to undo."""
        return self if self.token is None and self.undo is None else replace(self, token=None, undo=None)


NO_PAYMENT = PaymentState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Input of the payment provider's calls: an order's total and payment.

    `amount` is in minor units of `currency` (ISO 4217). `payment_id` is None until a payment has been created.
    """

    order_id: str
    amount: int
    currency: str
    payment_id: str | None
    attempts: PaymentAttempts
