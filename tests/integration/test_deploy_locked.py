"""Two operators at one service: who is told what, and what a lock that is lost keeps from being done."""

import pytest
from botocore.exceptions import EndpointConnectionError

from order_operations.deployments.errors import Locked
from order_operations.deployments.lock import HELD_SECONDS
from tests.integration.deploy_desk import FIRST, SECOND, Desk

DONE, FAILED, REFUSED = 0, 1, 3


def test_somebody_elses_lock_says_whose(desk: Desk) -> None:
    lock = desk.lock("deploy sha-9999999")
    lock.take()
    ended = desk.deploy(SECOND)
    assert ended.exit_code == REFUSED
    assert ": deploy sha-9999999. If that command no longer runs, the lock expires in " in ended.stderr
    assert (desk.state(), desk.audit()) == ((desk.digest(FIRST),) * 2, [])
    lock.release()
    assert desk.deploy(SECOND).exit_code == DONE


def test_whoever_comes_meanwhile_is_told_to_wait(desk: Desk) -> None:
    found: list[str] = []

    def come() -> None:
        with pytest.raises(Locked) as error:
            desk.lock().take()
        found.append(str(error.value))

    desk.on_look = come
    assert desk.deploy(SECOND).exit_code == DONE
    assert all(f"deploy {SECOND}" in told for told in found)
    desk.lock().take()


def test_a_lock_that_is_lost_is_told(desk: Desk) -> None:
    def lose() -> None:
        later = desk.lock()
        later._now = lambda: later_than_held
        later.take()
        desk.on_look = lambda: None

    later_than_held = desk.ecs.engine.clock().timestamp() + HELD_SECONDS + 60
    desk.on_look = lose
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "the lock on order-api in dev was lost" in ended.stderr) == (FAILED, True)
    assert "orderctl status" in ended.stderr


def test_a_lock_that_is_lost_while_it_looks_moves_no_tag(desk: Desk) -> None:
    """Such as one whose calls were throttled for longer than a lock is held."""

    def lose() -> None:
        later = desk.lock()
        later._now = lambda: later_than_held
        later.take()

    later_than_held = desk.ecs.engine.clock().timestamp() + HELD_SECONDS + 60
    desk.wire.before["DescribeAlarms"] = lose
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "was lost" in ended.stderr) == (FAILED, True)
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.audit() == []


def test_a_lock_that_cannot_be_let_go_frees_itself_and_changes_no_outcome(desk: Desk) -> None:
    def fail() -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    desk.wire.before["DeleteItem"] = fail
    ended = desk.deploy(SECOND)
    assert ended.exit_code == DONE
    with pytest.raises(Locked):
        desk.lock().take()
