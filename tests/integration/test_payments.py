"""The payment port's contract, over the fake and over Stripe's adapter against the sandbox; the sandbox's own rules."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from order_processor.payments.gateway import PaymentDeclined, PaymentGateway, PaymentUnavailable
from order_processor.payments.stripe_gateway import StripeGateway
from orderctl.local.payments import API_KEY, HOST, Token, start_payments
from orderctl.local.processes import ProcessGroup
from tests.fakes_payments import MemoryGateway

AMOUNT = 1999
SLOW_SECONDS = 2.0  # beyond two attempts of the short time-out below


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ProcessGroup(tmp_path_factory.mktemp("payments")) as group:
        _, address = start_payments(group, slow_seconds=SLOW_SECONDS)
        yield address


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Provider:
    """The gateway under test, and what the provider's books say of one order."""

    gateway: PaymentGateway
    address: str | None = None

    async def create(self, order_id: str) -> str:
        return await self.gateway.create(order_id, amount=AMOUNT, currency="EUR")

    def books(self, order_id: str) -> tuple[int, int]:
        """Charged and refunded, over all payments of the order."""
        if isinstance(self.gateway, MemoryGateway):
            return self.gateway.charged.get(order_id, 0), self.gateway.refunded.get(order_id, 0)
        rows = httpx.get(f"{self.address}/_sandbox/intents").json()
        own = [row for row in rows if row["order_id"] == order_id]
        return sum(row["amount_received"] for row in own), sum(row["amount_refunded"] for row in own)


@pytest.fixture(params=["fake", "stripe"])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "fake":
        yield Provider(MemoryGateway())
        return
    address = request.getfixturevalue("sandbox")
    async with aclosing(StripeGateway(API_KEY, address)) as gateway:
        yield Provider(gateway, address)


async def test_creating_twice_gives_one_payment_and_moves_no_money(provider: Provider, order_id: str) -> None:
    first, second = await provider.create(order_id), await provider.create(order_id)
    assert first == second
    assert provider.books(order_id) == (0, 0)


async def test_confirming_twice_charges_once(provider: Provider, order_id: str) -> None:
    payment_id = await provider.create(order_id)
    await provider.gateway.confirm(order_id, payment_id, Token.WORKS)
    await provider.gateway.confirm(order_id, payment_id, Token.WORKS)
    assert provider.books(order_id) == (AMOUNT, 0)


@pytest.mark.parametrize(
    ("token", "code"), [(Token.DECLINED, "card_declined"), ("pm_of_somebody_else", "resource_missing")]
)
async def test_a_refused_token_is_declined_each_time(provider: Provider, order_id: str, token: str, code: str) -> None:
    payment_id = await provider.create(order_id)
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            await provider.gateway.confirm(order_id, payment_id, token)
        assert declined.value.code == code
        assert token not in str(declined.value)
    assert provider.books(order_id) == (0, 0)


async def test_after_a_failure_the_same_keys_work(provider: Provider, order_id: str) -> None:
    payment_id = await provider.create(order_id)
    with pytest.raises(PaymentUnavailable):
        await provider.gateway.confirm(order_id, payment_id, Token.FAILS_ONCE)
    assert provider.books(order_id) == (0, 0)
    await provider.gateway.confirm(order_id, payment_id, Token.FAILS_ONCE)
    assert provider.books(order_id) == (AMOUNT, 0)


@pytest.mark.parametrize("token", [Token.WORKS, Token.SLOW])
async def test_concurrent_confirms_charge_once(provider: Provider, order_id: str, token: Token) -> None:
    payment_id = await provider.create(order_id)
    confirms = (provider.gateway.confirm(order_id, payment_id, token) for _ in range(5))
    answers = await asyncio.gather(*confirms, return_exceptions=True)
    assert None in answers
    assert all(answer is None or isinstance(answer, PaymentUnavailable) for answer in answers)
    assert provider.books(order_id) == (AMOUNT, 0)


async def test_a_voided_payment_is_never_charged(provider: Provider, order_id: str) -> None:
    payment_id = await provider.create(order_id)
    await provider.gateway.void(order_id, payment_id)
    await provider.gateway.void(order_id, payment_id)
    with pytest.raises(PaymentDeclined) as declined:
        await provider.gateway.confirm(order_id, payment_id, Token.WORKS)
    assert declined.value.code == "payment_canceled"
    assert provider.books(order_id) == (0, 0)


async def test_a_declined_payment_can_be_voided(provider: Provider, order_id: str) -> None:
    payment_id = await provider.create(order_id)
    with pytest.raises(PaymentDeclined):
        await provider.gateway.confirm(order_id, payment_id, Token.DECLINED)
    await provider.gateway.void(order_id, payment_id)
    assert provider.books(order_id) == (0, 0)


async def test_voiding_a_charge_twice_refunds_it_once(provider: Provider, order_id: str) -> None:
    payment_id = await provider.create(order_id)
    await provider.gateway.confirm(order_id, payment_id, Token.WORKS)
    await provider.gateway.void(order_id, payment_id)
    await provider.gateway.void(order_id, payment_id)
    assert provider.books(order_id) == (AMOUNT, AMOUNT)


@pytest.mark.parametrize("token", [Token.WORKS, Token.SLOW, Token.FAILS_ONCE])
async def test_a_void_beside_a_confirm_leaves_no_money(provider: Provider, order_id: str, token: Token) -> None:
    payment_id = await provider.create(order_id)
    await asyncio.gather(
        provider.gateway.confirm(order_id, payment_id, token),
        provider.gateway.void(order_id, payment_id),
        return_exceptions=True,
    )
    await provider.gateway.void(order_id, payment_id)
    charged, refunded = provider.books(order_id)
    assert charged == refunded


