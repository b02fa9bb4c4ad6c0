"""A follower that is killed at every step, an alarm that rings afterwards, and then each verb of another operator.

The rejected image never runs again unasked, and at the end tag and revision agree.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from order_operations.deployments.errors import DeploymentRefused
from order_operations.deployments.lock import AT
from tests.integration.deploy_desk import FIRST, PROCESSOR, SECOND, Desk

DONE, FAILED, REFUSED = 0, 1, 3
ALARM = "dev-failures"

STEPS = [
    (operation, number, when)
    for operation, count in {
        "PutItem": 3,  # the lock, the audit record of the start, and that of the end
        "PutImage": 2,  # the previous tag, and the live tag
        "UpdateService": 1,
        "DescribeServiceDeployments": 4,
        "DeleteItem": 1,  # the lock
    }.items()
    for number in range(1, count + 1)
    for when in ("before", "after")
]


class Killed(BaseException):
    """The process is gone: nothing is caught, and nothing more is called."""


def kill_at(desk: Desk, operation: str, number: int, when: str) -> None:
    calls = 0

    def die(*_: Any) -> None:
        raise Killed

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            for each in ("PutItem", "PutImage", "UpdateService", "UpdateItem", "DeleteItem"):
                desk.wire.before[each] = die
            raise Killed

    hooks: dict[str, Any] = desk.wire.before if when == "before" else desk.wire.after
    hooks[operation] = count


def deploy_and_die(desk: Desk) -> None:
    """Deploy SECOND, and ring during its bake; whether it is killed before is up to the step."""

    def ring() -> None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            desk.ecs.set_alarm(ALARM, "ALARM")

    desk.on_look = ring
    with contextlib.suppress(Killed):
        desk.deploy(SECOND, service=PROCESSOR)
    desk.on_look = lambda: None
    desk.wire.before.clear()
    desk.wire.after.clear()


def ring_afterwards(desk: Desk) -> None:
    """What is under way meets the alarm while nobody follows it. The dead operator's lock expires."""
    service = desk.ecs.engine.state.services["dev", PROCESSOR]
    while service.ongoing is not None:
        if desk.stage(PROCESSOR) == "BAKE_TIME":
            desk.ecs.set_alarm(ALARM, "ALARM")
            desk.ecs.step(0)
        assert desk.ecs.skip()
    desk.ecs.set_alarm(ALARM, "OK")
    subject = f"lock#deployment#dev#{PROCESSOR}"
    desk.aws("dynamodb").delete_item(TableName=desk.operations, Key={"subject": {"S": subject}, "at": {"S": AT}})


def apply(desk: Desk) -> None:
    try:
        desk.apply(PROCESSOR)
    except DeploymentRefused:
        return
    desk.finish()


VERBS: dict[str, Callable[[Desk], object]] = {
    "finish": lambda desk: desk.verb("finish", service=PROCESSOR),
    "deploy": lambda desk: desk.deploy(SECOND, service=PROCESSOR),
    "rollback": lambda desk: desk.verb("rollback", service=PROCESSOR),
    "apply": apply,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("operation", "number", "when"), STEPS)
def test_the_rejected_image_never_runs_again_unasked(
    desk: Desk, operation: str, number: int, when: str, verb: str
) -> None:
    kill_at(desk, operation, number, when)
    deploy_and_die(desk)
    ring_afterwards(desk)
    second = desk.digest(SECOND, PROCESSOR)
    service = desk.ecs.engine.state.services["dev", PROCESSOR]
    was_rejected = any(second in each.target.digests for each in service.deployments)
    before = len(service.deployments)

    VERBS[verb](desk)

    desk.finish()
    shipped = [each.target.digests for each in service.deployments[before:]]
    if was_rejected:
        assert [second] not in shipped
        assert desk.state(PROCESSOR)[1] == desk.digest(FIRST, PROCESSOR)
    desk.verb("finish", service=PROCESSOR)
    live, running = desk.state(PROCESSOR)
    assert live == running is not None
    assert desk.status(PROCESSOR)["drift"] is None
