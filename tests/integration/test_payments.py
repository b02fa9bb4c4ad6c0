"""The payment port's contract, over the fake and over Stripe's adapter against the sandbox; the sandbox's own rules."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest

from devstack.address import LOOPBACK
from devstack.payments.bank import Token
from devstack.payments.options import API_KEY
from devstack.payments.process import start_payments
from devstack.processes import ProcessGroup
from order_processor.payments.gateway import (
    FailureReason,
    IdempotencyKeySpent,
    Payment,
    PaymentDeclined,
    PaymentGateway,
    PaymentStatus,
    PaymentUnavailable,
)
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.domain.order.payments import Charge, PaymentAttempts, PaymentCall
from tests.fakes_payments import MemoryGateway

AMOUNT = 1999
SLOW_SECONDS = 2.0  # beyond two attempts of the short time-out below


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ProcessGroup(tmp_path_factory.mktemp("payments")) as group:
        _, address = start_payments(group, slow_seconds=SLOW_SECONDS)
        yield address


@dataclass(frozen=True)
class Provider:
    """The gateway under test, and what the provider's books say of one order."""

    gateway: PaymentGateway
    address: str | None = None

    async def create(self, charge: Charge) -> Charge:
        """The charge with its payment."""
        return replace(charge, payment_id=await self.gateway.create(charge))

    def books(self, charge: Charge) -> tuple[int, int]:
        """Charged and refunded, over all payments of the order, in the provider's units."""
        if isinstance(self.gateway, MemoryGateway):
            order_id = charge.order_id
            return self.gateway.charged.get(order_id, 0), self.gateway.refunded.get(order_id, 0)
        rows = httpx2.get(f"{self.address}/_sandbox/intents").json()
        own = [row for row in rows if row["order_id"] == charge.order_id]
        return sum(row["amount_received"] for row in own), sum(row["amount_refunded"] for row in own)


@pytest.fixture
def charge() -> Charge:
    """What a new order costs; it has no payment yet."""
    return Charge(order_id=uuid.uuid4().hex, amount=AMOUNT, currency="EUR", payment_id=None, attempts=PaymentAttempts())


@pytest.fixture(params=["fake", "stripe"])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "fake":
        yield Provider(MemoryGateway())
        return
    address = request.getfixturevalue("sandbox")
    async with aclosing(StripeGateway(API_KEY, address, environment="test")) as gateway:
        yield Provider(gateway, address)


async def undo(gateway: PaymentGateway, charge: Charge) -> None:
    """What follows once the decision is written."""
    if await gateway.cancel(charge) is PaymentStatus.SUCCEEDED:
        await gateway.refund(charge)


async def test_creating_twice_gives_one_payment_and_moves_no_money(provider: Provider, charge: Charge) -> None:
    first, second = await provider.create(charge), await provider.create(charge)
    assert first == second
    assert provider.books(charge) == (0, 0)


async def test_a_payment_is_read_as_it_is(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    opened = Payment(status=PaymentStatus.OPEN, matches=True, declined=None)
    assert await provider.gateway.retrieve(charge) == opened
    assert await provider.gateway.retrieve(replace(charge, amount=AMOUNT + 1)) == replace(opened, matches=False)
    assert await provider.gateway.retrieve(replace(charge, currency="USD")) == replace(opened, matches=False)
    await provider.gateway.confirm(charge, Token.WORKS)
    assert await provider.gateway.retrieve(charge) == replace(opened, status=PaymentStatus.SUCCEEDED)


async def test_confirming_twice_charges_once(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    for _ in range(2):
        assert await provider.gateway.confirm(charge, Token.WORKS) is PaymentStatus.SUCCEEDED
    assert provider.books(charge) == (AMOUNT, 0)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (Token.DECLINED, "card_declined"),
        (Token.AUTHENTICATION, "authentication_required"),
        (Token.BANK_DEBIT, "payment_intent_invalid_parameter"),
        ("pm_of_somebody_else", "payment_method_unknown"),
    ],
)
async def test_a_refused_token_is_declined_each_time(provider: Provider, charge: Charge, token: str, code: str) -> None:
    charge = await provider.create(charge)
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            await provider.gateway.confirm(charge, token)
        assert declined.value.code == code
        assert token not in str(declined.value)
    assert (await provider.gateway.retrieve(charge)).declined == code
    assert provider.books(charge) == (0, 0)


