"""The sweep of abandoned payments, over the sandbox and stored orders."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from aws_json_client import RetryPolicy
from devstack.payments.api import make_app
from devstack.payments.bank import Bank, Token
from devstack.payments.intents import Status
from devstack.payments.options import API_KEY
from devstack.provision import create_table
from devstack.stack import KEY, REGION, local_credentials
from order_operations import payment_provider
from order_operations.payment_provider import PaymentProvider, PaymentProviderFailed
from order_operations.payment_sweep import ABANDONED_AFTER, SUBJECT, PaymentSweep, SweepTally
from order_operations.target import Target
from order_processor.payments.gateway import PaymentStatus
from order_processor.payments.stripe_gateway import StripeGateway
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.storage.order_items import item_key
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.storage.payment_sweeps import OrderPayment, PaymentSweepStore, SweepProgress
from order_shared.tables import TABLES, TableNames
from orderctl import terminal
from orderctl.exceptions import ExitCode
from orderctl.main import app
from tests import engines
from tests.factories import NOON, make_customer, make_order, make_product, make_record, make_stock_record, make_tenant

ENVIRONMENT = "prod-us"
SECOND = timedelta(seconds=1)
MANY = 10_000


async def no_wait(_: float) -> None:
    return None


class LossyStore(PaymentSweepStore):
    """Fails at one of its calls, before the call or after it."""

    left = MANY
    is_applied = False

    async def save(self, progress: SweepProgress) -> None:
        self.left -= 1
        if self.left >= 0 or self.is_applied:
            await super().save(progress)
        if self.left < 0:
            raise StorageUnavailable("DynamoDB: timeout")


@dataclass
class Till:
    """Payments at the sandbox, whose clock the test sets, and the tables of an environment."""

    bank: Bank
    address: str
    http: httpx2.AsyncClient
    dynamo: Dynamo
    tables: TableNames
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.bank.now = self.seconds
        self.orders = DynamoOrderRepository(self.dynamo, self.tables)
        self.inventory = DynamoInventoryRepository(self.dynamo, self.tables)
        self.store = PaymentSweepStore(self.dynamo, self.tables)
        self.customer = make_customer(make_tenant())

    def seconds(self) -> float:
        return self.now.timestamp()

    async def reserved(self) -> Order:
        """Store a reserved order that has no payment yet."""
        product = make_product(tenant=self.customer.tenant)
        await self.inventory.put(product)
        await self.inventory.adjust(product.tenant, product.sku, 2, make_stock_record(product.tenant, product.sku))
        order = make_order(customer=self.customer, lines=[(product, 2)], payment_token=Token.WORKS)
        await self.orders.add(order, make_record(order))
        return await self.orders.move(order, order.reserve(order.created_at, owner="-", lease_until=order.created_at))

    @asynccontextmanager
    async def gateway(self, environment: str = ENVIRONMENT) -> AsyncIterator[StripeGateway]:
        async with aclosing(StripeGateway(API_KEY, self.address, environment=environment)) as opened:
            yield opened

    async def created(self, order: Order, environment: str = ENVIRONMENT) -> str:
        """Create the order's payment, as a processor that is killed before it stores the id."""
        async with self.gateway(environment) as gateway:
            return await gateway.create(order.charge)

    def created_by_the_last_release(self, order_id: str | None) -> str:
        metadata = {} if order_id is None else {"metadata[order_id]": order_id}
        return str(self.bank.create({"amount": "1180", "currency": "eur", **metadata})["id"])

    def status(self, payment_id: str) -> Status:
        return self.bank.intents[payment_id].status

    def sweep(self, environment: str = ENVIRONMENT, store: PaymentSweepStore | None = None) -> PaymentSweep:
        provider = PaymentProvider(self.http, calls_per_second=1e6, sleep=no_wait)
        return PaymentSweep(provider, store or self.store, environment=environment, clock=lambda: self.now)

    async def run(self, **options: Any) -> SweepTally:
        return await self.sweep().run(**{"limit": MANY, **options})

    def wait(self, time: timedelta = ABANDONED_AFTER + SECOND) -> None:
        self.now += time


