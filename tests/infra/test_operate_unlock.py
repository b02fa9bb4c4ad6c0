"""The lock of a killed run: it is shown, asked about, and released if it is still the same."""

import json

import pytest

from infra.stacks import Stack
from orderctl import terminal
from tests.infra.conftest import BUCKET, Desk, stacks_named

LOCK = {
    "ID": "7d1c9a1e-8b0c-5a55-2f4b-0d5d0f2f3c11",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "runner@fv-az1234",
    "Version": "1.14.5",
    "Created": "2026-11-30T03:17:42.123456789Z",
    "Path": "order-platform-state/dev/eu-central-1/supporting.tfstate",
}
"""As Terraform's S3 backend writes it beside the state, with `use_lockfile`."""


def lock(desk: Desk, stack: Stack, text: str | None = None) -> None:
    body = json.dumps(LOCK) if text is None else text
    desk.s3.put_object(Bucket=BUCKET, Key=f"{stack.key}.tflock", Body=body.encode())


@pytest.fixture
def locked(desk: Desk) -> Desk:
    _, supporting, *_ = stacks_named("dev")
    lock(desk, supporting)
    return desk


def test_the_lock_is_shown_asked_about_and_released(locked: Desk) -> None:
    result = locked.run("unlock", "--env", "dev", answer="dev\n")
    assert result.exit_code == 0, result.output
    shown = "OperationTypeApply by runner@fv-az1234 since 2026-11-30T03:17:42.123456789Z"
    assert shown in " ".join(result.stderr.split())
    supporting = stacks_named("dev")[1].name
    assert locked.called() == [f"init {supporting}", f"force-unlock {supporting}"]
    assert locked.calls()[1]["arguments"] == ["force-unlock", "-no-color", "-force", LOCK["ID"]]


def test_another_answer_releases_nothing(locked: Desk) -> None:
    assert locked.run("unlock", "--env", "dev", answer="yes\n").exit_code == 3
    assert locked.calls() == []


def test_a_dry_run_only_shows(locked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    result = locked.run("unlock", "--env", "dev", "--dry-run")
    assert result.exit_code == 0
    assert LOCK["ID"] in result.stderr
    assert locked.calls() == []


def test_nobody_is_there_to_answer(locked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    assert locked.run("unlock", "--env", "dev").exit_code == 3
    assert locked.calls() == []


def test_no_lock_is_no_failure(desk: Desk) -> None:
    result = desk.run("unlock", "--env", "dev", "--yes")
    assert (result.exit_code, "no state is locked" in result.stderr) == (0, True)
    assert desk.calls() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "not of Terraform"])
def test_what_terraform_did_not_write_is_left(desk: Desk, text: str) -> None:
    lock(desk, stacks_named("dev")[0], text)
    result = desk.run("unlock", "--env", "dev", "--yes")
    assert result.exit_code == 1
    assert "is not one that Terraform wrote" in result.stderr
    assert desk.calls() == []


def test_a_lock_that_has_changed_fails(locked: Desk) -> None:
    supporting = stacks_named("dev")[1].name
    locked.does[f"force-unlock {supporting}"] = {"exit": 1}
    result = locked.run("unlock", "--env", "dev", "--yes")
    assert result.exit_code == 1
    assert "terraform force-unlock ended with exit code 1" in result.stderr


def test_hcp_keeps_its_own_locks(desk: Desk) -> None:
    desk.pretend(hcp_organisation="shop")
    result = desk.run("unlock", "--env", "dev", "--yes")
    assert (result.exit_code, "on the page of the workspace" in result.stderr) == (3, True)