async def test_after_a_failure_that_is_not_saved_the_same_key_works(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    with pytest.raises(PaymentUnavailable):
        await provider.gateway.confirm(charge, Token.FAILS_ONCE)
    assert provider.books(charge) == (0, 0)
    await provider.gateway.confirm(charge, Token.FAILS_ONCE)
    assert provider.books(charge) == (AMOUNT, 0)


async def test_a_failure_that_is_saved_needs_the_next_key(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    for _ in range(2):
        with pytest.raises(IdempotencyKeySpent) as spent:
            await provider.gateway.confirm(charge, Token.SAVES_500)
        assert spent.value.call is PaymentCall.CONFIRM
    assert provider.books(charge) == (0, 0)
    again = replace(charge, attempts=charge.attempts.raised(PaymentCall.CONFIRM))
    assert await provider.gateway.confirm(again, Token.SAVES_500) is PaymentStatus.SUCCEEDED
    assert provider.books(charge) == (AMOUNT, 0)


async def test_a_refund_whose_failure_is_saved_needs_the_next_key(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    await provider.gateway.confirm(charge, Token.REFUND_SAVES_500)
    for _ in range(2):
        with pytest.raises(IdempotencyKeySpent) as spent:
            await provider.gateway.refund(charge)
        assert spent.value.call is PaymentCall.REFUND
    assert provider.books(charge) == (AMOUNT, 0)
    again = replace(charge, attempts=charge.attempts.raised(PaymentCall.REFUND))
    for _ in range(2):
        await provider.gateway.refund(again)
    assert provider.books(charge) == (AMOUNT, AMOUNT)


@pytest.mark.parametrize("token", [Token.WORKS, Token.SLOW])
async def test_concurrent_confirms_charge_once(provider: Provider, charge: Charge, token: Token) -> None:
    charge = await provider.create(charge)
    confirms = (provider.gateway.confirm(charge, token) for _ in range(5))
    answers = await asyncio.gather(*confirms, return_exceptions=True)
    assert PaymentStatus.SUCCEEDED in answers
    assert all(answer is PaymentStatus.SUCCEEDED or isinstance(answer, PaymentUnavailable) for answer in answers)
    assert provider.books(charge) == (AMOUNT, 0)


async def test_a_cancelled_payment_is_never_charged(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    for _ in range(2):
        assert await provider.gateway.cancel(charge) is PaymentStatus.CANCELLED
    assert await provider.gateway.confirm(charge, Token.WORKS) is PaymentStatus.CANCELLED
    assert provider.books(charge) == (0, 0)


async def test_a_declined_payment_can_be_cancelled(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    with pytest.raises(PaymentDeclined):
        await provider.gateway.confirm(charge, Token.DECLINED)
    assert await provider.gateway.cancel(charge) is PaymentStatus.CANCELLED
    assert provider.books(charge) == (0, 0)


async def test_a_charge_is_refunded_once(provider: Provider, charge: Charge) -> None:
    charge = await provider.create(charge)
    await provider.gateway.confirm(charge, Token.WORKS)
    for _ in range(2):
        await undo(provider.gateway, charge)
    assert provider.books(charge) == (AMOUNT, AMOUNT)


@pytest.mark.parametrize("token", [Token.WORKS, Token.SLOW, Token.FAILS_ONCE, Token.SAVES_500])
async def test_an_undo_beside_a_confirm_leaves_no_money(provider: Provider, charge: Charge, token: Token) -> None:
    charge = await provider.create(charge)
    await asyncio.gather(
        provider.gateway.confirm(charge, token), undo(provider.gateway, charge), return_exceptions=True
    )
    await undo(provider.gateway, charge)
    charged, refunded = provider.books(charge)
    assert charged == refunded


async def test_a_missing_payment_is_not_the_customers_fault(provider: Provider, charge: Charge) -> None:
    missing = replace(charge, payment_id="pi_missing")
    for call in (
        provider.gateway.retrieve(missing),
        provider.gateway.confirm(missing, Token.WORKS),
        provider.gateway.cancel(missing),
    ):
        with pytest.raises(PaymentUnavailable) as unavailable:
            await call
        assert unavailable.value.reason is FailureReason.REFUSED


async def test_parameters_that_changed_under_a_key_spend_it(provider: Provider, charge: Charge) -> None:
    """As the last release's do, for a currency that it counts in other units."""
    await provider.create(charge)
    changed = replace(charge, amount=AMOUNT + 1)
    with pytest.raises(IdempotencyKeySpent) as spent:
        await provider.gateway.create(changed)
    assert (spent.value.call, spent.value.reason) == (PaymentCall.CREATE, FailureReason.KEY_REUSED)
    again = await provider.create(replace(changed, attempts=PaymentAttempts(create=1)))
    assert await provider.gateway.confirm(again, Token.WORKS) is PaymentStatus.SUCCEEDED
    assert provider.books(charge) == (AMOUNT + 1, 0)


async def test_a_payment_names_its_environment_and_its_order(sandbox: str, charge: Charge) -> None:
    async with aclosing(StripeGateway(API_KEY, sandbox, environment="prod-us")) as gateway:
        payment_id = await gateway.create(charge)
    (row,) = [row for row in httpx2.get(f"{sandbox}/_sandbox/intents").json() if row["id"] == payment_id]
    assert (row["order_id"], row["environment"]) == (charge.order_id, "prod-us")


async def test_a_bank_debit_that_the_last_release_allowed_is_neither_confirmed_nor_undone(
    http: "Http", sandbox: str, charge: Charge, key: str
) -> None:
    """It stays `processing` for days, so its order waits, and an operator has to look at it after a day."""
    allowed = {"automatic_payment_methods[enabled]": "true", "amount": str(AMOUNT), "currency": "eur"}
    payment_id = (await http.post("/v1/payment_intents", allowed, key)).json()["id"]
    debit = {"payment_method": Token.BANK_DEBIT}
    await http.post(f"/v1/payment_intents/{payment_id}/confirm", debit, f"{key}-2")
    charge = replace(charge, payment_id=payment_id)
    async with aclosing(StripeGateway(API_KEY, sandbox, environment="test")) as gateway:
        for call in (gateway.retrieve(charge), gateway.confirm(charge, Token.WORKS), gateway.cancel(charge)):
            with pytest.raises(PaymentUnavailable) as unavailable:
                await call
            assert unavailable.value.reason is FailureReason.PENDING


async def test_nothing_is_decided_while_the_fake_is_unavailable(charge: Charge) -> None:
    gateway = MemoryGateway()
    charge = await Provider(gateway).create(charge)
    gateway.unavailable = True
    with pytest.raises(PaymentUnavailable):
        await gateway.confirm(charge, Token.WORKS)
    assert gateway.charged == {}


async def test_nothing_is_decided_while_stripe_is_down(charge: Charge) -> None:
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))  # ours, and nobody listens
        address = f"http://{LOOPBACK}:{closed.getsockname()[1]}"
        async with aclosing(StripeGateway(API_KEY, address, environment="test")) as gateway:
            with pytest.raises(PaymentUnavailable) as unavailable:
                await gateway.create(charge)
    assert unavailable.value.reason is FailureReason.NO_RESPONSE


async def test_an_api_key_that_is_refused_rejects_nobody(sandbox: str, charge: Charge) -> None:
    async with aclosing(StripeGateway("sk_wrong", sandbox, environment="test")) as gateway:
        with pytest.raises(PaymentUnavailable, match="AuthenticationError 401") as unavailable:
            await gateway.create(charge)
        assert unavailable.value.reason is FailureReason.REFUSED
        with pytest.raises(PaymentUnavailable, match="AuthenticationError 401"):
            await gateway.confirm(replace(charge, payment_id="pi_any"), Token.WORKS)


async def test_an_answer_beyond_the_time_out_is_found_later(sandbox: str, charge: Charge) -> None:
    async with aclosing(StripeGateway(API_KEY, sandbox, environment="test", request_seconds=0.4)) as gateway:
        charge = await Provider(gateway).create(charge)
        with pytest.raises(PaymentUnavailable):
            await gateway.confirm(charge, Token.SLOW)
        await _until_confirmed(gateway, charge)
        assert Provider(gateway, sandbox).books(charge) == (AMOUNT, 0)


async def _until_confirmed(gateway: PaymentGateway, charge: Charge) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await gateway.confirm(charge, Token.SLOW)
        except PaymentUnavailable:
            assert time.monotonic() < deadline
        else:
            return


class Http:
    """Stripe's HTTP API as it is, without the SDK."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def post(self, path: str, form: Mapping[str, str], key: str) -> httpx2.Response:
        return await self._client.post(path, data=form, headers={"Idempotency-Key": key})

    async def get(self, path: str) -> httpx2.Response:
        return await self._client.get(path)

    async def new_intent(self) -> str:
        answer = await self.post("/v1/payment_intents", {"amount": str(AMOUNT), "currency": "eur"}, uuid.uuid4().hex)
        return f"/v1/payment_intents/{answer.json()['id']}"


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def http(sandbox: str) -> AsyncIterator[Http]:
    async with httpx2.AsyncClient(base_url=sandbox, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        yield Http(client)


@pytest.mark.parametrize(("token", "status"), [(Token.WORKS, 200), (Token.DECLINED, 402)])
async def test_the_same_key_and_parameters_replay_the_answer(http: Http, key: str, token: Token, status: int) -> None:
    intent = await http.new_intent()
    first = await http.post(f"{intent}/confirm", {"payment_method": token}, key)
    again = await http.post(f"{intent}/confirm", {"payment_method": token}, key)
    assert first.status_code == again.status_code == status
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_with_other_parameters_is_refused(http: Http, key: str) -> None:
    await http.post("/v1/payment_intents", {"amount": "100", "currency": "eur"}, key)
    other = await http.post("/v1/payment_intents", {"amount": "200", "currency": "eur"}, key)
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"


async def test_a_key_in_flight_conflicts(http: Http, key: str) -> None:
    intent = await http.new_intent()
    confirms = (http.post(f"{intent}/confirm", {"payment_method": Token.SLOW}, key) for _ in range(2))
    slow, conflict = sorted(await asyncio.gather(*confirms), key=lambda answer: answer.status_code)
    assert slow.json()["status"] == "succeeded"
    assert conflict.status_code == 409
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"


@pytest.mark.parametrize(("token", "second"), [(Token.FAILS_ONCE, 200), (Token.SAVES_500, 500)])
async def test_a_failure_is_saved_under_its_key_unless_it_is_meant_not_to(
    http: Http, key: str, token: Token, second: int
) -> None:
    intent = await http.new_intent()
    answers = [await http.post(f"{intent}/confirm", {"payment_method": token}, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, second]
    another = await http.post(f"{intent}/confirm", {"payment_method": token}, f"{key}-2")
    assert (another.status_code == 200) == (second == 500)


async def test_a_payment_tells_its_last_error(http: Http, key: str) -> None:
    intent = await http.new_intent()
    await http.post(f"{intent}/confirm", {"payment_method": Token.DECLINED}, key)
    told = (await http.get(intent)).json()["last_payment_error"]
    assert (told["type"], told["code"]) == ("card_error", "card_declined")
    await http.post(f"{intent}/confirm", {"payment_method": Token.WORKS}, f"{key}-2")
    assert (await http.get(intent)).json()["last_payment_error"] is None


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("0", "eur", "parameter_invalid_integer"),
        ("12.34", "eur", "parameter_invalid_integer"),
        ("49", "eur", "amount_too_small"),
        ("1234", "kwd", "parameter_invalid_integer"),
        ("50", "isk", "parameter_invalid_integer"),
        ("1000000000000", "jpy", "amount_too_large"),
        ("100", "zzz", None),
    ],
)
async def test_amounts_that_stripe_does_not_take_are_refused(
    http: Http, key: str, amount: str, currency: str, code: str | None
) -> None:
    answer = await http.post("/v1/payment_intents", {"amount": amount, "currency": currency}, key)
    assert (answer.status_code, answer.json()["error"].get("code")) == (400, code)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("colour", "parameter_unknown"),
        ("automatic_payment_methods[colour]", "parameter_unknown"),
        ("payment_method_types[0]", "payment_method_types_no_longer_supported"),
    ],
)
async def test_an_unknown_parameter_is_refused_and_that_is_not_saved(
    http: Http, key: str, name: str, code: str
) -> None:
    form = {"amount": "100", "currency": "eur"}
    refused = await http.post("/v1/payment_intents", {**form, name: "card"}, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
    assert (await http.post("/v1/payment_intents", form, key)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/payment_intents?colour=red", "/v1/refunds?payment_intent=pi_1&colour=red"])
async def test_an_unknown_parameter_of_a_query_is_refused_too(http: Http, path: str) -> None:
    assert (await http.get(path)).json()["error"]["code"] == "parameter_unknown"


async def test_another_key_neither_charges_nor_refunds_again(http: Http) -> None:
    intent = await http.new_intent()
    refund = {"payment_intent": intent.rpartition("/")[2]}
    card = {"payment_method": Token.WORKS}
    confirms = [await http.post(f"{intent}/confirm", card, uuid.uuid4().hex) for _ in range(2)]
    refunds = [await http.post("/v1/refunds", refund, uuid.uuid4().hex) for _ in range(2)]
    assert confirms[1].json()["error"]["code"] == "payment_intent_unexpected_state"
    assert refunds[1].json()["error"]["code"] == "charge_already_refunded"
    listed = await http.get(f"/v1/refunds?payment_intent={refund['payment_intent']}")
    assert listed.json()["data"] == [refunds[0].json()]


async def test_no_api_key_no_answer(sandbox: str) -> None:
    async with httpx2.AsyncClient(base_url=sandbox) as anonymous:
        answer = await anonymous.post("/v1/payment_intents", data={"amount": "100", "currency": "eur"})
    assert answer.status_code == 401


def test_sigterm_ends_the_sandbox(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        child, _ = start_payments(group)
        assert child.stop() == 0
