"""Gateway results for responses of Stripe: cause, idempotency key and actual state of the payment."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe
from aiohttp import web
from aiohttp.test_utils import TestServer

from order_processor.payments import stripe_errors
from order_processor.payments.gateway import (
    FailureReason,
    IdempotencyKeySpent,
    Payment,
    PaymentDeclined,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.domain.order.payments import Charge, PaymentAttempts, PaymentCall

INTENT = "pi_1"
CREATE = "POST /v1/payment_intents"
CONFIRM = f"POST /v1/payment_intents/{INTENT}/confirm"
RETRIEVE = f"GET /v1/payment_intents/{INTENT}"
CANCEL = f"POST /v1/payment_intents/{INTENT}/cancel"
REFUND = "POST /v1/refunds"
REFUNDS = "GET /v1/refunds"
CARD = "pm_card_visa"

CHARGE = Charge(order_id="ord_1", amount=1999, currency="EUR", payment_id=INTENT, attempts=PaymentAttempts())
NEW = replace(CHARGE, payment_id=None)


def intent(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": INTENT,
        "object": "payment_intent",
        "status": status,
        "amount": 1999,
        "amount_received": 1999 if status == "succeeded" else 0,
        "currency": "eur",
        "last_payment_error": None,
        **more,
    }


def refund(status: str, amount: int = 1999) -> dict[str, Any]:
    return {"id": "re_1", "object": "refund", "status": status, "amount": amount}


def refunds(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(listed), "has_more": False, "url": "/v1/refunds"}


def error(
    status: int, code: str | None, kind: str = "invalid_request_error", param: str | None = None
) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"type": kind, "code": code, "message": "-", "param": param}}


SERVER_ERROR = error(500, None, "api_error")
UNKNOWN_PARAMETER = error(400, "parameter_unknown", param="off_session")
UNEXPECTED_STATE = error(400, "payment_intent_unexpected_state")

Answer = dict[str, Any] | tuple[int, dict[str, Any]] | list[Any]


@dataclass
class Stripe:
    """Responses by method and path: a body, a status and body, or a list of them, whose last one repeats.

    `keys` are the idempotency keys by request, and `bodies` the request bodies.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    keys: dict[str, str | None] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        name = f"{request.method} {request.path}"
        self.keys[name] = request.headers.get("Idempotency-Key")
        self.bodies[name] = await request.text()
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return web.json_response(body, status=status, headers={"Stripe-Should-Retry": "false"})


@pytest.fixture
def provider() -> Stripe:
    return Stripe()


@pytest.fixture
async def gateway(provider: Stripe) -> AsyncIterator[StripeGateway]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        opened = StripeGateway("sk_test", str(server.make_url("/")), environment="prod-us")
        yield opened
        await opened.aclose()


