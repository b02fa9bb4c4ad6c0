"""`orderctl events`: operators list, check and repair the logs of order events."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aws_json_client import RetryPolicy
from devstack.provision import create_table
from devstack.stack import KEY, REGION, local_credentials
from order_operations.event_logs import SUBJECT
from order_operations.target import Target
from order_shared.aws.dynamodb import open_dynamo
from order_shared.domain.order.models import Order
from order_shared.runtime.adapters import Adapters
from order_shared.storage.event_log.items import page_key
from order_shared.tables import TABLES, TableNames
from orderctl import terminal
from orderctl.exceptions import ExitCode
from orderctl.main import app
from tests import engines, tables
from tests.factories import make_customer, make_order, make_record
from tests.fakes import make_adapters


@dataclass
class Environment:
    """The environment that the command works on."""

    endpoint: str
    tables: TableNames

    def run(self, work: Callable[[Adapters], Awaitable[Any]]) -> Any:
        async def with_adapters() -> Any:
            retries = RetryPolicy(deadline=20.0)
            async with open_dynamo(
                local_credentials(), region=REGION, endpoint=self.endpoint, retries=retries
            ) as dynamo:
                return await work(make_adapters(dynamo, self.tables))

        return asyncio.run(with_adapters())

    def remove(self, sequence: int) -> None:
        async def delete() -> None:
            async with open_dynamo(
                local_credentials(), region=REGION, endpoint=self.endpoint, retries=RetryPolicy(deadline=20.0)
            ) as dynamo:
                await tables.delete(dynamo, self.tables.events, page_key("acme", sequence))

        asyncio.run(delete())


@pytest.fixture
def environment(emulator_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    prefix = f"{tmp_path.name}-"
    dynamodb = engines.client("dynamodb", emulator_endpoint)
    for table in TABLES:
        create_table(dynamodb, table, prefix + table.name)
    variables = {
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "ORDER_TABLE_PREFIX": prefix,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for console in (terminal.console, terminal.errors):
        monkeypatch.setattr(console, "width", 200)
    return Environment(emulator_endpoint, TableNames.with_prefix(prefix))


def command(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["events", *arguments], input=answer)


async def two_orders(adapters: Adapters) -> list[Order]:
    """Store two orders; append the first one's events in one page, and the other's in the next."""
    await adapters.event_writer.begin()
    stored = []
    for customer in ("ada", "bob"):
        order = make_order(customer=make_customer(id=customer))
        await adapters.orders.add(order, make_record(order))
        await adapters.event_writer.append("acme", [order])
        stored.append(order)
    return stored


async def cancelled_order(adapters: Adapters) -> Order:
    """Store an order whose events are not appended."""
    await adapters.event_writer.begin()
    order = make_order()
    await adapters.orders.add(order, make_record(order))
    return await adapters.orders.move(order, order.cancel(order.created_at))


def test_events_are_listed_as_text_and_as_json(environment: Environment) -> None:
    ada, bob = environment.run(two_orders)
    listed = command("list", "--tenant", "acme")
    assert listed.exit_code == 0, listed.output
    assert ada.order_id in listed.stdout
    assert bob.order_id in listed.stdout
    of_bob = command("list", "--tenant", "acme", "--customer", "bob", "--type", "placed", "--output", "json")
    (event,) = json.loads(of_bob.stdout)
    assert (event["id"], event["type"]) == (f"{bob.order_id}.1.placed", "order.placed.v1")
    assert (event["order"], event["customer"], event["version"]) == (bob.order_id, "bob", 1)
    latest = command("list", "--tenant", "acme", "--limit", "1", "--output", "json")
    assert [each["order"] for each in json.loads(latest.stdout)] == [bob.order_id]
    assert "no events found" in command("list", "--tenant", "globex").stdout


def test_a_whole_log_is_verified(environment: Environment) -> None:
    environment.run(two_orders)
    done = command("verify", "--grace", "0", "--output", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"orders": 2, "events": 2, "missing": [], "unreadable": 0}


def test_a_removed_event_is_found_and_rebuilt(environment: Environment) -> None:
    removed, _ = environment.run(two_orders)
    environment.remove(1)
    found = command("verify", "--tenant", "acme", "--grace", "0")
    assert found.exit_code == ExitCode.FAILED
    assert f"{removed.order_id}  acme#ada  lost: placed" in found.stdout
    assert "2 events of 2 changed orders compared, 1 missing" in found.stdout
    planned = command("rebuild", "--grace", "0", "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "1 missing" in planned.stdout
    assert Target.of_environment().audit.of(SUBJECT) == []
    done = command("rebuild", "--grace", "0", "--reason", "a page was deleted", "--yes")
    assert done.exit_code == 0, done.output
    assert "1 events appended, of 1 that were missing" in done.stdout
    assert command("verify", "--grace", "0").exit_code == 0
    (record,) = Target.of_environment().audit.of(SUBJECT)
    assert (record.verb, record.reason, record.detail) == (
        "events.rebuild",
        "a page was deleted",
        "1 events of 1 orders",
    )


def test_changes_whose_message_was_lost_are_appended(environment: Environment) -> None:
    order = environment.run(cancelled_order)
    assert command("verify").exit_code == 0, "the order is younger than the grace time"
    found = command("verify", "--grace", "0", "--since", "1h")
    assert f"{order.order_id}  acme#ada  not appended yet: placed, cancelled" in found.stdout
    done = command("rebuild", "--grace", "0", "--reason", "the pipe was stopped", "--yes", "--output", "json")
    assert json.loads(done.stdout) == {"missing": 2, "appended": 2}


def test_a_rebuild_needs_a_reason_and_a_confirmation(environment: Environment) -> None:
    environment.run(cancelled_order)
    assert command("rebuild", "--grace", "0", "--yes").exit_code == ExitCode.USAGE
    assert command("rebuild", "--grace", "0", "--reason", "why").exit_code == ExitCode.REFUSED
    assert command("verify", "--grace", "0").exit_code == ExitCode.FAILED


def test_raising_the_epoch_is_confirmed_audited_and_told(environment: Environment) -> None:
    environment.run(two_orders)
    assert command("raise-epoch", "--reason", "restored").exit_code == ExitCode.REFUSED
    done = command("raise-epoch", "--reason", "restored", "--yes", "--output", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["logs"] == 1

    async def epoch(adapters: Adapters) -> int:
        return (await adapters.event_reader.latest("acme")).epoch

    assert environment.run(epoch) == told["epoch"]
    (record,) = Target.of_environment().audit.of(SUBJECT)
    assert (record.verb, record.reason) == ("events.raise-epoch", "restored")