def created_tables(endpoint: str, prefix: str) -> TableNames:
    for table in TABLES:
        create_table(engines.client("dynamodb", endpoint), table, prefix + table.name)
    return TableNames.with_prefix(prefix)


@asynccontextmanager
async def opened(endpoint: str, tables: TableNames) -> AsyncIterator[Till]:
    """Run the sandbox in this process, so that the test has its clock."""
    bank = Bank()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(make_app(bank), host="127.0.0.1"))
        address = str(server.make_url("/"))
        headers = {"Authorization": f"Bearer {API_KEY}"}
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=address, headers=headers))
        dynamo = await stack.enter_async_context(
            open_dynamo(local_credentials(), region=REGION, endpoint=endpoint, retries=RetryPolicy(deadline=20.0))
        )
        yield Till(bank, address, http, dynamo, tables)


@pytest.fixture
async def till(emulator_endpoint: str, tmp_path: Path) -> AsyncIterator[Till]:
    tables = created_tables(emulator_endpoint, f"{tmp_path.name}-")
    async with opened(emulator_endpoint, tables) as till:
        yield till


async def test_a_payment_whose_id_was_never_stored_is_cancelled_after_48_hours(till: Till) -> None:
    order = await till.reserved()
    payment_id = await till.created(order)
    till.wait(ABANDONED_AFTER - SECOND)
    assert (await till.run()).cancelled == []
    till.wait(SECOND * 2)
    tally = await till.run()
    assert (tally.cancelled, tally.is_complete) == ([payment_id], True)
    assert till.status(payment_id) is Status.CANCELED
    assert till.bank.intents[payment_id].cancellation_reason == "abandoned"


async def test_the_payment_of_an_order_is_kept_however_old(till: Till) -> None:
    order = await till.reserved()
    payment_id = await till.created(order)
    await till.orders.move(order, order.with_payment(payment_id))
    till.wait()
    tally = await till.run()
    assert (tally.cancelled, tally.kept) == ([], 1)
    assert till.status(payment_id) is Status.REQUIRES_PAYMENT_METHOD


async def test_an_order_whose_payment_was_replaced_keeps_the_new_one_only(till: Till) -> None:
    order = await till.reserved()
    old = await till.created(order)
    order = await till.orders.move(order, order.without_payment())  # as after a saved 5xx of the creation
    new = await till.created(order)
    await till.orders.move(order, order.with_payment(new))
    till.wait()
    assert (await till.run()).cancelled == [old]
    assert till.status(new) is Status.REQUIRES_PAYMENT_METHOD


async def test_what_has_ended_is_left_alone(till: Till) -> None:
    order = await till.reserved()
    charge = replace(order.charge, payment_id=await till.created(order))
    async with till.gateway() as gateway:
        await gateway.confirm(charge, Token.WORKS)
    till.wait()
    tally = await till.run()
    assert (tally.read, tally.cancelled, tally.kept, tally.others) == (1, [], 0, 0)


@pytest.mark.parametrize("environment", ["prod", "dev", "prod-us-2"])
async def test_payments_of_another_environment_are_left_alone(till: Till, environment: str) -> None:
    """Even if that environment's order were in our tables, as after a copy."""
    payment_id = await till.created(await till.reserved(), environment)
    till.wait()
    tally = await till.run()
    assert (tally.cancelled, tally.others) == ([], 1)
    assert till.status(payment_id) is Status.REQUIRES_PAYMENT_METHOD


