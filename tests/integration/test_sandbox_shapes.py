"""The payment sandbox answers in the form of Stripe's API, as the types of the official SDK describe it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import stripe
from aiohttp.test_utils import TestServer

from devstack.payments import parameters
from devstack.payments.api import make_app
from devstack.payments.bank import Bank, Token
from devstack.payments.intents import Status
from devstack.payments.options import API_KEY
from order_processor.payments.stripe_http import HttpxClient

INTENTS = "/v1/payment_intents"
FORM = {"amount": 1999, "currency": "eur"}
NEWER_THAN_THE_SDK = frozenset({"payment_method_types_no_longer_supported"})
"""Codes of Stripe's changelog that the SDK's list does not have."""


def literals(annotation: object) -> set[str]:
    """Return the texts that a type allows."""
    return set(str(annotation).replace("'", '"').split('"')[1::2])


CODES = literals(stripe.PaymentIntent.LastPaymentError.__annotations__["code"]) | NEWER_THAN_THE_SDK
TYPES = literals(stripe.PaymentIntent.LastPaymentError.__annotations__["type"])
ERROR_FIELDS = stripe.ErrorObject.__annotations__.keys()


class Client:
    """Stripe's SDK over the sandbox, which sends what it is given. Its methods raise stripe.StripeError."""

    def __init__(self, address: str) -> None:
        self.http = HttpxClient(address, 2.0, 10.0)
        self.address = address

    async def call(self, method: str, path: str, form: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return the JSON of the response."""
        key = options.pop("api_key", API_KEY)
        client = stripe.StripeClient(
            key, base_addresses={"api": self.address}, max_network_retries=0, http_client=self.http
        )
        answer = await client.raw_request_async(method, path, **(form or {}), **options)
        return answer.data

    async def new_intent(self, token: str | None = None, **form: Any) -> str:
        """Create a payment, and confirm it if there is a token. Return its path."""
        intent = await self.call("post", INTENTS, {**FORM, **form})
        path = f"{INTENTS}/{intent['id']}"
        if token is not None:
            await self.call("post", f"{path}/confirm", {"payment_method": token})
        return path


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestServer(make_app(Bank()), host="127.0.0.1") as server:
        opened = Client(str(server.make_url("/")).rstrip("/"))
        yield opened
        await opened.http.close_async()


async def no_key(client: Client) -> None:
    await client.call("get", f"{INTENTS}/pi_1", api_key="sk_wrong")


async def no_payment(client: Client) -> None:
    await client.call("get", f"{INTENTS}/pi_1")


async def unknown_parameter(client: Client) -> None:
    await client.call("post", INTENTS, {**FORM, "colour": "red"})


async def removed_parameter(client: Client) -> None:
    await client.call("post", INTENTS, {**FORM, "payment_method_types": ["card"]})


async def no_currency(client: Client) -> None:
    await client.call("post", INTENTS, {"amount": 1999})


async def unknown_currency(client: Client) -> None:
    await client.call("post", INTENTS, {"amount": 1999, "currency": "zzz"})


async def too_small(client: Client) -> None:
    await client.call("post", INTENTS, {"amount": 1, "currency": "eur"})


async def other_parameters(client: Client) -> None:
    await client.call("post", INTENTS, FORM, idempotency_key="k")
    await client.call("post", INTENTS, {**FORM, "amount": 2000}, idempotency_key="k")


async def declined(client: Client) -> None:
    await client.new_intent(Token.DECLINED)


async def authentication(client: Client) -> None:
    await client.new_intent(Token.AUTHENTICATION)


async def no_card(client: Client) -> None:
    await client.new_intent(Token.BANK_DEBIT, allowed_payment_method_types=["card"])


async def no_payment_method(client: Client) -> None:
    await client.new_intent("pm_of_nobody")


async def server_error(client: Client) -> None:
    await client.new_intent(Token.SAVES_500)


async def confirmed_twice(client: Client) -> None:
    path = await client.new_intent(Token.WORKS)
    await client.call("post", f"{path}/confirm", {"payment_method": Token.WORKS})


async def refunded_twice(client: Client) -> None:
    path = await client.new_intent(Token.WORKS)
    for _ in range(2):
        await client.call("post", "/v1/refunds", {"payment_intent": path.rpartition("/")[2]})


REFUSALS: Mapping[Any, tuple[type[stripe.StripeError], str | None]] = {
    no_key: (stripe.AuthenticationError, None),
    no_payment: (stripe.InvalidRequestError, "resource_missing"),
    unknown_parameter: (stripe.InvalidRequestError, "parameter_unknown"),
    removed_parameter: (stripe.InvalidRequestError, "payment_method_types_no_longer_supported"),
    no_currency: (stripe.InvalidRequestError, "parameter_missing"),
    unknown_currency: (stripe.InvalidRequestError, None),
    too_small: (stripe.InvalidRequestError, "amount_too_small"),
    other_parameters: (stripe.IdempotencyError, None),
    declined: (stripe.CardError, "card_declined"),
    authentication: (stripe.CardError, "authentication_required"),
    no_card: (stripe.InvalidRequestError, "payment_intent_invalid_parameter"),
    no_payment_method: (stripe.InvalidRequestError, "resource_missing"),
    server_error: (stripe.APIError, None),
    confirmed_twice: (stripe.InvalidRequestError, "payment_intent_unexpected_state"),
    refunded_twice: (stripe.InvalidRequestError, "charge_already_refunded"),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
async def test_an_error_is_one_that_the_sdk_knows(client: Client, refusal: Any) -> None:
    kind, code = REFUSALS[refusal]
    with pytest.raises(stripe.StripeError) as raised:
        await refusal(client)
    error = raised.value
    assert type(error) is kind
    assert error.code == code or (error.error is not None and error.error.code == code)
    assert error.request_id is not None
    assert isinstance(error.json_body, dict)
    body = error.json_body["error"]
    assert body.keys() <= ERROR_FIELDS
    assert None not in body.values(), "Stripe omits what has no value"
    assert body["type"] in TYPES
    assert code is None or code in CODES
    assert ("payment_intent" in body) == (refusal in {declined, authentication, no_card, no_payment_method})


@pytest.mark.parametrize("token", [None, *Token])
async def test_a_payment_has_fields_and_a_status_that_the_sdk_knows(client: Client, token: Token | None) -> None:
    path = await client.new_intent(metadata={"order_id": "ord_1"})
    if token is not None:
        try:
            await client.call("post", f"{path}/confirm", {"payment_method": token})
        except stripe.StripeError as error:
            assert isinstance(error, stripe.CardError | stripe.APIError)  # noqa: PT017
    intent = await client.call("get", path)
    assert intent.keys() <= stripe.PaymentIntent.__annotations__.keys()
    assert intent["status"] in literals(stripe.PaymentIntent.__annotations__["status"])
    assert intent["metadata"] == {"order_id": "ord_1"}


async def test_a_refund_has_fields_that_the_sdk_knows(client: Client) -> None:
    path = await client.new_intent(Token.WORKS)
    refund = await client.call("post", "/v1/refunds", {"payment_intent": path.rpartition("/")[2]})
    assert refund.keys() <= stripe.Refund.__annotations__.keys()


def test_every_status_is_one_of_stripes() -> None:
    assert set(Status) <= literals(stripe.PaymentIntent.__annotations__["status"])


@pytest.mark.parametrize(
    ("supported", "types"),
    [
        (parameters.CREATE, "PaymentIntentCreateParams"),
        (parameters.RETRIEVE, "PaymentIntentRetrieveParams"),
        (parameters.CONFIRM, "PaymentIntentConfirmParams"),
        (parameters.CANCEL, "PaymentIntentCancelParams"),
        (parameters.LIST, "PaymentIntentListParams"),
        (parameters.REFUND, "RefundCreateParams"),
        (parameters.LIST_REFUNDS, "RefundListParams"),
    ],
)
def test_every_supported_parameter_is_one_of_the_sdk(supported: frozenset[str], types: str) -> None:
    """The sandbox may support fewer parameters than Stripe, but none that Stripe would refuse."""
    for name in supported:
        field, _, nested = name.partition("[")
        assert field in getattr(stripe.params, types).__annotations__
        if nested.strip("]") and field != "metadata":
            inner = f"{types}{''.join(part.title() for part in field.split('_'))}"
            assert nested.strip("]") in getattr(stripe.params, inner).__annotations__


async def test_payments_are_listed_page_by_page_from_the_newest(client: Client) -> None:
    paths = [await client.new_intent() for _ in range(5)]
    ids = [path.rpartition("/")[2] for path in paths][::-1]
    first = await client.call("get", INTENTS, {"limit": 2})
    assert ([intent["id"] for intent in first["data"]], first["has_more"]) == (ids[:2], True)
    rest = await client.call("get", INTENTS, {"starting_after": ids[1], "created": {"gte": 0}})
    assert ([intent["id"] for intent in rest["data"]], rest["has_more"]) == (ids[2:], False)
    assert (await client.call("get", INTENTS, {"created": {"lt": 1}}))["data"] == []
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await client.call("get", INTENTS, {"starting_after": "pi_1"})
    assert missing.value.code == "resource_missing"
