"""`orderctl dlq` and the dead-letter operations, against queues of the emulator."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Invocation

from devstack.provision import create_queue
from devstack.stack import KEY, REGION
from order_operations.dead_letters import DeadLetters, QueueFailed
from order_operations.letters import DeadLetter, Result
from order_operations.target import Target
from order_shared.domain.order.messages import ProcessingRequested
from order_shared.domain.order.models import Customer, Order
from order_shared.runtime.adapters import Adapters
from order_shared.storage.audit_trail import Operation
from order_shared.tables import Queue
from orderctl import terminal
from orderctl.commands import dlq
from orderctl.exceptions import ExitCode
from tests import engines
from tests.factories import make_order, make_product, make_record, make_tenant

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PREFIX = "contract-"
UNREADABLE = '{"specversion": "1.0", "type": "order.frozen.v9", "customer": "ada"}'
LIMIT = 100

T = TypeVar("T")


class HandTime:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Office:
    """Both queues of one test, and letters to put into the dead-letter queue."""

    client: "SQSClient"
    names: Queue

    def url(self, name: str) -> str:
        return self.client.get_queue_url(QueueName=name)["QueueUrl"]

    def add_letter(self, body: str, reason: str = "unknown_type") -> str:
        """Send a letter as the consumer does, and return its message id."""
        said = {"reason": reason, "detail": "it says why", "message_id": "the-first-id"}
        answer = self.client.send_message(
            QueueUrl=self.url(self.names.dead_letter_name),
            MessageBody=body,
            MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in said.items()},
        )
        return answer["MessageId"]

    def add_order_letter(self, order: Order, reason: str = "invalid_event") -> str:
        return self.add_letter(ProcessingRequested.of(order).to_json(), reason)

    def letters(self, client: Any = None, time: HandTime | None = None) -> DeadLetters:
        time = time or HandTime()
        return DeadLetters(
            client or self.client,
            work_queue=self.names.name,
            dead_letter_queue=self.names.dead_letter_name,
            wait_seconds=0,
            monotonic=time,
            sleep=time.sleep,
        )

    def dead(self) -> set[str]:
        """Return the ids of the visible letters, and leave them visible."""
        return {letter.message_id for letter in self.letters().peek(LIMIT)}

    def work(self) -> list[str]:
        """Receive and delete all messages of the work queue, and return their bodies."""
        url, bodies = self.url(self.names.name), []
        while messages := self.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return bodies


@pytest.fixture
def office(emulator_endpoint: str, tmp_path: Path) -> Iterator[Office]:
    client = engines.client("sqs", emulator_endpoint)
    names = Queue(name=f"{tmp_path.name}-work", dead_letter_name=f"{tmp_path.name}-dead")
    create_queue(client, names)
    yield Office(client, names)
    client.close()


@pytest.fixture
def environment(office: Office, emulator_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name, value in {
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "ORDER_TABLE_PREFIX": PREFIX,
        "ORDER_QUEUE_NAME": office.names.name,
        "ORDER_DLQ_NAME": office.names.dead_letter_name,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(terminal.console, "width", 200)
    return Target.of_environment()


def run(*arguments: str, answer: str | None = None) -> Invocation:
    return CliRunner().invoke(dlq.app, arguments, input=answer)


def in_storage(target: Target, work: Callable[[Adapters], Awaitable[T]]) -> T:
    return target.run(work)


def audit_of(target: Target, message_id: str) -> list[Operation]:
    return target.audit.of(message_id)


def place(target: Target) -> Order:
    """Store a pending order."""
    order = make_order(customer=Customer(tenant=make_tenant(), id="ada"), reference="to Grandma")

    async def add(adapters: Adapters) -> None:
        await adapters.orders.add(order, make_record(order))

    in_storage(target, add)
    return order


def end(target: Target, order: Order) -> None:
    async def move(adapters: Adapters) -> None:
        await adapters.orders.move(order, order.cancel(order.created_at + timedelta(seconds=1)))

    in_storage(target, move)


def no_record(_: Sequence[DeadLetter]) -> None:
    """Record nothing; for tests of the redrive alone."""


# --- list and show


@pytest.mark.usefixtures("environment")
def test_list_shows_type_and_reason_and_makes_letters_visible_again(office: Office) -> None:
    order = make_order()
    readable, unreadable = office.add_order_letter(order), office.add_letter(UNREADABLE)
    listed = run("list")
    assert listed.exit_code == 0, listed.output
    for text in (readable, unreadable, order.order_id, "order.processing_requested.v1", "unreadable", "invalid_event"):
        assert text in listed.output
    entries = {each["message_id"]: each for each in json.loads(run("list", "--output", "json").stdout)}
    assert entries[readable]["order_id"] == order.order_id
    assert entries[readable]["reason"] == "invalid_event"
    assert entries[unreadable]["type"] is None
    assert entries[unreadable]["original_id"] == "the-first-id"
    assert len(json.loads(run("list", "--output", "json", "--limit", "1").stdout)) == 1
    assert office.dead() == {readable, unreadable}


@pytest.mark.usefixtures("environment")
def test_show_redacts_customer_data_by_default(office: Office) -> None:
    order = make_order(
        customer=Customer(tenant="acme", id="ada-lovelace"),
        lines=[(make_product(name="Truss"), 1)],
        reference="to Grandma",
    )
    message_id = office.add_order_letter(order)
    redacted, full = run("show", message_id).output, run("show", message_id, "--unredacted").output
    for secret in ("ada-lovelace", "Truss", "to Grandma"):
        assert secret not in redacted
        assert secret in full
    assert redacted.count("•••") == 3
    assert order.order_id in redacted


@pytest.mark.usefixtures("environment")
def test_show_redacts_a_text_of_a_later_release(office: Office) -> None:
    body = {"type": "order.noted.v1", "data": {"note": "to Grandma", "sku": "TEA", "quantity": 2}}
    redacted = run("show", office.add_letter(json.dumps(body))).output
    assert "Grandma" not in redacted
    assert all(shown in redacted for shown in ("order.noted.v1", "TEA", "2"))


@pytest.mark.usefixtures("environment")
def test_show_omits_what_it_cannot_redact(office: Office) -> None:
    message_id = office.add_letter("ada-lovelace \x7f[31m")
    assert "ada-lovelace" not in run("show", message_id).output
    assert "ada-lovelace \\x7f[31m" in run("show", message_id, "--unredacted").output
    missing = run("show", "nobody")
    assert missing.exit_code == 1
    assert "no letter nobody" in missing.output


# --- redrive


def test_a_redrive_by_id_leaves_the_others_visible(office: Office, environment: Target) -> None:
    orders = [make_order() for _ in range(3)]
    ids = [office.add_order_letter(order) for order in orders]
    done = run("redrive", "--id", ids[1], "--reason", "repaired", "--yes")
    assert done.exit_code == 0, done.output
    assert REGION in done.output
    assert office.names.name in done.output
    assert office.dead() == {ids[0], ids[2]}
    assert office.work() == [ProcessingRequested.of(orders[1]).to_json()]
    [record] = audit_of(environment, ids[1])
    assert (record.verb, record.reason, record.detail) == ("dlq.redrive", "repaired", orders[1].order_id)
    assert record.actor == environment.actor
    assert audit_of(environment, ids[0]) == []


def test_a_redrive_of_all_skips_and_reports_unreadable_letters(office: Office, environment: Target) -> None:
    readable = [office.add_order_letter(make_order()) for _ in range(12)]
    unreadable = office.add_letter(UNREADABLE)
    done = run("redrive", "--all", "--rate", "1000", "--reason", "repaired", "--yes")
    assert done.exit_code == 0, done.output
    assert f"skipped: {unreadable}" in done.output
    assert "12 redriven, 1 skipped" in done.output
    assert office.dead() == {unreadable}
    assert len(office.work()) == len(readable)
    assert audit_of(environment, unreadable) == []


@pytest.mark.usefixtures("environment")
def test_an_unreadable_letter_is_moved_if_selected_by_id(office: Office) -> None:
    message_id = office.add_letter(UNREADABLE)
    assert run("redrive", "--id", message_id, "--reason", "new version", "--yes").exit_code == 0
    assert office.work() == [UNREADABLE]
    assert office.dead() == set()


def test_a_dry_run_has_no_prompt_and_changes_nothing(office: Office, environment: Target) -> None:
    ids = [office.add_order_letter(make_order()) for _ in range(2)]
    for arguments in (["redrive", "--all"], ["discard", "--id", ids[0]]):
        planned = run(*arguments, "--reason", "to see", "--dry-run")
        assert planned.exit_code == 0, planned.output
        assert f"would be {'redriven' if '--all' in arguments else 'discarded'}: {ids[0]}" in planned.output
    assert office.dead() == set(ids)
    assert office.work() == []
    assert audit_of(environment, ids[0]) == []


@pytest.mark.usefixtures("environment")
def test_a_declined_prompt_changes_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: True)
    message_id = office.add_order_letter(make_order())
    for answer, code in (("n\n", ExitCode.REFUSED), ("", ExitCode.INTERRUPTED)):
        assert run("redrive", "--all", "--reason", "repaired", answer=answer).exit_code == code
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    assert run("redrive", "--all", "--reason", "repaired").exit_code == ExitCode.REFUSED
    assert office.dead() == {message_id}


@pytest.mark.parametrize(("rate", "burst"), [(4.0, 4), (0.5, 1), (25.0, 10)])
def test_the_rate_is_kept_with_bursts_of_one_second_at_most(office: Office, rate: float, burst: int) -> None:
    for _ in range(11):
        office.add_letter(UNREADABLE)
    ids = office.dead()
    time = HandTime()
    moved_at: list[float] = []
    bursts: list[int] = []
    office.letters(time=time).redrive(
        ids,
        rate=rate,
        limit=LIMIT,
        record=lambda letters: bursts.append(len(letters)),
        on_progress=lambda _: moved_at.append(time.now),
    )
    assert len(moved_at) == 11
    assert max(bursts) <= burst
    for index, at in enumerate(moved_at):
        assert index + 1 <= rate * at + burst


def test_the_limit_is_kept(office: Office) -> None:
    for _ in range(3):
        office.add_order_letter(make_order())
    outcomes = office.letters().redrive(None, rate=10, limit=2, record=no_record)
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.DONE]
    assert len(office.dead()) == 1


class Unwilling:
    """SQS client with one failing call."""

    def __init__(self, client: "SQSClient", **instead: Callable[..., Any]) -> None:
        self._client = client
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._client, name)


def test_a_letter_that_could_not_be_sent_stays(office: Office) -> None:
    ids = {office.add_order_letter(make_order()) for _ in range(2)}

    def refuse_first(*, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - boto3's names
        answer = office.client.send_message_batch(QueueUrl=QueueUrl, Entries=Entries[1:])
        return {**answer, "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}

    letters = office.letters(Unwilling(office.client, send_message_batch=refuse_first))
    outcomes = letters.redrive(ids, rate=10, limit=LIMIT, record=no_record)
    failed = {each.letter.message_id for each in outcomes if each.result is Result.FAILED}
    assert len(failed) >= 1
    assert office.dead() == failed
    assert len(office.work()) == len(ids) - len(failed)


def test_a_failed_request_ends_the_redrive_and_loses_no_letter(office: Office) -> None:
    ids = {office.add_order_letter(make_order()) for _ in range(2)}

    def refuse(**_: Any) -> Any:
        return office.client.get_queue_attributes(QueueUrl=office.url(office.names.name) + "-not")

    letters = office.letters(Unwilling(office.client, send_message_batch=refuse))
    with pytest.raises(QueueFailed):
        letters.redrive(None, rate=10, limit=LIMIT, record=no_record)
    assert office.dead() == ids


def test_an_interrupt_makes_all_letters_visible_again(office: Office) -> None:
    ids = {office.add_order_letter(make_order()) for _ in range(2)}

    def interrupt(_: Sequence[DeadLetter]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.letters().redrive(None, rate=10, limit=LIMIT, record=interrupt)
    assert office.dead() == ids


# --- discard


def test_discard_refuses_letters_of_open_orders_and_deletes_those_of_ended_ones(
    office: Office, environment: Target
) -> None:
    order = place(environment)
    message_id = office.add_order_letter(order)
    refused = run("discard", "--id", message_id, "--reason", "old", "--yes")
    assert refused.exit_code == 1, refused.output
    assert f"refused: {message_id} ({order.order_id}); its order is open" in refused.output
    assert office.dead() == {message_id}
    assert audit_of(environment, message_id) == []

    end(environment, order)
    taken = run("discard", "--id", message_id, "--reason", "old", "--yes")
    assert taken.exit_code == 0, taken.output
    assert office.dead() == set()
    assert office.work() == []
    [record] = audit_of(environment, message_id)
    assert (record.verb, record.reason, record.detail) == ("dlq.discard", "old", order.order_id)


def test_discard_deletes_unreadable_letters(office: Office, environment: Target) -> None:
    message_id = office.add_letter(UNREADABLE)
    assert run("discard", "--id", message_id, "--reason", "a test", "--yes").exit_code == 0
    assert office.dead() == set()
    assert audit_of(environment, message_id)[0].detail == "-"


# --- what is asked for wrongly


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "arguments",
    [
        ["redrive", "--reason", "why"],
        ["redrive", "--all", "--id", "x", "--reason", "why"],
        ["redrive", "--all"],
        ["redrive", "--all", "--reason", " "],
        ["discard", "--reason", "why"],
    ],
)
def test_a_usage_error_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.usefixtures("environment")
def test_errors_are_reported_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unknown = run("redrive", "--id", "nobody", "--reason", "why", "--yes")
    assert (unknown.exit_code, "no letter nobody" in unknown.output) == (1, True)
    no_stack = run("list", "--local", "--state", str(tmp_path))
    assert (no_stack.exit_code, "orderctl local up" in no_stack.output) == (1, True)
    monkeypatch.setenv("ORDER_DLQ_NAME", "no-such-queue")
    no_queue = run("list")
    assert no_queue.exit_code == 1
    assert "there is no queue no-such-queue" in no_queue.output