async def test_a_payment_of_the_last_release_is_cancelled_only_if_its_order_is_ours(till: Till) -> None:
    """It names its order only."""
    ours = till.created_by_the_last_release((await till.reserved()).order_id)
    of_another = till.created_by_the_last_release(make_order().order_id)
    of_another_system = till.created_by_the_last_release("invoice-7")
    of_nothing = till.created_by_the_last_release(None)
    till.wait()
    tally = await till.run()
    assert (tally.cancelled, tally.others) == ([ours], 3)
    for payment_id in (of_another, of_another_system, of_nothing):
        assert till.status(payment_id) is Status.REQUIRES_PAYMENT_METHOD


async def test_our_payment_of_an_order_that_a_restore_has_lost_is_cancelled(till: Till) -> None:
    payment_id = await till.created(make_order(customer=till.customer, payment_token=Token.WORKS))
    till.wait()
    assert (await till.run()).cancelled == [payment_id]


async def test_an_order_of_a_newer_release_keeps_its_payment(till: Till) -> None:
    order = await till.reserved()
    payment_id = await till.created(order)
    order = await till.orders.move(order, order.with_payment(payment_id))
    key = item_key(order.customer.key, order.created_at)
    item = await till.dynamo.get(till.tables.orders, key)
    await till.dynamo.put(till.tables.orders, {**(item or {}), "item_version": 99})
    till.wait()
    assert (await till.run()).kept == 1


async def test_an_order_whose_payment_was_swept_is_paid_by_another(till: Till) -> None:
    """A wrong cancellation would move no money: the payment is created again."""
    order = await till.reserved()
    charge = replace(order.charge, payment_id=await till.created(order))
    till.wait()
    await till.run()
    async with till.gateway() as gateway:
        assert await gateway.confirm(charge, Token.WORKS) is PaymentStatus.CANCELLED
        order = order.with_payment(charge.payment_id or "").without_payment()
        again = replace(order.charge, payment_id=await gateway.create(order.charge))
        assert await gateway.confirm(again, Token.WORKS) is PaymentStatus.SUCCEEDED


# --- passes


async def abandoned(till: Till, count: int) -> list[str]:
    """Create abandoned payments, one per second, and return their ids, the newest first."""
    ids = []
    for _ in range(count):
        ids.append(str(till.bank.create(_ours(make_order().order_id))["id"]))
        till.wait(SECOND)
    return ids[::-1]


def _ours(order_id: str) -> dict[str, str]:
    names = {"metadata[order_id]": order_id, "metadata[environment]": ENVIRONMENT}
    return {"amount": "1180", "currency": "eur", **names}


async def test_all_pages_are_read_and_none_again(till: Till) -> None:
    ids = await abandoned(till, 250)
    till.wait()
    tally = await till.run()
    assert (tally.read, tally.cancelled) == (250, ids)
    assert (await till.run()).read == 0, "a second run has nothing left to read"
    later = await abandoned(till, 3)
    till.wait()
    assert (await till.run()).cancelled == later
    assert (await till.run(from_start=True)).read == 253


async def test_a_run_stops_at_its_limit_and_the_next_one_continues(till: Till) -> None:
    ids = await abandoned(till, 25)
    till.wait()
    first = await till.run(limit=10)
    assert (first.cancelled, first.is_complete) == (ids[:10], False)
    till.wait()  # the pass keeps its end, so what has become old meanwhile is the next pass's
    newest = await abandoned(till, 1)
    till.wait()
    second = await till.run()
    assert (second.cancelled, second.is_complete) == (ids[10:], True)
    assert (await till.run()).cancelled == newest


@pytest.mark.parametrize("is_applied", [False, True])
async def test_an_interrupted_run_is_continued_by_the_next(till: Till, *, is_applied: bool) -> None:
    await abandoned(till, 250)
    till.wait()
    lossy = LossyStore(till.dynamo, till.tables)
    lossy.left, lossy.is_applied = 1, is_applied
    with pytest.raises(StorageUnavailable):
        await till.sweep(store=lossy).run(limit=MANY)
    tally = await till.run()
    assert tally.read == (50 if is_applied else 150)
    assert {intent.status for intent in till.bank.intents.values()} == {Status.CANCELED}


