"""Child processes: none outlives the program that started it, whatever fails first."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devstack.processes import ChildFailed, ProcessGroup

PATIENCE_SECONDS = 30.0
MARK = "ORDER_TEST_OF_CHILDREN"
HANGING = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
"""A child that does not end when it is asked to."""

PARENT = f"""
import os, pathlib, sys, time
from devstack import processes
from devstack.processes import ProcessGroup
processes.STOP_SECONDS, processes.ORPHAN_SECONDS = 0.2, 0.2
with ProcessGroup(pathlib.Path(sys.argv[1])) as group:
    for name in ("first", "second", "second"):
        child = group.start(name, [sys.executable, "-c", {HANGING!r}], dict(os.environ))
        child.wait_until(lambda: "up" in child.log(), "up", 30)
    print("started", flush=True)
    exec(sys.argv[2])
"""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Mark the environment of every process of the test, and end what is left of them."""
    monkeypatch.setenv(MARK, str(tmp_path))
    yield str(tmp_path)
    for pid in marked(str(tmp_path)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Return the processes whose environment has the mark, without this one."""
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal() and _has(each, mark)]


def _has(process: Path, mark: str) -> bool:
    with suppress(OSError):
        ended = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return (
            process.name != str(os.getpid())
            and not ended
            and f"{MARK}={mark}".encode() in (process / "environ").read_bytes()
        )
    return False


def nothing_is_left(mark: str) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := marked(mark):
        if time.monotonic() > deadline:
            raise AssertionError(f"these processes were left: {left}")
        time.sleep(0.02)
    return True


ENDS = {
    "it ends": "pass",
    "it raises": "raise RuntimeError",
    "it exits": "sys.exit(3)",
    "it is killed": "os.kill(os.getpid(), 9)",
    "Ctrl-C": "os.kill(os.getpid(), 2); time.sleep(600)",
    "the guard is killed first": "os.kill(group._guard.pid, 9); group._guard.wait(); group.ensure_alive()",
    "the guard and the children are killed, then it": (
        "os.kill(group._guard.pid, 9); group._guard.wait(); [each.process.kill() for each in group._children]; "
        "os.kill(os.getpid(), 9)"
    ),
    "a child is killed first": "group._children[0].process.kill(); time.sleep(0.1); group.ensure_alive()",
    "a child is stopped": "os.kill(group._children[0].pid, 19)",
    "its log cannot be opened": "group.logs = pathlib.Path('/dev/null/logs'); group.start('third', ['true'], {})",
    "a program is missing": "group.start('third', ['/no/such/program'], {})",
    "a child is not known yet": "group._children.pop()",
}


@pytest.mark.parametrize("how", ENDS)
def test_nothing_outlives_it(mark: str, tmp_path: Path, how: str) -> None:
    subprocess.run([sys.executable, "-c", PARENT, str(tmp_path), ENDS[how]], capture_output=True, check=False)
    assert nothing_is_left(mark)


@pytest.mark.parametrize("signals", [(2, 2), (2, 2, 2), (2, 9), (15,)])
def test_nothing_outlives_an_impatient_end(mark: str, tmp_path: Path, signals: tuple[int, ...]) -> None:
    """A second Ctrl-C while the children are being stopped."""
    program = PARENT.replace("= 0.2, 0.2", "= 25, 0.2")
    wait = "import signal; signal.signal(15, signal.default_int_handler); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", program.replace('"second", "second"', '"second"'), str(tmp_path), wait],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        began = time.monotonic()
        while parent.poll() is None and time.monotonic() - began < PATIENCE_SECONDS:
            for number in signals:
                parent.send_signal(number)
                time.sleep(0.1)
    assert nothing_is_left(mark)


def test_a_start_that_hangs_is_stopped_before_the_next_one(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstack.processes.STOP_SECONDS", 0.2)
    with ProcessGroup(tmp_path) as group:
        first = group.start("emulator", [sys.executable, "-c", HANGING], dict(os.environ))
        first.wait_until(lambda: "up" in first.log(), "up", PATIENCE_SECONDS)
        with pytest.raises(ChildFailed, match="was not ready"):
            first.wait_until(lambda: False, "ready", 0.1)
        second = group.start("emulator", [sys.executable, "-c", HANGING], dict(os.environ))
        assert first.process.returncode == -signal.SIGKILL
        second.wait_until(lambda: "up" in second.log(), "up", PATIENCE_SECONDS)
    assert nothing_is_left(mark)


def test_a_folder_that_cannot_be_made_leaves_the_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), ProcessGroup(tmp_path / "file" / "logs"):
        pass
    assert signal.getsignal(signal.SIGINT) is before
