"""ECR's scan of an image is waited for before it is deployed, not for ever, and by nobody who only looks."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from order_operations.deployments.ecr_repository import EcrRepository
from tests.integration.deploy_desk import API, FIRST, SECOND, Desk

DONE, REFUSED, INTERRUPTED = 0, 3, 130
TOLD = "waiting for ECR to scan the image"
TEN_MINUTES, A_MINUTE = 120, 12
"""In looks, one each five seconds."""


def scanned_after(desk: Desk, looks: int, *, before: str = "IN_PROGRESS") -> Callable[[], int]:
    """The scan of every image has this status until somebody has looked away so often; tells how often that was."""
    looked = 0

    def look() -> None:
        nonlocal looked
        looked += 1

    def answer(told: dict[str, Any]) -> None:
        if looked < looks:
            told["imageScanStatus"]["status"] = before

    desk.on_look = look
    desk.wire.after["DescribeImageScanFindings"] = answer
    return lambda: looked


@pytest.mark.parametrize("before", ["PENDING", "IN_PROGRESS"])
def test_a_scan_that_is_going_on_is_waited_for_and_told_of_once(desk: Desk, before: str) -> None:
    calls: list[str] = []
    scanned_after(desk, 3, before=before)
    desk.wire.before["PutItem"] = lambda: calls.append("taken")
    desk.wire.before["DescribeImageScanFindings"] = lambda: calls.append("looked")
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, ended.stderr.count(TOLD)) == (DONE, 1), ended.output
    assert calls[:5] == ["looked"] * 4 + ["taken"]  # nobody is kept out meanwhile
    assert desk.state() == (desk.digest(SECOND),) * 2


def test_one_that_does_not_end_is_refused_after_ten_minutes(desk: Desk) -> None:
    looked = scanned_after(desk, 10 * TEN_MINUTES)
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "FAIL scan: the scan is IN_PROGRESS" in ended.stderr) == (REFUSED, True)
    assert looked() == TEN_MINUTES
    assert desk.state() == (desk.digest(FIRST),) * 2


@pytest.mark.parametrize("status", ["COMPLETE", "ACTIVE", "FAILED", "UNSUPPORTED_IMAGE"])
def test_what_waiting_would_not_change_is_not_waited_for(desk: Desk, status: str) -> None:
    """Inspector's scans go on for ever."""
    scanned_after(desk, 10 * TEN_MINUTES, before=status)
    assert TOLD not in desk.deploy(SECOND, "--no-wait").stderr


def set_scanned(desk: Desk, findings: dict[str, int] | None) -> None:
    """None: no scan has begun."""
    manifest = EcrRepository(desk.ecs.client("ecr"), API).get(SECOND).architectures["arm64"]
    desk.ecs.registry.set_findings(API, manifest, findings)


def test_one_that_has_not_begun_is_waited_for(desk: Desk) -> None:
    """As with an image that was just pushed: it would be deployed without a look at it."""
    set_scanned(desk, None)
    desk.on_look = lambda: set_scanned(desk, {"CRITICAL": 1})
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, ended.stderr.count(TOLD)) == (REFUSED, 1)
    assert "the image has findings: 1 CRITICAL" in ended.stderr


def test_one_that_does_not_begin_is_waited_for_a_minute(desk: Desk) -> None:
    set_scanned(desk, None)
    looked = scanned_after(desk, 0)
    ended = desk.deploy(SECOND, "--no-wait")
    assert "SKIP scan: ECR has not scanned the image" in ended.stderr
    assert A_MINUTE <= looked() < 2 * A_MINUTE


@pytest.mark.parametrize("words", [("verify", "--tag", SECOND), ("deploy", "--tag", SECOND, "--dry-run")])
def test_whoever_only_looks_waits_for_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    looked = scanned_after(desk, 1)
    ended = desk.verb(*words)
    assert (ended.exit_code, "the scan is IN_PROGRESS" in ended.stderr) == (REFUSED, True)
    assert looked() == 0


def test_the_way_back_waits_for_nothing(desk: Desk) -> None:
    assert desk.deploy(SECOND).exit_code == DONE
    scanned_after(desk, 10 * TEN_MINUTES)
    ended = desk.verb("rollback", "--no-wait")
    assert "SKIP scan: the scan is IN_PROGRESS" in ended.stderr
    assert TOLD not in ended.stderr


def test_an_interruption_leaves_everything_as_it_was(desk: Desk) -> None:
    scanned_after(desk, 10 * TEN_MINUTES)
    desk.on_look = lambda: signal.raise_signal(signal.SIGTERM)
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "interrupted: nothing was changed" in ended.stderr) == (INTERRUPTED, True)
    assert (desk.state(), desk.audit()) == ((desk.digest(FIRST),) * 2, [])
    desk.lock().take()  # which is free
