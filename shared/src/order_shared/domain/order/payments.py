"""What an order knows about its payment: the attempts of each provider call, and the decision to give money back.

The payment provider does not check our fence. Every decision that moves money, or gives it back, is therefore written
to the order under its fence before the provider is called.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class PaymentCall(StrEnum):
    """A call that the provider answers once per idempotency key."""

    CREATE = "create"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAttempts:
    """The attempt number of each provider call; it is part of the call's idempotency key.

    The provider saves an answer under its key and replays it for a day, errors included. A number is therefore raised
    after a saved answer that settled nothing.
    """

    create: int = 0
    confirm: int = 0
    cancel: int = 0
    refund: int = 0

    def raised(self, call: PaymentCall) -> "PaymentAttempts":
        return replace(self, **{call.value: getattr(self, call.value) + 1})

    @property
    def is_first(self) -> bool:
        """No call has needed a second idempotency key."""
        return self == NO_ATTEMPTS


NO_ATTEMPTS = PaymentAttempts()


class UndoKind(StrEnum):
    REJECT = "reject"
    """The payment was declined: the order ends rejected."""
    CANCEL = "cancel"
    """Cancellation was requested: the order ends cancelled."""
    REPLACE = "replace"
    """The payment has another amount or currency than the order: a new one takes its place."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The decision to undo a payment. From then on whoever works on the order only undoes.

    `code` is the provider's reason for a decline, such as `card_declined`.
    """

    kind: UndoKind
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """How an order is paid. `token` is what the customer pays with, `id` the provider's name of the payment.

    The default is the state of an order with nothing to pay.
    """

    token: str | None = None
    id: str | None = None
    attempts: PaymentAttempts = NO_ATTEMPTS
    undo: Undo | None = None

    def ended(self) -> "PaymentState":
        """Return what the order keeps of its payment when it ends: not the token, nor the decision to undo."""
        return self if self.token is None and self.undo is None else replace(self, token=None, undo=None)


NO_PAYMENT = PaymentState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What the provider is asked about: the order's total, and the payment that stands for it so far.

    `amount` is in minor units of `currency` (ISO 4217). `payment_id` is None until a payment has been created.
    """

    order_id: str
    amount: int
    currency: str
    payment_id: str | None
    attempts: PaymentAttempts
