"""The lock of a deployment, on a table as `order_shared.tables` defines it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from order_operations.deployments.errors import DeploymentFailed, Locked
from order_operations.deployments.lock import HELD_SECONDS, Holder, Lock
from order_operations.deployments.service_ref import ServiceRef
from order_shared.tables import OPERATIONS

PLACE = ServiceRef(environment="dev", kind="order-api")
TABLE = PLACE.table_prefix + OPERATIONS.name


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        keys = [OPERATIONS.hash_key, OPERATIONS.range_key]
        assert OPERATIONS.range_key is not None
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key.name, "AttributeType": "S"} for key in keys if key],
            KeySchema=[
                {"AttributeName": OPERATIONS.hash_key.name, "KeyType": "HASH"},
                {"AttributeName": OPERATIONS.range_key.name, "KeyType": "RANGE"},
            ],
        )
        yield client


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def lock_of(dynamodb: Any, watch: Watch, who: str, ref: ServiceRef = PLACE) -> Lock:
    return Lock(dynamodb, TABLE, ref, Holder(id=f"run-of-{who}", actor=who, what="deploy sha-1a2b3c4"), watch)


def test_a_second_operator_is_told_who_is_at_it_and_since_when(dynamodb: Any, watch: Watch) -> None:
    lock_of(dynamodb, watch, "ada").take()
    watch.seconds += 30
    with pytest.raises(
        Locked, match=r"ada has held the lock on order-api in dev for 30 s: deploy sha-1a2b3c4\..* in 90 s"
    ):
        lock_of(dynamodb, watch, "bob").take()


def test_it_is_free_once_released(dynamodb: Any, watch: Watch) -> None:
    ada = lock_of(dynamodb, watch, "ada")
    ada.take()
    ada.release()
    lock_of(dynamodb, watch, "bob").take()


def test_each_service_has_its_own(dynamodb: Any, watch: Watch) -> None:
    lock_of(dynamodb, watch, "ada").take()
    lock_of(dynamodb, watch, "bob", ServiceRef(environment="dev", kind="order-processor")).take()


def test_who_died_locks_others_out_for_a_while_only(dynamodb: Any, watch: Watch) -> None:
    lock_of(dynamodb, watch, "ada").take()
    watch.seconds += HELD_SECONDS + 1
    lock_of(dynamodb, watch, "bob").take()


def test_who_lives_keeps_it(dynamodb: Any, watch: Watch) -> None:
    ada = lock_of(dynamodb, watch, "ada")
    ada.take()
    watch.seconds += HELD_SECONDS - 1
    ada.extend()
    watch.seconds += HELD_SECONDS - 1
    with pytest.raises(Locked):
        lock_of(dynamodb, watch, "bob").take()


def test_who_was_away_too_long_is_told_and_takes_nothing_back(dynamodb: Any, watch: Watch) -> None:
    ada, bob = (lock_of(dynamodb, watch, who) for who in ("ada", "bob"))
    ada.take()
    watch.seconds += HELD_SECONDS + 1
    bob.take()
    with pytest.raises(DeploymentFailed, match="another operator may be deploying it"):
        ada.extend()
    ada.release()
    bob.extend()


def test_one_whose_taking_was_not_answered_is_taken_again(dynamodb: Any, watch: Watch) -> None:
    ada = lock_of(dynamodb, watch, "ada")
    ada.take()
    ada.take()


def test_it_is_kept_while_somebody_thinks(dynamodb: Any, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("order_operations.deployments.lock.EXTENDED_SECONDS", 0.001)
    ada = lock_of(dynamodb, watch, "ada")
    ada.take()
    with ada.kept():
        watch.seconds += HELD_SECONDS - 1
        extended = watch.seconds + HELD_SECONDS
        while until(dynamodb) < int(extended):
            pass
    watch.seconds += HELD_SECONDS - 1
    with pytest.raises(Locked):
        lock_of(dynamodb, watch, "bob").take()


def test_keeping_what_is_lost_says_nothing_yet(dynamodb: Any, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("order_operations.deployments.lock.EXTENDED_SECONDS", 0.001)
    ada, bob = (lock_of(dynamodb, watch, who) for who in ("ada", "bob"))
    ada.take()
    watch.seconds += HELD_SECONDS + 1
    bob.take()
    with ada.kept():
        bob.extend()
    with pytest.raises(DeploymentFailed):
        ada.extend()


def until(dynamodb: Any) -> int:
    (item,) = dynamodb.scan(TableName=TABLE)["Items"]
    return int(item["until"]["N"])
