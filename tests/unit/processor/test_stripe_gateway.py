"""Stripe once it has forgotten our idempotency keys: the payment itself is asked, and nothing is charged blindly."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from order_processor.payments.gateway import PaymentDeclined, PaymentUnavailable
from order_processor.payments.stripe_gateway import StripeGateway

INTENT = "pi_1"
CONFIRM = f"POST /v1/payment_intents/{INTENT}/confirm"
RETRIEVE = f"GET /v1/payment_intents/{INTENT}"
CANCEL = f"POST /v1/payment_intents/{INTENT}/cancel"
REFUND = "POST /v1/refunds"


def intent(status: str) -> dict[str, Any]:
    return {"id": INTENT, "object": "payment_intent", "status": status}


def refusal(code: str) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "code": code, "message": "-"}}


@dataclass
class Stripe:
    """Answers by method and path; a refusal is a 400. `keys` are the idempotency keys, by request."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str | None] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        name = f"{request.method} {request.path}"
        self.keys[name] = request.headers.get("Idempotency-Key")
        body = self.answers[name]
        return web.json_response(body, status=400 if "error" in body else 200)


@pytest.fixture
def stripe() -> Stripe:
    return Stripe()


@pytest.fixture
async def gateway(stripe: Stripe) -> AsyncIterator[StripeGateway]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stripe.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        opened = StripeGateway("sk_test", str(server.make_url("/")))
        yield opened
        await opened.aclose()


async def test_a_charge_repeated_after_its_key_was_forgotten_is_looked_up(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.answers = {CONFIRM: refusal("payment_intent_unexpected_state"), RETRIEVE: intent("succeeded")}
    await gateway.confirm("ord_1", INTENT, "pm_card_visa")
    assert set(stripe.keys) == {CONFIRM, RETRIEVE}, "no other payment was made"


@pytest.mark.parametrize(
    ("status", "outcome"), [("canceled", PaymentDeclined), ("processing", PaymentUnavailable)], ids=str
)
async def test_what_the_lookup_finds_decides(
    stripe: Stripe, gateway: StripeGateway, status: str, outcome: type[Exception]
) -> None:
    stripe.answers = {CONFIRM: refusal("payment_intent_unexpected_state"), RETRIEVE: intent(status)}
    with pytest.raises(outcome):
        await gateway.confirm("ord_1", INTENT, "pm_card_visa")


async def test_a_replayed_failure_is_looked_up_too(stripe: Stripe, gateway: StripeGateway) -> None:
    """Under its key Stripe replays an answer that says how the payment was, not how it is."""
    stripe.answers = {CONFIRM: intent("processing"), RETRIEVE: intent("succeeded")}
    await gateway.confirm("ord_1", INTENT, "pm_card_visa")


async def test_a_refund_repeated_after_its_key_was_forgotten_is_no_error(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.answers = {RETRIEVE: intent("succeeded"), REFUND: refusal("charge_already_refunded")}
    await gateway.void("ord_1", INTENT)


async def test_a_payment_is_not_called_undone_before_it_is(stripe: Stripe, gateway: StripeGateway) -> None:
    failed_refund = {"id": "re_1", "object": "refund", "status": "failed"}
    stripe.answers = {RETRIEVE: intent("succeeded"), REFUND: failed_refund}
    with pytest.raises(PaymentUnavailable):
        await gateway.void("ord_1", INTENT)
    stripe.answers = {RETRIEVE: intent("processing"), CANCEL: refusal("payment_intent_unexpected_state")}
    with pytest.raises(PaymentUnavailable):
        await gateway.void("ord_1", INTENT)


async def test_each_effect_has_one_key_made_from_the_order(stripe: Stripe, gateway: StripeGateway) -> None:
    create = "POST /v1/payment_intents"
    stripe.answers = {create: intent("requires_payment_method"), CONFIRM: intent("succeeded")}
    stripe.answers |= {RETRIEVE: intent("requires_payment_method"), CANCEL: intent("canceled")}
    assert await gateway.create("ord_1", amount=1999, currency="EUR") == INTENT
    await gateway.confirm("ord_1", INTENT, "pm_card_visa")
    await gateway.void("ord_1", INTENT)
    stripe.answers = {RETRIEVE: intent("succeeded"), REFUND: {"id": "re_1", "object": "refund", "status": "succeeded"}}
    await gateway.void("ord_1", INTENT)
    keys = {name: key for name, key in stripe.keys.items() if name != RETRIEVE}
    assert keys == {
        create: "ord_1:create",
        CONFIRM: "ord_1:confirm",
        CANCEL: "ord_1:cancel",
        REFUND: "ord_1:refund",
    }
