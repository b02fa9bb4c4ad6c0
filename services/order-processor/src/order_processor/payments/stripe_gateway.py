"""Payment gateway over Stripe's PaymentIntents, with the official SDK."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

from order_processor.payments.gateway import (
    FailureReason,
    IdempotencyKeySpent,
    Payment,
    PaymentDeclined,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.stripe_errors import (
    customers_code,
    declined_code,
    describe,
    failure_reason,
    is_outage,
    is_saved,
    unavailable,
)
from order_processor.payments.stripe_http import HttpxClient
from order_shared.domain.money.charges import AmountNotChargeable, provider_amount
from order_shared.domain.order.payments import Charge, PaymentCall
from order_shared.runtime.config import PROVIDER

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 8.0
NETWORK_RETRIES = 1
DEADLINE_SECONDS = 15.0
"""Time limit of one gateway call, including retries and reads. Unless a handling replaces a payment, it makes at most
four calls."""

CARDS_ONLY = ["card"]
"""Types of payment methods. Others, such as bank debits, stay `processing` for days: such a payment can be neither
confirmed nor cancelled, and the stock of its order would be held until then."""

ALREADY_REFUNDED = "charge_already_refunded"
FAILED_REFUND = frozenset({"failed", "canceled"})
STATUSES = {
    "succeeded": PaymentStatus.SUCCEEDED,
    "canceled": PaymentStatus.CANCELLED,
    "requires_payment_method": PaymentStatus.OPEN,
    "requires_confirmation": PaymentStatus.OPEN,
    "requires_action": PaymentStatus.OPEN,
}
"""Payment status by Stripe status. `processing` and `requires_capture` are missing: money may still move."""


class StripeGateway:
    """Gateway to Stripe's API with one connection pool, which `aclose` closes. `api_base` None: the SDK's default.

    The metadata of each payment names its order and the `environment`, for the sweep of abandoned payments.
    """

    def __init__(
        self,
        api_key: str,
        api_base: str | None = None,
        *,
        environment: str,
        connect_seconds: float = CONNECT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._environment = environment
        self._http = HttpxClient(api_base or PROVIDER, connect_seconds, request_seconds)
        stripe_client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=NETWORK_RETRIES,
            http_client=self._http,
        )
        self._intents = stripe_client.v1.payment_intents
        self._refunds = stripe_client.v1.refunds

    async def create(self, charge: Charge) -> str:
        amount = _provider_amount(charge)
        async with _deadline():
            try:
                intent = await self._intents.create_async(
                    {
                        "amount": amount,
                        "currency": charge.currency.lower(),
                        "metadata": {"order_id": charge.order_id, "environment": self._environment},
                        "allowed_payment_method_types": CARDS_ONLY,
                    },
                    {"idempotency_key": idempotency_key(charge, PaymentCall.CREATE)},
                )
            except stripe.StripeError as error:
                if code := declined_code(error):
                    raise PaymentDeclined(code) from None
                raise _unsettled(error, PaymentCall.CREATE) from None
        return intent.id

    async def retrieve(self, charge: Charge) -> Payment:
        async with _deadline():
            return await self._retrieve(charge)

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        failure: stripe.StripeError | None = None
        async with _deadline():
            try:
                intent = await self._intents.confirm_async(
                    _payment_id(charge),
                    {"payment_method": token, "off_session": True},
                    {"idempotency_key": idempotency_key(charge, PaymentCall.CONFIRM)},
                )
                if intent.status == "succeeded":
                    return PaymentStatus.SUCCEEDED
            except stripe.StripeError as error:
                if code := declined_code(error):
                    raise PaymentDeclined(code) from None
                failure = error
            # Inconclusive, or a replay of an old response: read the current state of the payment.
            payment = await self._retrieve(charge, failure)
        if payment.declined is not None:
            raise PaymentDeclined(payment.declined)
        if payment.status is PaymentStatus.OPEN:
            raise _unsettled(failure, PaymentCall.CONFIRM)
        return payment.status

    async def cancel(self, charge: Charge) -> PaymentStatus:
        async with _deadline():
            status = (await self._retrieve(charge)).status
            if status is not PaymentStatus.OPEN:
                return status
            try:
                intent = await self._intents.cancel_async(
                    _payment_id(charge), {}, {"idempotency_key": idempotency_key(charge, PaymentCall.CANCEL)}
                )
            except stripe.StripeError as error:  # the payment may have succeeded meanwhile
                status = (await self._retrieve(charge, error)).status
                if status is PaymentStatus.OPEN:
                    raise _unsettled(error, PaymentCall.CANCEL) from None
                return status
            if intent.status != "canceled":
                raise _unsettled(None, PaymentCall.CANCEL)
            return PaymentStatus.CANCELLED

    async def refund(self, charge: Charge) -> None:
        failure: stripe.StripeError | None = None
        async with _deadline():
            try:
                refund = await self._refunds.create_async(
                    {"payment_intent": _payment_id(charge)},
                    {"idempotency_key": idempotency_key(charge, PaymentCall.REFUND)},
                )
                if refund.status not in FAILED_REFUND:
                    return
            except stripe.StripeError as error:
                if error.code == ALREADY_REFUNDED:
                    return
                failure = error
            if await self._is_refunded(charge, failure):
                return
        raise _unsettled(failure, PaymentCall.REFUND)

    async def aclose(self) -> None:
        await self._http.close_async()

    async def _retrieve(self, charge: Charge, failure: stripe.StripeError | None = None) -> Payment:
        """Read the payment. If that fails, the raised error reports `failure`, the error of the preceding call."""
        try:
            intent = await self._intents.retrieve_async(_payment_id(charge))
        except stripe.StripeError as error:
            raise unavailable(failure or error) from None
        status = STATUSES.get(intent.status)
        if status is None:
            raise PaymentUnavailable(f"payment {intent.id} is {intent.status}", FailureReason.PENDING)
        return Payment(
            status=status,
            matches=_is_of(charge, intent),
            declined=_declined(intent) if status is PaymentStatus.OPEN else None,
        )

    async def _is_refunded(self, charge: Charge, failure: stripe.StripeError | None) -> bool:
        """Return whether the full amount was refunded. Refunds that operators make at Stripe may be partial."""
        payment_id = _payment_id(charge)
        try:
            intent = await self._intents.retrieve_async(payment_id)
            refunds = await self._refunds.list_async({"payment_intent": payment_id, "limit": 100})
        except stripe.StripeError as error:
            raise unavailable(failure or error) from None
        refunded = sum(refund.amount for refund in refunds.data if refund.status not in FAILED_REFUND)
        return refunded >= intent.amount_received


def idempotency_key(charge: Charge, call: PaymentCall) -> str:
    """Return the idempotency key of a call's current attempt.

    The key of the first attempt for an order's first payment has no number, as in all earlier releases. Two releases
    that work on one order therefore use the same key.
    """
    number = getattr(charge.attempts, call.value)
    if call is PaymentCall.CREATE:
        return f"{charge.order_id}:create:{number}" if number else f"{charge.order_id}:create"
    if charge.attempts.create == 0 and number == 0:
        return f"{charge.order_id}:{call}"
    return f"{charge.order_id}:{call}:{charge.payment_id}:{number}"


def _is_of(charge: Charge, intent: stripe.PaymentIntent) -> bool:
    try:
        amount = provider_amount(charge.amount, charge.currency)
    except AmountNotChargeable:
        return False
    return (intent.amount, intent.currency.upper()) == (amount, charge.currency)


def _declined(intent: stripe.PaymentIntent) -> str | None:
    if intent.status == "requires_action":  # the customer cannot act during processing
        return "authentication_required"
    error = getattr(intent, "last_payment_error", None)
    # Stripe omits missing fields of an error, and the SDK's objects raise for them.
    kind, code, param = (getattr(error, name, None) for name in ("type", "code", "param"))
    return customers_code(kind, code, param)


def _provider_amount(charge: Charge) -> int:
    """Return the amount in the provider's units. An order of an older release may not be chargeable."""
    try:
        return provider_amount(charge.amount, charge.currency)
    except AmountNotChargeable:
        raise PaymentDeclined("amount_not_chargeable") from None


def _payment_id(charge: Charge) -> str:
    if charge.payment_id is None:
        raise ValueError(f"order {charge.order_id} has no payment yet")
    return charge.payment_id


def _unsettled(error: stripe.StripeError | None, call: PaymentCall) -> PaymentUnavailable:
    """Return the error of a call without effect. If Stripe saved its response, only another key can succeed."""
    if error is None:
        return IdempotencyKeySpent(f"the {call} of the payment failed", FailureReason.PROVIDER_ERROR, call)
    if is_saved(error):
        return IdempotencyKeySpent(describe(error), failure_reason(error), call, is_outage=is_outage(error))
    return unavailable(error)


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError:
        raise PaymentUnavailable(
            f"the payment provider did not respond within {DEADLINE_SECONDS:.0f} s",
            FailureReason.NO_RESPONSE,
            is_outage=True,
        ) from None
