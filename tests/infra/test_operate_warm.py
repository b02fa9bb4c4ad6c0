"""`warm`: raises what tables take at once, by an operator's word and not by Terraform."""

from collections.abc import Iterator
from typing import Any

import pytest

from order_shared.tables import TABLES
from tests.infra.conftest import Desk
from tests.infra.test_operate_live import make

RAISED = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 20_000}


@pytest.fixture
def ground(desk: Desk) -> Desk:
    for table in TABLES:
        make(desk, table)
    return desk


@pytest.fixture
def requests(ground: Desk) -> Iterator[list[dict[str, Any]]]:
    """Yield the requests that change a table, as they are made."""
    found: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        found.append(params)

    events, event = ground.client("dynamodb").meta.events, "provide-client-params.dynamodb.UpdateTable"
    events.register(event, note)
    yield found
    events.unregister(event, note)


def test_each_table_and_index_is_raised(ground: Desk, requests: list[dict[str, Any]]) -> None:
    """Row 21."""
    result = ground.run("warm", "--env", "dev", "--writes", "20000", "--yes")
    assert result.exit_code == 0, result.output
    assert {request["TableName"]: request["WarmThroughput"] for request in requests} == {
        f"dev-{name}": RAISED for name in ("orders", "inventory", "idempotency", "events", "webhooks")
    }
    indexes = {
        update["Update"]["IndexName"]: update["Update"]["WarmThroughput"]
        for request in requests
        for update in request.get("GlobalSecondaryIndexUpdates", ())
    }
    assert indexes == {index.name: RAISED for table in TABLES for index in table.indexes}


def test_a_dry_run_only_says_it(ground: Desk, requests: list[dict[str, Any]]) -> None:
    result = ground.run("warm", "--env", "dev", "--writes", "20000", "--table", "orders", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["dev-orders", "would", "be", "raised"]
    assert not requests


def test_what_is_as_high_stays(ground: Desk, requests: list[dict[str, Any]]) -> None:
    """Warm throughput can only be raised, and DynamoDB raises it by itself."""
    high = {"ReadUnitsPerSecond": 40_000, "WriteUnitsPerSecond": 26_000}
    keys = [{"AttributeName": "key", "KeyType": "HASH"}]
    ground.client("dynamodb").delete_table(TableName="dev-idempotency")
    ground.client("dynamodb").create_table(
        TableName="dev-idempotency",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        WarmThroughput=high,
    )
    result = ground.run("warm", "--env", "dev", "--writes", "20000", "--table", "idempotency", "--yes")
    assert result.exit_code == 0, result.output
    assert "already as high" in result.stdout
    assert not requests


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--writes", "4000"), "a new table accepts 4000 write units"),
        (("--writes", "20000", "--table", "operations"), "there is no table 'operations'"),
    ],
)
def test_it_is_refused(ground: Desk, words: tuple[str, ...], reason: str) -> None:
    """Row 21. DynamoDB reports exactly 4,000 as if nothing were set."""
    result = ground.run("warm", "--env", "dev", "--yes", *words)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_it_asks_first(ground: Desk, requests: list[dict[str, Any]]) -> None:
    assert ground.run("warm", "--env", "dev", "--writes", "20000", answer="no\n").exit_code == 3
    assert not requests
