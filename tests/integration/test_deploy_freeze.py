"""A service that nobody shall deploy: `freeze`, and `continue`."""

import json

import pytest

from tests.integration.deploy_desk import FIRST, SECOND, Desk, give_terminal

DONE, REFUSED, UNDER_WAY = 0, 3, 4
REASON = ("--reason", "incident 42")


def test_nobody_deploys_what_is_frozen_until_it_is_lifted(desk: Desk) -> None:
    assert desk.verb("freeze", *REASON).exit_code == DONE
    refused = desk.deploy(SECOND)
    assert refused.exit_code == REFUSED
    assert "frozen by" in refused.stderr
    assert "incident 42" in refused.stderr
    assert desk.state() == (desk.digest(FIRST),) * 2
    assert desk.verb("continue").exit_code == DONE
    assert desk.deploy(SECOND).exit_code == DONE
    assert [verb for verb, _ in desk.audit()] == ["freeze", "continue", "deploy", "continue", "deployed"]


def test_status_and_verify_tell_it(desk: Desk) -> None:
    told = json.loads(desk.verb("freeze", *REASON, "--output", "json").stdout)
    assert told["frozen"] == desk.status()["frozen"] == "incident 42"
    assert "incident 42" in desk.verb("status").stdout
    assert desk.verb("verify", "--tag", SECOND).exit_code == REFUSED


def test_a_green_side_that_waits_goes_on_only_when_it_is_lifted(desk: Desk) -> None:
    def freeze_once() -> None:
        desk.on_look = lambda: None
        assert desk.verb("freeze", *REASON).exit_code == DONE

    desk.on_look = freeze_once
    left = desk.deploy(SECOND)
    assert left.exit_code == UNDER_WAY
    assert "smoke test passed; paused, since deployments are frozen" in left.stderr
    assert desk.verb("continue").exit_code == DONE
    desk.finish()
    assert desk.state() == (desk.digest(SECOND),) * 2
    assert desk.status()["frozen"] is None


def test_the_way_back_is_open_all_the_same(desk: Desk) -> None:
    desk.deploy(SECOND)
    desk.verb("freeze", *REASON)
    assert desk.verb("rollback", "--auto", "--test-url", desk.test_url).exit_code == DONE
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_a_dry_run_freezes_nothing(desk: Desk) -> None:
    assert "nothing was changed" in desk.verb("freeze", *REASON, "--dry-run").stderr
    assert desk.status()["frozen"] is None


def test_there_must_be_something_to_continue(desk: Desk) -> None:
    refused = desk.verb("continue")
    assert refused.exit_code == REFUSED
    assert "deployments are not frozen" in refused.stderr


def test_a_word_that_comes_too_late_lifts_no_pause(desk: Desk) -> None:
    desk.deploy(SECOND, "--no-wait")
    desk.come_to_pause()
    desk.verb("freeze", *REASON)
    desk.wire.before["ContinueServiceDeployment"] = desk.finish
    assert desk.verb("continue").exit_code == REFUSED
    assert desk.status()["frozen"] == "incident 42"


def test_whoever_is_asked_is_told_of_the_pause(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def freeze_once() -> None:
        desk.on_look = lambda: None
        desk.verb("freeze", *REASON)

    give_terminal(monkeypatch)
    desk.on_look = freeze_once
    asked = desk.deploy(SECOND, answer="n\nn\n")
    assert (asked.exit_code, "frozen by" in asked.stderr) == (UNDER_WAY, True)