async def test_two_runs_at_once_do_no_harm(till: Till) -> None:
    ids = await abandoned(till, 120)
    till.wait()
    await asyncio.gather(till.run(), till.run())
    assert {till.status(payment_id) for payment_id in ids} == {Status.CANCELED}
    assert (await till.run()).read == 0


async def test_a_dry_run_changes_nothing(till: Till) -> None:
    ids = await abandoned(till, 120)
    till.wait()
    tally = await till.run(dry_run=True)
    assert (tally.read, tally.cancelled) == (120, ids)
    assert {till.status(payment_id) for payment_id in ids} == {Status.REQUIRES_PAYMENT_METHOD}
    assert await till.store.progress() == SweepProgress()


async def test_an_order_without_payment_is_told_from_no_order(till: Till) -> None:
    order = await till.reserved()
    assert await till.store.payment_of(order.order_id) == OrderPayment(None)
    assert await till.store.payment_of(make_order().order_id) is None
    assert await till.store.payment_of("nonsense") is None


# --- the provider's errors


class Answers:
    """Provider that gives these answers, one after another; a list of statuses, or an exception."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(status: int, code: str | None = None) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"type": "invalid_request_error", "code": code}})


NOTHING = {"object": "list", "data": [], "has_more": False}


@asynccontextmanager
async def provider_with(answers: Answers, **options: Any) -> AsyncIterator[PaymentProvider]:
    transport = httpx2.MockTransport(answers)
    async with httpx2.AsyncClient(base_url="https://stripe.test", transport=transport) as http:
        yield PaymentProvider(http, **{"calls_per_second": 1e6, "sleep": no_wait, **options})


async def listed(provider: PaymentProvider) -> payment_provider.PaymentPage:
    return await provider.list(since=0, until=1, after=None, limit=10)


async def test_a_call_is_repeated_while_the_provider_fails() -> None:
    answers = Answers(
        refused(429, "rate_limit"),
        refused(500),
        httpx2.ConnectError("refused"),
        refused(409, "lock_timeout"),
        httpx2.Response(200, json=NOTHING),
    )
    async with provider_with(answers) as provider:
        assert (await listed(provider)).payments == []


async def test_a_provider_that_is_down_ends_the_run() -> None:
    async with provider_with(Answers(*(refused(503) for _ in range(payment_provider.ATTEMPTS)))) as provider:
        with pytest.raises(PaymentProviderFailed, match="failed 5 times; the last time: 503"):
            await listed(provider)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refused(401), "refused the request: 401"),
        (refused(400, "parameter_unknown"), "refused the request: 400 parameter_unknown"),
        (httpx2.Response(302, text="moved"), "refused the request: 302"),
        (httpx2.Response(200, text="<html>a proxy</html>"), "refused the request: 200"),
        (httpx2.Response(200, json=[]), "refused the request: 200"),
    ],
)
async def test_a_refusal_ends_the_run_at_once(answer: httpx2.Response, message: str) -> None:
    async with provider_with(Answers(answer)) as provider:
        with pytest.raises(PaymentProviderFailed, match=message):
            await listed(provider)


async def test_a_payment_that_was_confirmed_meanwhile_is_not_cancelled() -> None:
    async with provider_with(Answers(refused(400, "payment_intent_unexpected_state"))) as provider:
        assert not await provider.cancel("pi_1")


async def test_the_rate_is_held() -> None:
    now, called = [0.0], []

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    class Timed(Answers):
        def __call__(self, request: httpx2.Request) -> httpx2.Response:
            called.append(now[0])
            return super().__call__(request)

    answers = Timed(*(httpx2.Response(200, json=NOTHING) for _ in range(8)))
    async with provider_with(answers, calls_per_second=4.0, sleep=sleep, monotonic=lambda: now[0]) as provider:
        for _ in range(8):
            await listed(provider)
    assert called == [number / 4 for number in range(8)]


def test_it_speaks_the_version_of_the_processors_sdk() -> None:
    assert stripe.api_version == payment_provider.API_VERSION


# --- the command


@pytest.fixture
def environment(emulator_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the settings of an environment for the command."""
    prefix = f"{tmp_path.name}-"
    created_tables(emulator_endpoint, prefix)
    variables = {
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "ORDER_ENV": "local",
        "ORDER_TABLE_PREFIX": prefix,
        "ORDER_PAYMENT_API_KEY": API_KEY,
        "ORDER_PAYMENT_ENVIRONMENT": ENVIRONMENT,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@contextmanager
def running_sandbox(bank: Bank) -> Iterator[str]:
    """Run the sandbox in a thread, because a command handles signals in the main thread; yield its address."""
    loop = asyncio.new_event_loop()
    server = TestServer(make_app(bank), host="127.0.0.1", loop=loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start_server(), loop).result(timeout=30)
        yield str(server.make_url("/"))
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def bank(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:  # noqa: ARG001 - its settings come first
    """The provider's books, with three abandoned payments."""
    bank = Bank(now=lambda: 1_700_000_000.0)
    for _ in range(3):
        bank.create(_ours(make_order().order_id))
    with running_sandbox(bank) as address:
        monkeypatch.setenv("ORDER_PAYMENT_API_BASE", address)
        yield bank


def command(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the output."""
    result = CliRunner().invoke(app, ["payments", "sweep", *arguments])
    return result.exit_code, result.output


def statuses(bank: Bank) -> set[Status]:
    return {intent.status for intent in bank.intents.values()}


def test_the_command_cancels_and_records_who_did_it(bank: Bank) -> None:
    code, output = command("--reason", "monthly", "--yes")
    assert code == ExitCode.DONE, output
    assert statuses(bank) == {Status.CANCELED}
    assert "3 payments examined" in output
    assert "3 cancelled; of the other unconfirmed ones 0 belong to orders, and 0 to other environments" in output
    (recorded,) = Target.of_environment().audit.of(SUBJECT)
    assert (recorded.verb, recorded.reason) == ("payments.sweep", "monthly")
    assert recorded.detail == f"environment {ENVIRONMENT}"


def test_the_command_tells_programs_and_changes_nothing_in_a_dry_run(bank: Bank) -> None:
    code, output = command("--dry-run", "--output", "json")
    assert code == ExitCode.DONE, output
    assert statuses(bank) == {Status.REQUIRES_PAYMENT_METHOD}
    told = json.loads(output[output.index("{") :])
    assert (told["read"], len(told["cancelled"]), told["dry_run"], told["is_complete"]) == (3, 3, True, True)


def test_the_command_says_that_its_limit_was_reached(bank: Bank) -> None:
    code, output = command("--reason", "-", "--yes", "--limit", "2")
    assert code == ExitCode.UNFINISHED
    assert "run the command again to continue" in output
    assert statuses(bank) == {Status.CANCELED, Status.REQUIRES_PAYMENT_METHOD}


def test_without_a_reason_or_a_terminal_it_is_refused(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = command()
    assert (code, statuses(bank)) == (ExitCode.USAGE, {Status.REQUIRES_PAYMENT_METHOD}), output
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    code, output = command("--reason", "-")
    assert (code, statuses(bank)) == (ExitCode.REFUSED, {Status.REQUIRES_PAYMENT_METHOD}), output


def test_a_provider_that_refuses_the_key_fails_the_command(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", "rk_test_of_another_account")
    code, output = command("--reason", "-", "--yes")
    assert (code, statuses(bank)) == (ExitCode.FAILED, {Status.REQUIRES_PAYMENT_METHOD})
    assert "refused the request: 401" in output


@pytest.mark.usefixtures("environment")
def test_without_its_key_the_command_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDER_PAYMENT_API_KEY")
    code, output = command("--dry-run")
    assert (code, "ORDER_PAYMENT_API_KEY" in output) == (ExitCode.USAGE, True)
