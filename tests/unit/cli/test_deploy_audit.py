"""The audit trail, of which nothing is overwritten, and the lock: with each of their conditions taken away."""

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from order_operations.deployments import lock
from order_operations.deployments.errors import DeploymentFailed, Locked
from order_shared.storage import audit_trail
from order_shared.storage.audit_trail import DynamoAuditTrail, Operation
from tests.unit.cli.test_deploy_lock import PLACE, TABLE, Watch, dynamodb, lock_of, watch

__all__ = ["dynamodb", "watch"]  # fixtures

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Unconditional:
    """A client that leaves out the conditions of one operation."""

    def __init__(self, client: Any, operation: str) -> None:
        self._client = client
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name != self._operation:
            return call
        return lambda **request: call(**{key: value for key, value in request.items() if _kept(key, request)})


def _kept(key: str, request: dict[str, Any]) -> bool:
    of_conditions = {"ConditionExpression", "ReturnValuesOnConditionCheckFailure"}
    if "UpdateExpression" not in request:
        of_conditions |= {"ExpressionAttributeNames", "ExpressionAttributeValues"}
    return key not in of_conditions


def record(client: Any, verb: str) -> None:
    DynamoAuditTrail(client, TABLE).record(Operation(subject=PLACE.subject, at=AT, actor="ada", verb=verb))


def recorded(client: Any) -> list[str]:
    return [entry.verb for entry in DynamoAuditTrail(client, TABLE).of(PLACE.subject, 5, newest_first=True)]


def test_two_acts_in_one_microsecond_are_both_kept(dynamodb: Any) -> None:
    for verb in ("deploy", "abort"):
        record(dynamodb, verb)
    assert recorded(dynamodb) == ["abort", "deploy"]


def test_without_its_condition_one_would_be_lost(dynamodb: Any) -> None:
    for verb in ("deploy", "abort"):
        record(Unconditional(dynamodb, "put_item"), verb)
    assert recorded(dynamodb) == ["abort"]


def test_without_its_condition_a_lock_would_be_taken_twice(dynamodb: Any, watch: Watch) -> None:
    lock_of(dynamodb, watch, "ada").take()
    with pytest.raises(Locked):
        lock_of(dynamodb, watch, "bob").take()
    lock_of(Unconditional(dynamodb, "put_item"), watch, "bob").take()


def test_without_its_condition_a_lost_lock_would_be_let_go_by_the_wrong_one(dynamodb: Any, watch: Watch) -> None:
    ada, bob = lock_of(Unconditional(dynamodb, "delete_item"), watch, "ada"), lock_of(dynamodb, watch, "bob")
    ada.take()
    watch.seconds += lock.HELD_SECONDS + 1
    bob.take()
    ada.release()
    with pytest.raises(DeploymentFailed):
        bob.extend()


def test_each_condition_is_one_of_these() -> None:
    """One put of the trail; a put, an update and a delete of the lock: test_deploy_lock.py has the update's."""
    counts = [inspect.getsource(module).count(" ConditionExpression=") for module in (audit_trail, lock)]
    assert counts == [1, 3]


def test_entries_of_the_last_release_are_read(dynamodb: Any) -> None:
    """Deployments had no reason then."""
    item = {
        "subject": PLACE.subject,
        "at": "2026-01-01T00:00:00.000000Z",
        "actor": "ada",
        "verb": "pause",
        "reason": "-",
        "detail": "incident 42",
    }
    dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    (read,) = DynamoAuditTrail(dynamodb, TABLE).of(PLACE.subject)
    assert read == Operation(subject=PLACE.subject, at=AT, actor="ada", verb="pause", detail="incident 42")
