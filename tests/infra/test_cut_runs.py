"""A run that is cut: GitHub's runner ends a step as `ProcessInvoker` does, and Terraform writes its state.

The runner sends SIGINT to the shell alone, SIGTERM after 7.5 s, and kills the whole tree after 2.5 s more
(actions/runner, src/Runner.Sdk/ProcessInvoker.cs).
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.infra.synthesis import ROOT
from tests.infra.workflows import jobs
from tests.waiting import eventually

TERM_AFTER = 7.5
"""Seconds between SIGINT and SIGTERM: what must be written by then to be safe."""
SHELL = "python3 -Es devtools/relay.py {0}"
CHANGING = {"make apply-registry", "make apply-supporting", "make apply-services", "make destroy", "make gc-branches"}

TERRAFORM = """#!/bin/bash
trap 'echo asked >> asked' TERM
echo $$ > started
while [ ! -e asked ] || [ -e slow ]; do sleep 0.05; done
echo state > saved
exit 1
"""

SOURCES = [str(ROOT / path) for path in ("", "cli/src", "operations/src", "shared/src")]
OPERATE = f"""
import os, sys
from pathlib import Path
sys.path[:0] = {SOURCES!r}
from infra.operate.process import Child
Child("terraform").run(["./terraform"], folder=Path.cwd(), environ=os.environ)
"""


@contextmanager
def step(here: Path, *shell: str) -> Iterator[subprocess.Popen[bytes]]:
    """A step that runs make, which runs our command, which runs Terraform."""
    (here / "terraform").write_text(TERRAFORM)
    (here / "terraform").chmod(0o755)
    (here / "operate.py").write_text(OPERATE)
    (here / "Makefile").write_text(f"SHELL := /bin/bash\napply:\n\t@{sys.executable} operate.py --yes; true\n")
    (here / "script.sh").write_text("make apply\n")
    process = subprocess.Popen([*shell, "script.sh"], cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(eventually((here / "started").exists, patience=20))
        yield process
    finally:
        (here / "slow").unlink(missing_ok=True)
        if not (here / "saved").exists():
            os.kill(int((here / "started").read_text()), signal.SIGKILL)
        process.kill()
        process.wait()


@pytest.fixture
def relay() -> tuple[str, ...]:
    return (sys.executable, "-Es", str(ROOT / "devtools" / "relay.py"))


def test_terraform_is_asked_at_once_and_writes_its_state(tmp_path: Path, relay: tuple[str, ...]) -> None:
    with step(tmp_path, *relay) as process:
        process.send_signal(signal.SIGINT)
        asyncio.run(eventually((tmp_path / "saved").exists, patience=TERM_AFTER))
        assert process.wait(TERM_AFTER) != 0


def test_terraform_that_needs_longer_is_not_asked_twice(tmp_path: Path, relay: tuple[str, ...]) -> None:
    """After a second signal it would exit at once, without what it was creating."""
    (tmp_path / "slow").touch()
    with step(tmp_path, *relay) as process:
        process.send_signal(signal.SIGINT)
        asyncio.run(eventually((tmp_path / "asked").exists, patience=TERM_AFTER))
        process.send_signal(signal.SIGTERM)
        (tmp_path / "slow").unlink()
        asyncio.run(eventually((tmp_path / "saved").exists, patience=2.5))
        assert (tmp_path / "asked").read_text() == "asked\n"
        assert process.wait(10) != 0


def test_a_shell_alone_tells_terraform_nothing(tmp_path: Path) -> None:
    """Which is why the steps have a shell of their own."""
    with step(tmp_path, "bash", "-e") as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert not (tmp_path / "asked").exists()


def test_the_exit_code_of_the_step_is_that_of_its_script(tmp_path: Path, relay: tuple[str, ...]) -> None:
    (tmp_path / "script.sh").write_text("false | true\nexit 3\n")
    assert subprocess.run([*relay, "script.sh"], cwd=tmp_path, check=False).returncode == 1
    (tmp_path / "script.sh").write_text("exit 3\n")
    assert subprocess.run([*relay, "script.sh"], cwd=tmp_path, check=False).returncode == 3
    (tmp_path / "script.sh").write_text("kill -KILL $$\n")
    assert subprocess.run([*relay, "script.sh"], cwd=tmp_path, check=False).returncode == 137


def test_each_step_that_runs_terraform_passes_the_signal_on() -> None:
    steps = [(job, step) for job in jobs() for step in job.steps if step.get("run") in CHANGING]
    assert {step["run"] for _, step in steps} == CHANGING
    for job, each in steps:
        assert each.get("shell") == SHELL, str(job)


def test_each_job_that_runs_terraform_keeps_a_state_that_was_not_saved() -> None:
    changing = [job for job in jobs() if any(step.get("run") in CHANGING for step in job.steps)]
    assert changing
    for job in changing:
        last = job.steps[-1]
        assert last["if"] == "failure() || cancelled()", str(job)
        assert last["uses"].startswith("actions/upload-artifact@"), str(job)
        assert last["with"]["path"] == ".local/infra/**/errored.tfstate", str(job)
        assert last["with"]["include-hidden-files"] is True, str(job)
