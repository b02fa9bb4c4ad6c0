"""A stack fails, or somebody presses Ctrl-C: what is done, what is not, and what goes on is told."""

import json
import signal
from typing import Any

import pytest

from tests.infra.conftest import HOME, Desk, stacks_named

REGISTRY, SUPPORTING, API, PROCESSOR, NOTIFIER = (stack.name for stack in stacks_named("dev"))
GOES_ON = "to continue, which changes no finished stack, run: orderctl env"


@pytest.mark.parametrize("verb", ["init", "plan", "apply"])
def test_the_first_failure_ends_it(desk: Desk, verb: str) -> None:
    desk.does[f"{verb} {SUPPORTING}"] = {"exit": 1}
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 1
    assert desk.called()[-1] == f"{verb} {SUPPORTING}"
    assert result.stderr.splitlines()[-4:] == [
        f"stopped at {SUPPORTING}: terraform {verb} ended with exit code 1",
        f"applied: {REGISTRY}",
        f"not applied: {SUPPORTING}, {API}, {PROCESSOR}, {NOTIFIER}",
        f"{GOES_ON} apply --env dev",
    ]
    assert list(desk.context.root.rglob("*.tfplan")) == []


def test_what_goes_on_is_what_was_asked_for(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    desk.does[f"apply {API}"] = {"exit": 1}
    result = desk.run("destroy", "--env", "dev", "--only", "services", "--region", HOME, "--yes")
    assert result.exit_code == 1
    assert f"destroyed: {NOTIFIER}, {PROCESSOR}\nnot destroyed: {API}\n" in result.stderr
    assert f"{GOES_ON} destroy --env dev --only services --region {HOME}" in result.stderr


def test_a_plan_that_fails(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    desk.does[f"plan {API}"] = {"exit": 1}
    result = desk.run("plan", "--env", "dev")
    assert result.exit_code == 1
    assert f"planned: {REGISTRY}, {SUPPORTING}\n" in result.stderr


def test_an_output_that_fails(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    desk.does[f"output {API}"] = {"exit": 1}
    result = desk.run("outputs", "--env", "dev")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "terraform output ended with exit code 1" in result.stderr


def test_a_state_that_could_not_be_saved_is_named(desk: Desk) -> None:
    desk.does[f"apply {SUPPORTING}"] = {"exit": 1, "lost": True}
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 1
    assert f"could not write the state of {SUPPORTING}" in result.stderr
    assert "state push errored.tfstate" in result.stderr


def stop(desk: Desk, **does: Any) -> dict[str, Any]:
    """What the stopped Terraform saw."""
    desk.does[f"apply {SUPPORTING}"] = does
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 130, result.output
    seen: dict[str, Any] = json.loads((desk.here / "stopped.json").read_text())
    return seen | {"told": result.stderr}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_lets_terraform_end_what_it_has_begun(
    desk: Desk, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(getattr(signal, name))
    seen = stop(desk, signals=[name], exit=1)
    assert "is stopping: it ends its current step" in capfd.readouterr().err
    assert desk.called()[-1] == f"apply {SUPPORTING}"
    assert "its changes so far are in its state" in seen["told"]
    assert f"applied: {REGISTRY}\nnot applied: {SUPPORTING}, {API}, {PROCESSOR}, {NOTIFIER}\n" in seen["told"]
    assert f"{GOES_ON} apply --env dev" in seen["told"]
    assert signal.getsignal(getattr(signal, name)) == handler


def test_terraform_is_asked_once_however_often_the_key_is_pressed(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = stop(desk, signals=["SIGINT", "SIGINT", "SIGTERM"], exit=1)
    assert all(call["own_group"] for call in desk.calls())  # or the terminal's Ctrl-C would reach it beside ours
    assert not seen["asked_again"]
    told = capfd.readouterr().err
    assert told.count("is stopping: it ends its current step") == 1
    assert told.count("is stopping: wait until it has written its state") == 2


def test_a_stack_that_had_just_come_to_its_end_is_done(desk: Desk) -> None:
    seen = stop(desk, signals=["SIGINT"], exit=0)
    assert f"applied: {REGISTRY}, {SUPPORTING}\nnot applied: {API}, {PROCESSOR}, {NOTIFIER}\n" in seen["told"]
    assert f"{GOES_ON} apply --env dev" in seen["told"]


def test_nothing_goes_on_after_the_last_stack(desk: Desk) -> None:
    desk.does[f"apply {NOTIFIER}"] = {"signals": ["SIGINT"]}
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 130
    assert "not applied: none" in result.stderr
    assert GOES_ON not in result.stderr


def test_a_terraform_that_was_killed_may_have_left_a_lock(desk: Desk) -> None:
    seen = stop(desk, signals=["SIGINT"], killed=True)
    assert "was killed" in seen["told"]
    assert "orderctl env unlock --env dev" in seen["told"]
    assert f"not applied: {SUPPORTING}" in seen["told"]


def test_a_plan_that_is_interrupted_changes_nothing(desk: Desk) -> None:
    desk.does[f"plan {SUPPORTING}"] = {"signals": ["SIGINT"]}
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 130
    assert "interrupted during terraform plan, which changes nothing" in result.stderr
    assert desk.applied() == [REGISTRY]


def test_a_signal_that_is_ignored_stays_ignored(desk: Desk) -> None:
    """As SIGHUP under nohup: Terraform goes on when the terminal is closed."""
    desk.does[f"apply {SUPPORTING}"] = {"ignored": "SIGHUP"}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert desk.run("apply", "--env", "dev", "--yes").exit_code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert desk.applied() == [REGISTRY, SUPPORTING, API, PROCESSOR, NOTIFIER]
