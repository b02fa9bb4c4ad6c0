"""The audit trail of deployments: nothing is overwritten; and the lock, with each of its conditions taken away."""

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from orderctl.deploy import audit, lock
from orderctl.deploy.audit import AuditLog
from orderctl.deploy.errors import DeploymentFailed, Locked
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


def trail(client: Any) -> AuditLog:
    return AuditLog(client, TABLE, PLACE, "ada", lambda: AT)


def test_two_acts_in_one_microsecond_are_both_kept(dynamodb: Any) -> None:
    for verb in ("deploy", "abort"):
        trail(dynamodb).record(verb, "-")
    assert [entry.verb for entry in trail(dynamodb).latest(5)] == ["abort", "deploy"]


def test_without_its_condition_one_would_be_lost(dynamodb: Any) -> None:
    for verb in ("deploy", "abort"):
        trail(Unconditional(dynamodb, "put_item")).record(verb, "-")
    assert [entry.verb for entry in trail(dynamodb).latest(5)] == ["abort"]


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
    counts = [inspect.getsource(module).count(" ConditionExpression=") for module in (audit, lock)]
    assert counts == [1, 3]
