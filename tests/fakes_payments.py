"""The payment provider in memory, with the sandbox's test tokens; one contract suite runs over both."""

import asyncio
from dataclasses import dataclass, field

from devstack.payments.bank import Token
from order_processor.payments.gateway import (
    FailureReason,
    IdempotencyKeySpent,
    Payment,
    PaymentDeclined,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.stripe_gateway import idempotency_key
from order_shared.domain.money.charges import AmountNotChargeable, provider_amount
from order_shared.domain.order.payments import Charge, PaymentCall


@dataclass
class FakePayment:
    """`amount` is in the provider's units of `currency`; `added` is the part that was added by hand."""

    order_id: str
    amount: int
    currency: str
    status: PaymentStatus = PaymentStatus.OPEN
    declined: str | None = None
    has_failed: bool = False
    fails_refund: bool = False
    added: int = 0


@dataclass
class MemoryGateway:
    """`charged` and `refunded` are by order id, in the provider's units; `unavailable` makes every call fail.

    The calls in `refusing` are refused for a fault of the platform; the refusal is stored under the idempotency key.
    """

    unavailable: bool = False
    refusing: set[PaymentCall] = field(default_factory=set)
    charged: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    payments: dict[str, FakePayment] = field(default_factory=dict)
    failures: dict[str, IdempotencyKeySpent] = field(default_factory=dict)
    """Stored failures by idempotency key."""
    answered: set[str] = field(default_factory=set)
    """Idempotency keys under which a success or a decline is saved: their calls are not refused."""
    created: dict[str, tuple[tuple[int, str], str]] = field(default_factory=dict)
    """Amount, currency and payment of each used idempotency key."""

    async def create(self, charge: Charge) -> str:
        key = await self._begin(charge, PaymentCall.CREATE)
        try:
            amount = provider_amount(charge.amount, charge.currency)
        except AmountNotChargeable as error:
            raise PaymentDeclined("amount_not_chargeable") from error
        parameters = (amount, charge.currency)
        if key not in self.created:
            payment_id = f"pi_{charge.order_id}_{len(self.payments)}"
            self.payments[payment_id] = FakePayment(charge.order_id, *parameters)
            self.created[key] = parameters, payment_id
        used_with, payment_id = self.created[key]
        if used_with != parameters:
            raise IdempotencyKeySpent("used with other parameters", FailureReason.KEY_REUSED, PaymentCall.CREATE)
        return payment_id

    def recreate(self, payment: FakePayment, *, by: int) -> None:
        """Change the amount of a payment, and of its idempotency key, by a difference."""
        payment.amount += by
        payment.added += by
        for key, (_, payment_id) in self.created.items():
            if self.payments[payment_id] is payment:
                self.created[key] = (payment.amount, payment.currency), payment_id

    async def retrieve(self, charge: Charge) -> Payment:
        await self._request()
        payment = self._find(charge)
        try:
            amount = provider_amount(charge.amount, charge.currency)
        except AmountNotChargeable:
            amount = -1
        return Payment(
            status=payment.status,
            matches=(payment.amount, payment.currency) == (amount, charge.currency),
            declined=payment.declined if payment.status is PaymentStatus.OPEN else None,
        )

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        key = await self._begin(charge, PaymentCall.CONFIRM)
        payment = self._find(charge)
        if payment.status is not PaymentStatus.OPEN:
            return payment.status
        if token in {Token.FAILS_ONCE, Token.SAVES_500} and not payment.has_failed:
            payment.has_failed = True
            if token == Token.FAILS_ONCE:
                raise PaymentUnavailable("fails once", FailureReason.PROVIDER_ERROR)
            self._save_failure(key, FailureReason.PROVIDER_ERROR, PaymentCall.CONFIRM)
        payment.declined = payment.declined or _refusal(token)
        if payment.declined is not None:
            raise PaymentDeclined(payment.declined)
        payment.status = PaymentStatus.SUCCEEDED
        payment.fails_refund = token == Token.REFUND_SAVES_500
        self.charged[payment.order_id] = self.charged.get(payment.order_id, 0) + payment.amount
        return payment.status

    async def cancel(self, charge: Charge) -> PaymentStatus:
        await self._begin(charge, PaymentCall.CANCEL)
        payment = self._find(charge)
        if payment.status is PaymentStatus.OPEN:
            payment.status = PaymentStatus.CANCELLED
        return payment.status

    async def refund(self, charge: Charge) -> None:
        key = await self._begin(charge, PaymentCall.REFUND)
        payment = self._find(charge)
        if payment.fails_refund:
            payment.fails_refund = False
            self._save_failure(key, FailureReason.PROVIDER_ERROR, PaymentCall.REFUND)
        if payment.status is not PaymentStatus.SUCCEEDED:
            raise PaymentUnavailable("nothing was taken", FailureReason.REFUSED)
        self.refunded[payment.order_id] = self.charged[payment.order_id]

    async def _begin(self, charge: Charge, call: PaymentCall) -> str:
        """Return the call's key. Raise the failure stored under it, or the refusal of this call."""
        await self._request()
        key = idempotency_key(charge, call)
        if key in self.failures:
            raise self.failures[key]
        if call in self.refusing and key not in self.answered:
            self._save_failure(key, FailureReason.REFUSED, call)
        return key

    def _save_failure(self, key: str, reason: FailureReason, call: PaymentCall) -> None:
        is_outage = reason is FailureReason.PROVIDER_ERROR
        self.failures[key] = IdempotencyKeySpent(f"{call} {reason}", reason, call, is_outage=is_outage)
        raise self.failures[key]

    def _find(self, charge: Charge) -> FakePayment:
        if charge.payment_id not in self.payments:
            raise PaymentUnavailable(f"there is no payment {charge.payment_id}", FailureReason.REFUSED)
        return self.payments[charge.payment_id]

    async def _request(self) -> None:
        await asyncio.sleep(0)
        if self.unavailable:
            raise PaymentUnavailable("down", FailureReason.NO_RESPONSE)


REFUSALS = {
    Token.DECLINED: "card_declined",
    Token.AUTHENTICATION: "authentication_required",
    Token.BANK_DEBIT: "payment_intent_invalid_parameter",
}


def _refusal(token: str) -> str | None:
    if token in set(Token):
        return REFUSALS.get(Token(token))
    return "payment_method_unknown"
