"""Approval of a run by GitHub's environment: what its API says decides, and what it does not say refuses."""

import os
from pathlib import Path
from typing import Any

import pytest

from devtools.approval import faults_of, main

REVIEWERS = {"type": "required_reviewers", "prevent_self_review": True, "reviewers": [{"type": "Team"}]}
PROD: dict[str, Any] = {"name": "prod-approval", "protection_rules": [REVIEWERS], "can_admins_bypass": False}
APPROVED = [{"state": "approved", "environments": [{"name": "prod-approval"}], "user": {"login": "ada"}}]


def test_an_approved_run() -> None:
    assert faults_of(PROD, APPROVED) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"protection_rules": []}, "has no required reviewers"),
        ({"protection_rules": [{"type": "branch_policy"}]}, "has no required reviewers"),
        ({"protection_rules": [{**REVIEWERS, "reviewers": []}]}, "has no required reviewers"),
        ({"protection_rules": [{**REVIEWERS, "prevent_self_review": False}]}, "approve their own runs"),
        ({"can_admins_bypass": True}, "lets administrators bypass"),
    ],
)
def test_an_environment_that_protects_nothing(changes: dict[str, Any], fault: str) -> None:
    (found,) = faults_of({**PROD, **changes}, APPROVED)
    assert fault in found


@pytest.mark.parametrize(
    "approvals",
    [
        [],
        [{"state": "rejected", "environments": [{"name": "prod-approval"}]}],
        [{"state": "approved", "environments": [{"name": "uat-approval"}]}],
    ],
)
def test_a_run_that_nobody_approved(approvals: list[dict[str, Any]]) -> None:
    assert faults_of(PROD, approvals) == ["no reviewer approved this run in the environment prod-approval"]


def test_dev_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("dev", {}) is None
    assert main("feat-login-1234abcd", {}) is None
    assert "dev needs no approval" in capsys.readouterr().out


GH = """#!/bin/sh
case "$2" in
    repos/shop/orders/environments/prod-approval) cat "$ANSWERS/environment" ;;
    repos/shop/orders/actions/runs/7/approvals) cat "$ANSWERS/approvals" ;;
    *) exit 1 ;;
esac
"""


def test_github_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gh"
    program.write_text(GH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(tmp_path))
    run = {"GITHUB_REPOSITORY": "shop/orders", "GITHUB_RUN_ID": "7"}
    refused = main("prod", run)
    assert refused is not None
    assert "GitHub does not say whether prod may be deployed" in refused
    (tmp_path / "environment").write_text('{"name": "prod-approval"}')
    (tmp_path / "approvals").write_text("[]")
    refused = main("prod", run)
    assert refused is not None
    assert "prod is not deployed:\n  the environment prod-approval has no required reviewers\n" in refused
