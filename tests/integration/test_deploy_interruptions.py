"""Interrupted at every call that changes something, before it and after it, by Ctrl-C and by SIGTERM.

Then the lock is free, `status` tells whether tag and tasks differ, and the same command brings it to its end.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from devstack.ecs_stack import endpoints_of, variables
from fake_ecs.seed import standard
from order_operations.deployments.fleet import Fleet
from order_operations.deployments.service_ref import ServiceRef
from tests.ecs import open_ecs
from tests.integration.deploy_desk import (
    API,
    FIRST,
    SECOND,
    Desk,
    GreenSide,
    Ground,
    empty_operations,
    give_terminal,
)
from tests.waiting import PATIENCE_SECONDS, eventually

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 3, 130
SPEED = 2000.0

CALLS = (
    ("PutItem", 1, "before", "nothing was changed"),  # the lock
    ("PutItem", 2, "before", "nothing was changed"),  # the audit record
    ("PutImage", 1, "before", "no deployment has started. Run the same command again"),  # the previous tag
    ("PutImage", 1, "after", "no deployment has started. Run the same command again"),
    ("PutImage", 2, "before", "no deployment has started. Run the same command again"),  # the live tag
    ("PutImage", 2, "after", "no deployment has started. Run the same command again"),
    ("UpdateService", 1, "before", "a deployment may have started. Run the same command again"),
    ("UpdateService", 1, "after", "a deployment may have started. Run the same command again"),
    ("UpdateItem", 1, "before", "nothing was changed"),  # the lock, extended
    ("UpdateItem", 4, "before", "ECS continues the deployment"),  # and again
    ("PutItem", 3, "before", "ECS continues the deployment"),  # the audit record of what the green side gets
    ("ContinueServiceDeployment", 1, "before", "ECS continues the deployment"),
    ("ContinueServiceDeployment", 1, "after", "ECS continues the deployment"),
    ("PutItem", 4, "before", "`orderctl finish order-api --env dev` moves it"),  # the audit record of its end
)
"""The operation, which of its calls, before it is sent or after it was answered, and what is said then."""


def interrupt_at(desk: Desk, operation: str, number: int, sign: signal.Signals, *, after: bool) -> None:
    """Once, at that call."""
    calls = 0

    def count(_: dict[str, Any] | None = None) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            signal.raise_signal(sign)

    if after:
        desk.wire.after[operation] = count
    else:
        desk.wire.before[operation] = count


def nothing_is_unnoticed(desk: Desk) -> None:
    """If the tag means another image than the tasks run, `status` shows a deployment or says drift."""
    live, running = desk.state()
    told = desk.status()
    assert told["deployment"] or told["drift"] or live == running


@pytest.mark.parametrize(("operation", "number", "when", "left"), CALLS)
def test_the_same_command_goes_on_where_it_was_interrupted(
    desk: Desk, operation: str, number: int, when: str, left: str
) -> None:
    sign = signal.SIGTERM if when == "after" else signal.SIGINT
    interrupt_at(desk, operation, number, sign, after=when == "after")
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, left in ended.stderr) == (INTERRUPTED, True), ended.output
    nothing_is_unnoticed(desk)
    desk.wire.before.clear()
    desk.wire.after.clear()

    again = desk.deploy(SECOND)
    assert again.exit_code == DONE, again.output
    assert desk.state() == (desk.digest(SECOND),) * 2
    assert desk.digest("previous-dev") == desk.digest(FIRST)
    desk.lock().take()  # which is free


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("operation", "number"), [("ContinueServiceDeployment", 1), ("PutImage", 2)])
def test_a_rollback_that_is_interrupted_leaves_no_drift_unnoticed(
    desk: Desk, operation: str, number: int, *, after: bool
) -> None:
    """The tag that was to go back is seen to by `rollback`, or by the same command."""
    desk.green.is_ready = False
    interrupt_at(desk, operation, number, signal.SIGTERM, after=after)
    assert desk.deploy(SECOND).exit_code == INTERRUPTED
    nothing_is_unnoticed(desk)
    desk.wire.before.clear()
    desk.wire.after.clear()
    desk.finish()
    nothing_is_unnoticed(desk)
    if desk.status()["drift"]:
        assert desk.verb("rollback").exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_an_interruption_at_the_tag_can_be_taken_back(desk: Desk) -> None:
    interrupt_at(desk, "UpdateService", 1, signal.SIGINT, after=False)
    assert desk.deploy(SECOND).exit_code == INTERRUPTED
    assert desk.verb("status").exit_code == FAILED
    assert desk.verb("rollback").exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.verb("status").exit_code == DONE


def test_no_answer_to_the_question_is_an_interruption(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    give_terminal(monkeypatch)
    ended = desk.deploy(SECOND, answer="")  # the end of input, as Ctrl-D
    assert (ended.exit_code, "ECS continues the deployment" in ended.stderr) == (INTERRUPTED, True)
    assert desk.deploy(SECOND).exit_code == DONE


@pytest.mark.parametrize("verb", ["wait", "status"])
def test_the_other_verbs_end_alike(desk: Desk, verb: str) -> None:
    desk.deploy(SECOND, "--no-wait")
    interrupt_at(desk, "DescribeServiceDeployments", 1, signal.SIGTERM, after=False)
    assert desk.verb(verb).exit_code == INTERRUPTED


def interrupted_word(desk: Desk, operation: str, *words: str, then: Callable[[], None]) -> None:
    interrupt_at(desk, operation, 1, signal.SIGINT, after=True)
    ended = desk.verb(*words)
    assert (ended.exit_code, "check with `orderctl status`" in ended.stderr) == (INTERRUPTED, True)
    desk.wire.after.clear()
    then()


def test_an_interrupted_abort_leaves_no_drift_unnoticed(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    desk.ecs.skip()
    interrupted_word(desk, "StopServiceDeployment", "abort", "--reason", "no", then=desk.finish)
    assert desk.verb("status").exit_code == FAILED
    assert desk.verb("rollback").exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2


async def test_of_two_operators_at_once_one_is_told_about_the_other(deploy_ground: Ground) -> None:
    """Two processes. Whoever has the lock is held at the test of the green side until the other has been refused."""
    empty_operations(deploy_ground.embedded, "dev-")
    green = GreenSide()
    green.wait = threading.Event()
    async with open_ecs(standard(pause_minutes=20160), speed=SPEED) as ecs:
        with green.serve():
            environment = {
                **os.environ,
                **variables(endpoints_of(ecs.address, deploy_ground.embedded)),
                "ORDER_DEPLOY_LOOK_SECONDS": "0.02",
            }
            command = [sys.executable, "-m", "orderctl.main", "deploy", API, "--env", "dev", "--auto"]
            command += ["--test-url", green.url, "--tag", SECOND]
            operators = [
                subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
                for _ in range(2)
            ]
            await eventually(lambda: any(each.poll() is not None for each in operators), "the end of one of them")
            green.wait.set()
            told = [each.communicate(timeout=PATIENCE_SECONDS)[1] for each in operators]
        codes = [each.returncode for each in operators]
        assert sorted(codes) == [DONE, REFUSED], told
        assert f"deploy {SECOND}. If that command no longer runs, the lock expires" in told[codes.index(REFUSED)]
        fleet = Fleet(ecs.client("ecs"), ServiceRef(environment="dev", kind=API))
        assert len(fleet.history()) == 2  # the first of all, and one of the two
