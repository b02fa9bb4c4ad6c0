"""`orderctl env`: infra's verbs, found from anywhere in a checkout, and nowhere else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.operate.__main__ import app as infra_app
from orderctl.commands.environments import VERBS
from orderctl.main import app

ROOT = Path(__file__).parents[3]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["env", *words])


@pytest.mark.parametrize("words", [("plan", "--env", "dev"), ("apply", "--help")])
def test_without_a_checkout_it_says_what_to_do(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*words)
    assert ended.exit_code == 2
    assert "clone the repository, run `make setup-infra` in it" in ended.stderr


def test_a_verb_runs_as_infra_has_it_with_its_options_and_its_exit_code() -> None:
    def costs(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "orderctl.main", "env", "costs", *words]
        return subprocess.run(command, cwd=ROOT / "docs", capture_output=True, text=True, check=False)

    shown = costs("--env", "prod", "--output", "json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert list(json.loads(shown.stdout)) == ["prod"]
    unknown = costs("--env", "staging")
    assert (unknown.returncode, "'staging' is no environment" in unknown.stderr) == (2, True)


def test_the_verbs_are_infras() -> None:
    names = {command.name or getattr(command.callback, "__name__", "") for command in infra_app.registered_commands}
    assert names == set(VERBS)


@pytest.mark.parametrize(
    ("old", "new"), [("begin", "init"), ("deploy", "apply"), ("output", "outputs"), ("reap", "gc")]
)
def test_a_verb_of_the_last_release_says_its_new_name_and_runs(old: str, new: str) -> None:
    ended = CliRunner().invoke(infra_app, [old, "--help"])
    assert (ended.exit_code, f"`{old}` is now `{new}`" in ended.stderr) == (0, True)
    assert f" {new} [OPTIONS]" in ended.stdout