async def test_a_missing_payment_is_not_the_customers_fault(provider: Provider, order_id: str) -> None:
    with pytest.raises(PaymentUnavailable):
        await provider.gateway.confirm(order_id, "pi_missing", Token.WORKS)
    with pytest.raises(PaymentUnavailable):
        await provider.gateway.void(order_id, "pi_missing")


async def test_nothing_is_decided_while_the_fake_is_unavailable(order_id: str) -> None:
    gateway = MemoryGateway()
    payment_id = await gateway.create(order_id, amount=AMOUNT, currency="EUR")
    gateway.unavailable = True
    with pytest.raises(PaymentUnavailable):
        await gateway.confirm(order_id, payment_id, Token.WORKS)
    assert gateway.charged == {}


async def test_nothing_is_decided_while_stripe_is_down(order_id: str) -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))  # ours, and nobody listens
        async with aclosing(StripeGateway(API_KEY, f"http://{HOST}:{closed.getsockname()[1]}")) as gateway:
            with pytest.raises(PaymentUnavailable):
                await gateway.create(order_id, amount=AMOUNT, currency="EUR")


async def test_an_api_key_that_is_refused_rejects_nobody(sandbox: str, order_id: str) -> None:
    async with aclosing(StripeGateway("sk_wrong", sandbox)) as gateway:
        with pytest.raises(PaymentUnavailable, match="AuthenticationError 401"):
            await gateway.create(order_id, amount=AMOUNT, currency="EUR")
        with pytest.raises(PaymentUnavailable, match="AuthenticationError 401"):
            await gateway.confirm(order_id, "pi_any", Token.WORKS)


async def test_an_amount_that_stripe_refuses_is_declined(sandbox: str, order_id: str) -> None:
    async with aclosing(StripeGateway(API_KEY, sandbox)) as gateway:
        with pytest.raises(PaymentDeclined):
            await gateway.create(order_id, amount=0, currency="EUR")


async def test_parameters_that_changed_under_a_key_settle_nothing(sandbox: str, order_id: str) -> None:
    async with aclosing(StripeGateway(API_KEY, sandbox)) as gateway:
        payment_id = await gateway.create(order_id, amount=AMOUNT, currency="EUR")
        with pytest.raises(PaymentUnavailable):
            await gateway.create(order_id, amount=AMOUNT + 1, currency="EUR")
        await gateway.confirm(order_id, payment_id, Token.WORKS)
        await gateway.confirm(order_id, payment_id, Token.SLOW)  # the payment itself tells


async def test_an_answer_beyond_the_time_out_is_found_later(sandbox: str, order_id: str) -> None:
    async with aclosing(StripeGateway(API_KEY, sandbox, request_seconds=0.4)) as gateway:
        payment_id = await gateway.create(order_id, amount=AMOUNT, currency="EUR")
        with pytest.raises(PaymentUnavailable):
            await gateway.confirm(order_id, payment_id, Token.SLOW)
        await _until_confirmed(gateway, order_id, payment_id)
        assert Provider(gateway, sandbox).books(order_id) == (AMOUNT, 0)


async def _until_confirmed(gateway: PaymentGateway, order_id: str, payment_id: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return await gateway.confirm(order_id, payment_id, Token.SLOW)
        except PaymentUnavailable:
            assert time.monotonic() < deadline


class Http:
    """Stripe's HTTP API as it is, without the SDK."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, path: str, form: Mapping[str, str], key: str) -> httpx.Response:
        return await self._client.post(path, data=form, headers={"Idempotency-Key": key})

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path)

    async def new_intent(self) -> str:
        answer = await self.post("/v1/payment_intents", {"amount": str(AMOUNT), "currency": "eur"}, uuid.uuid4().hex)
        return f"/v1/payment_intents/{answer.json()['id']}"


@pytest.fixture
async def http(sandbox: str) -> AsyncIterator[Http]:
    async with httpx.AsyncClient(base_url=sandbox, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        yield Http(client)


@pytest.mark.parametrize(("token", "status"), [(Token.WORKS, 200), (Token.DECLINED, 402)])
async def test_the_same_key_and_parameters_replay_the_answer(
    http: Http, order_id: str, token: Token, status: int
) -> None:
    intent = await http.new_intent()
    first = await http.post(f"{intent}/confirm", {"payment_method": token}, order_id)
    again = await http.post(f"{intent}/confirm", {"payment_method": token}, order_id)
    assert first.status_code == again.status_code == status
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_with_other_parameters_is_refused(http: Http, order_id: str) -> None:
    await http.post("/v1/payment_intents", {"amount": "1", "currency": "eur"}, order_id)
    other = await http.post("/v1/payment_intents", {"amount": "2", "currency": "eur"}, order_id)
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"


async def test_a_key_in_flight_conflicts(http: Http, order_id: str) -> None:
    intent = await http.new_intent()
    confirms = (http.post(f"{intent}/confirm", {"payment_method": Token.SLOW}, order_id) for _ in range(2))
    slow, conflict = sorted(await asyncio.gather(*confirms), key=lambda answer: answer.status_code)
    assert slow.json()["status"] == "succeeded"
    assert conflict.status_code == 409
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"


async def test_a_failure_is_not_saved_under_its_key(http: Http, order_id: str) -> None:
    intent = await http.new_intent()
    answers = [await http.post(f"{intent}/confirm", {"payment_method": Token.FAILS_ONCE}, order_id) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 200]


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
    async with httpx.AsyncClient(base_url=sandbox) as anonymous:
        answer = await anonymous.post("/v1/payment_intents", data={"amount": "1", "currency": "eur"})
    assert answer.status_code == 401


def test_sigterm_ends_the_sandbox(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        child, _ = start_payments(group)
        assert child.stop() == 0