class TestKeys:
    async def test_the_first_attempts_have_the_keys_that_every_release_uses(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {CREATE: intent("requires_payment_method"), CONFIRM: intent("succeeded")}
        provider.answers |= {RETRIEVE: intent("requires_payment_method"), CANCEL: intent("canceled")}
        provider.answers |= {REFUND: refund("succeeded")}
        assert await gateway.create(NEW) == INTENT
        assert await gateway.confirm(CHARGE, CARD) is PaymentStatus.SUCCEEDED
        assert await gateway.cancel(CHARGE) is PaymentStatus.CANCELLED
        await gateway.refund(CHARGE)
        assert {name: key for name, key in provider.keys.items() if name != RETRIEVE} == {
            CREATE: "ord_1:create",
            CONFIRM: "ord_1:confirm",
            CANCEL: "ord_1:cancel",
            REFUND: "ord_1:refund",
        }

    async def test_later_ones_name_the_payment_and_the_attempt(self, provider: Stripe, gateway: StripeGateway) -> None:
        later = replace(CHARGE, attempts=PaymentAttempts(create=1, confirm=2, refund=3))
        provider.answers = {CREATE: intent("requires_payment_method"), CONFIRM: intent("succeeded")}
        provider.answers |= {RETRIEVE: intent("requires_payment_method"), CANCEL: intent("canceled")}
        provider.answers |= {REFUND: refund("succeeded")}
        await gateway.create(replace(later, payment_id=None))
        await gateway.confirm(later, CARD)
        await gateway.cancel(later)
        await gateway.refund(later)
        assert {name: key for name, key in provider.keys.items() if name != RETRIEVE} == {
            CREATE: "ord_1:create:1",
            CONFIRM: f"ord_1:confirm:{INTENT}:2",
            CANCEL: f"ord_1:cancel:{INTENT}:0",
            REFUND: f"ord_1:refund:{INTENT}:3",
        }

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (SERVER_ERROR, FailureReason.PROVIDER_ERROR),
            (UNKNOWN_PARAMETER, FailureReason.REFUSED),
            (error(400, None, "idempotency_error"), FailureReason.KEY_REUSED),
            (error(403, None), FailureReason.REFUSED),
        ],
        ids=["500", "unknown parameter", "idempotency error", "403"],
    )
    @pytest.mark.parametrize("call", PaymentCall)
    async def test_a_saved_answer_that_settles_nothing_spends_its_key(
        self,
        provider: Stripe,
        gateway: StripeGateway,
        call: PaymentCall,
        answer: tuple[int, dict[str, Any]],
        reason: FailureReason,
    ) -> None:
        status = "succeeded" if call is PaymentCall.REFUND else "requires_payment_method"
        provider.answers = {RETRIEVE: intent(status), REFUNDS: refunds()}
        provider.answers |= dict.fromkeys([CREATE, CONFIRM, CANCEL, REFUND], answer)
        with pytest.raises(IdempotencyKeySpent) as spent:
            await make(gateway, call)
        assert (spent.value.call, spent.value.reason) == (call, reason)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (error(401, None), FailureReason.REFUSED),
            (error(429, "rate_limit"), FailureReason.THROTTLED),
            (error(409, "idempotency_key_in_use", "idempotency_error"), FailureReason.THROTTLED),
        ],
        ids=["401", "429", "409"],
    )
    async def test_an_answer_that_is_not_saved_leaves_the_key(
        self, provider: Stripe, gateway: StripeGateway, answer: tuple[int, dict[str, Any]], reason: FailureReason
    ) -> None:
        provider.answers = {CREATE: answer}
        with pytest.raises(PaymentUnavailable) as unavailable:
            await gateway.create(NEW)
        assert not isinstance(unavailable.value, IdempotencyKeySpent)
        assert unavailable.value.reason is reason

    async def test_a_key_is_not_spent_before_the_payment_was_read(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {CONFIRM: SERVER_ERROR, RETRIEVE: SERVER_ERROR}
        with pytest.raises(PaymentUnavailable) as unavailable:
            await gateway.confirm(CHARGE, CARD)
        assert not isinstance(unavailable.value, IdempotencyKeySpent)

    async def test_a_refund_that_failed_spends_its_key(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {REFUND: refund("failed"), RETRIEVE: intent("succeeded"), REFUNDS: refunds(refund("failed"))}
        with pytest.raises(IdempotencyKeySpent) as spent:
            await gateway.refund(CHARGE)
        assert spent.value.call is PaymentCall.REFUND


async def make(gateway: StripeGateway, call: PaymentCall) -> None:
    match call:
        case PaymentCall.CREATE:
            await gateway.create(NEW)
        case PaymentCall.CONFIRM:
            await gateway.confirm(CHARGE, CARD)
        case PaymentCall.CANCEL:
            await gateway.cancel(CHARGE)
        case PaymentCall.REFUND:
            await gateway.refund(CHARGE)


async def test_a_payment_allows_cards_only_and_names_order_and_environment(
    provider: Stripe, gateway: StripeGateway
) -> None:
    """Other methods may stay `processing` for days, and are neither confirmed nor cancelled until then."""
    provider.answers = {CREATE: intent("requires_payment_method")}
    await gateway.create(NEW)
    assert dict(parse_qsl(provider.bodies[CREATE])) == {
        "amount": "1999",
        "currency": "eur",
        "allowed_payment_method_types[0]": "card",
        "metadata[order_id]": "ord_1",
        "metadata[environment]": "prod-us",
    }


class TestWhoseFault:
    @pytest.mark.parametrize("code", sorted(stripe_errors.CUSTOMER_CODES))
    async def test_codes_of_the_allow_list_are_declines(
        self, provider: Stripe, gateway: StripeGateway, code: str
    ) -> None:
        provider.answers = {CONFIRM: error(400, code)}
        with pytest.raises(PaymentDeclined) as declined:
            await gateway.confirm(CHARGE, CARD)
        assert declined.value.code == code

    async def test_every_card_error_is_a_decline(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CONFIRM: error(402, "a_code_of_next_year", "card_error")}
        with pytest.raises(PaymentDeclined) as declined:
            await gateway.confirm(CHARGE, CARD)
        assert declined.value.code == "a_code_of_next_year"

    @pytest.mark.parametrize("code", sorted(stripe_errors.PAYMENT_METHOD_CODES))
    async def test_a_payment_method_that_does_not_exist_or_is_no_card_is_the_customers(
        self, provider: Stripe, gateway: StripeGateway, code: str
    ) -> None:
        provider.answers = {CONFIRM: error(400, code, param="payment_method")}
        with pytest.raises(PaymentDeclined):
            await gateway.confirm(CHARGE, CARD)
        provider.answers = {CONFIRM: error(400, code, param="intent"), RETRIEVE: intent("requires_payment_method")}
        with pytest.raises(PaymentUnavailable):
            await gateway.confirm(CHARGE, CARD)

    @pytest.mark.parametrize(
        "code", ["account_invalid", "parameter_unknown", "payment_method_unactivated", "resource_missing", None]
    )
    async def test_every_other_error_rejects_no_order(
        self, provider: Stripe, gateway: StripeGateway, code: str | None
    ) -> None:
        provider.answers = {CREATE: error(400, code, param="intent")}
        with pytest.raises(PaymentUnavailable) as unavailable:
            await gateway.create(NEW)
        assert unavailable.value.reason is FailureReason.REFUSED

    def test_the_allow_list_has_only_codes_of_the_sdk(self) -> None:
        """The SDK lists the codes of a payment's last error. A misspelt code would never match."""
        annotation = stripe.PaymentIntent.LastPaymentError.__annotations__["code"]
        known = set(str(annotation).replace("'", '"').split('"')[1::2])
        assert len(known) > 100
        assert known >= stripe_errors.CUSTOMER_CODES | stripe_errors.PAYMENT_METHOD_CODES

    async def test_errors_contain_no_message_of_stripe(self, provider: Stripe, gateway: StripeGateway) -> None:
        """Messages of Stripe may contain the payment token."""
        status, body = error(400, "parameter_unknown")
        body["error"]["message"] = f"what about {CARD}?"
        provider.answers = {CREATE: (status, body)}
        with pytest.raises(PaymentUnavailable) as unavailable:
            await gateway.create(NEW)
        assert CARD not in json.dumps(str(unavailable.value))
        assert unavailable.value.__cause__ is None


class TestReadings:
    async def test_a_charge_repeated_after_its_key_was_forgotten_is_looked_up(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {CONFIRM: UNEXPECTED_STATE, RETRIEVE: intent("succeeded")}
        assert await gateway.confirm(CHARGE, CARD) is PaymentStatus.SUCCEEDED
        assert set(provider.keys) == {CONFIRM, RETRIEVE}, "no other payment was made"

    async def test_a_cancelled_payment_is_no_decline(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CONFIRM: UNEXPECTED_STATE, RETRIEVE: intent("canceled")}
        assert await gateway.confirm(CHARGE, CARD) is PaymentStatus.CANCELLED

    async def test_a_payment_that_is_still_processed_is_neither(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CONFIRM: UNEXPECTED_STATE, RETRIEVE: intent("processing")}
        with pytest.raises(PaymentUnavailable) as unavailable:
            await gateway.confirm(CHARGE, CARD)
        assert unavailable.value.reason is FailureReason.PENDING

    async def test_a_replayed_answer_tells_how_it_was_not_how_it_is(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {CONFIRM: intent("processing"), RETRIEVE: intent("succeeded")}
        assert await gateway.confirm(CHARGE, CARD) is PaymentStatus.SUCCEEDED

    async def test_nobody_is_there_to_act(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CONFIRM: intent("requires_action"), RETRIEVE: intent("requires_action")}
        with pytest.raises(PaymentDeclined) as declined:
            await gateway.confirm(CHARGE, CARD)
        assert declined.value.code == "authentication_required"

    @pytest.mark.parametrize(
        ("last_error", "declined"),
        [
            (None, None),
            ({"type": "card_error", "code": "card_declined"}, "card_declined"),
            (
                {"type": "invalid_request_error", "code": "resource_missing", "param": "payment_method"},
                "payment_method_unknown",
            ),
            ({"type": "invalid_request_error", "code": "account_invalid"}, None),
            ({"type": "api_error", "code": None}, None),
        ],
        ids=["none", "card", "unknown method", "ours", "stripe's"],
    )
    async def test_the_last_error_is_a_decline_if_it_is_the_customers(
        self, provider: Stripe, gateway: StripeGateway, last_error: dict[str, Any] | None, declined: str | None
    ) -> None:
        provider.answers = {RETRIEVE: intent("requires_payment_method", last_payment_error=last_error)}
        payment = await gateway.retrieve(CHARGE)
        assert payment == Payment(status=PaymentStatus.OPEN, matches=True, declined=declined)

    @pytest.mark.parametrize(
        ("changed", "matches"),
        [({}, True), ({"amount": 1998}, False), ({"currency": "usd"}, False), ({"amount": 199900}, False)],
        ids=str,
    )
    async def test_amount_and_currency_are_compared_with_the_order(
        self, provider: Stripe, gateway: StripeGateway, changed: dict[str, Any], *, matches: bool
    ) -> None:
        provider.answers = {RETRIEVE: intent("requires_payment_method", **changed)}
        assert (await gateway.retrieve(CHARGE)).matches is matches

    async def test_an_order_that_cannot_be_charged_has_no_payment_that_matches(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {RETRIEVE: intent("requires_payment_method", currency="kwd", amount=1234)}
        assert not (await gateway.retrieve(replace(CHARGE, amount=1234, currency="KWD"))).matches

    async def test_a_late_cancel_returns_succeeded(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CANCEL: UNEXPECTED_STATE}
        provider.answers[RETRIEVE] = [intent("requires_payment_method"), intent("succeeded")]
        assert await gateway.cancel(CHARGE) is PaymentStatus.SUCCEEDED

    async def test_a_refund_repeated_after_its_key_was_forgotten_is_no_error(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {REFUND: error(400, "charge_already_refunded")}
        await gateway.refund(CHARGE)

    async def test_a_replayed_failure_of_a_refund_that_has_happened_is_no_error(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        provider.answers = {REFUND: SERVER_ERROR, RETRIEVE: intent("succeeded"), REFUNDS: refunds(refund("pending"))}
        await gateway.refund(CHARGE)

    async def test_a_part_that_was_refunded_by_hand_is_not_all(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {
            REFUND: SERVER_ERROR,
            RETRIEVE: intent("succeeded"),
            REFUNDS: refunds(refund("succeeded", 1)),
        }
        with pytest.raises(IdempotencyKeySpent):
            await gateway.refund(CHARGE)


class TestAmounts:
    async def test_an_amount_is_sent_in_stripes_units(self, provider: Stripe, gateway: StripeGateway) -> None:
        provider.answers = {CREATE: intent("requires_payment_method")}
        await gateway.create(replace(NEW, amount=5000, currency="ISK"))
        assert "amount=500000&currency=isk" in provider.bodies[CREATE]

    async def test_a_total_that_cannot_be_charged_never_reaches_stripe(
        self, provider: Stripe, gateway: StripeGateway
    ) -> None:
        with pytest.raises(PaymentDeclined) as declined:
            await gateway.create(replace(NEW, amount=1234, currency="KWD"))
        assert declined.value.code == "amount_not_chargeable"
        assert provider.keys == {}
