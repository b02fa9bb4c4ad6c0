"""Tables and queues are made from `order_shared.tables`, by any number of processes at once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from moto import mock_aws

from devstack.event_repair import append_missing_events
from devstack.provision import provision
from devstack.stack import local_credentials, local_session, local_settings
from order_shared.domain.clock import utc_now
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.metrics import Metrics
from order_shared.tables import TABLES, Index, Table, order_changes, order_queue
from tests.factories import make_order, make_record

PREFIX = "provision-"


@pytest.fixture(params=["moto", "emulator"])
def target(request: pytest.FixtureRequest) -> Iterator[tuple[boto3.Session, str | None]]:
    """Two engines; moto with one caller at a time, since it is not safe under threads."""
    if request.param == "moto":
        with mock_aws():
            yield local_session(), None
    else:
        yield local_session(), request.getfixturevalue("emulator_endpoint")


def described(session: boto3.Session, endpoint: str | None, table: Table) -> dict[str, Any]:
    dynamodb = session.client("dynamodb", endpoint_url=endpoint)
    return dict(dynamodb.describe_table(TableName=PREFIX + table.name)["Table"])


def keys_of(owner: Table | Index) -> list[tuple[str, str]]:
    keys = [(owner.hash_key.name, "HASH")]
    return keys + ([(owner.range_key.name, "RANGE")] if owner.range_key else [])


def schema_of(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in answer["KeySchema"]]


def test_every_table_is_made_as_it_is_defined(target: tuple[boto3.Session, str | None]) -> None:
    session, endpoint = target
    provision(session, endpoint=endpoint, prefix=PREFIX)
    provision(session, endpoint=endpoint, prefix=PREFIX)
    for table in TABLES:
        answer = described(session, endpoint, table)
        assert schema_of(answer) == keys_of(table)
        indexes = {index["IndexName"]: index for index in answer.get("GlobalSecondaryIndexes", [])}
        assert sorted(indexes) == sorted(index.name for index in table.indexes)
        for index in table.indexes:
            made = indexes[index.name]
            assert schema_of(made) == keys_of(index)
            assert set(made["Projection"].get("NonKeyAttributes", [])) == set(index.include)


def test_expired_claims_are_deleted_by_dynamodb(target: tuple[boto3.Session, str | None]) -> None:
    session, endpoint = target
    provision(session, endpoint=endpoint, prefix=PREFIX)
    dynamodb = session.client("dynamodb", endpoint_url=endpoint)
    ttl = dynamodb.describe_time_to_live(TableName=f"{PREFIX}idempotency")["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("expires_at", "ENABLED")


def test_the_queue_has_its_dead_letters_beside_it(target: tuple[boto3.Session, str | None]) -> None:
    session, endpoint = target
    provision(session, endpoint=endpoint, prefix=PREFIX)
    sqs = session.client("sqs", endpoint_url=endpoint)
    queue = order_queue(PREFIX)
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy", "MessageRetentionPeriod"])
    policy = json.loads(attributes["Attributes"]["RedrivePolicy"])
    assert policy["deadLetterTargetArn"].endswith(f":{queue.dead_letter_name}")
    assert int(policy["maxReceiveCount"]) == queue.max_receive_count
    assert int(attributes["Attributes"]["MessageRetentionPeriod"]) == queue.retention_seconds


def test_many_may_do_so_at_once(emulator_endpoint: str) -> None:
    def make(_: int) -> None:
        provision(local_session(), endpoint=emulator_endpoint, prefix="race-")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(16)))
    names = local_session().client("dynamodb", endpoint_url=emulator_endpoint).list_tables()["TableNames"]
    assert sorted(name for name in names if name.startswith("race-")) == sorted(f"race-{each.name}" for each in TABLES)


def test_a_pipe_is_replaced_on_request(emulator_endpoint: str) -> None:
    prefix = "pipe-"
    pipes = local_session().client("pipes", endpoint_url=emulator_endpoint)
    provision(local_session(), endpoint=emulator_endpoint, prefix=prefix, renews_pipe=True)
    name = order_changes(prefix).pipe
    pipes.tag_resource(resourceArn=pipes.describe_pipe(Name=name)["Arn"], tags={"made": "before"})
    for renews_pipe, tags in ((False, {"made": "before"}), (True, {})):
        provision(local_session(), endpoint=emulator_endpoint, prefix=prefix, renews_pipe=renews_pipe)
        assert pipes.describe_pipe(Name=name).get("Tags", {}) == tags


async def test_events_of_changes_that_no_pipe_delivered_are_appended_once(emulator_endpoint: str) -> None:
    settings = local_settings(emulator_endpoint).model_copy(update={"table_prefix": "repair-"})
    provision(local_session(), endpoint=emulator_endpoint, prefix=settings.table_prefix)
    credentials = local_credentials()
    assert await append_missing_events(settings, credentials) == 0
    async with open_adapters(settings, Metrics(), credentials=credentials, deadline=30.0) as adapters:
        order = make_order(at=utc_now())
        await adapters.orders.add(order, make_record(order))
    assert await append_missing_events(settings, credentials) == 1
    assert await append_missing_events(settings, credentials) == 0
