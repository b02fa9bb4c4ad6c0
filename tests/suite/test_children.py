"""Every place that starts a process: nothing that it starts outlives its program."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite.checkout import make_checkout
from tests.suite.sources import ROOT, calls, shipped
from tests.unit.devstack.test_processes import mark, nothing_is_left

__all__ = ["mark"]

STARTING = re.compile(
    r"subprocess\.(Popen|run|call|check_call|check_output|getoutput|getstatusoutput)"
    r"|asyncio\.(subprocess\.)?create_subprocess_(exec|shell)|.+\.subprocess_(exec|shell)"
    r"|os\.(fork|forkpty|system|popen|exec[a-z]+|posix_spawnp?|spawn[a-z]+)|pty\.(fork|spawn)"
    r"|multiprocessing\..+|concurrent\.futures\.(process\.)?ProcessPoolExecutor"
)

CARE = {
    ("devtools/devstack/src/devstack/processes.py", "ProcessGroup.__enter__"): "tests/unit/devstack/test_processes.py",
    ("devtools/devstack/src/devstack/processes.py", "ProcessGroup.start"): "tests/unit/devstack/test_processes.py",
    ("devtools/devstack/src/devstack/processes.py", "ProcessGroup.run"): "a command ends with its stack",
    ("devtools/devstack/src/devstack/emulator.py", "main"): "replaces itself: it is the child",
    ("devtools/approval.py", "_ask"): "the request to GitHub ends with the check",
    ("devtools/relay.py", "main"): "tests/infra/test_cut_runs.py",
    ("devtools/vendored.py", "main"): "npm ends with the command",
    ("devtools/setup/uv.py", "run"): "uv ends with the set-up",
    ("infra/operate/process.py", "Child.run"): "Terraform ends with its operator",
    ("infra/operate/synthesis.py", "_start"): "an app ends with its operator",
}
"""Each place, with the test that ends its program in every way. Use one of these instead of adding one."""


def test_processes_are_started_in_known_places_only() -> None:
    starting = {(each.path, each.function) for each in calls(shipped()) if STARTING.fullmatch(each.name)}
    assert starting == CARE.keys()


SLEEPING = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
SET_UP = f"""
import os, signal, sys
from devtools.setup.uv import run
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
run({SLEEPING!r}, env=os.environ)
"""
FORKING = f"""
import os, signal
from devtools.setup.uv import run
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    run({SLEEPING!r}, env=os.environ)
except KeyboardInterrupt:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("interrupted, and no child is left")
"""
TERRAFORM = f"""
import os, pathlib
from infra.operate.process import Child
from orderctl.terminal import reported
with reported():
    Child("terraform").run({SLEEPING!r}, folder=pathlib.Path("."), environ=os.environ)
"""
STACK = f"""
import os, pathlib, sys
from devstack.processes import ProcessGroup
from orderctl.signals import interruptible
with interruptible(), ProcessGroup(pathlib.Path(sys.argv[1])) as group:
    group.run({SLEEPING!r}, os.environ, seconds=600)
"""
APPS = """
import pathlib, sys
from types import SimpleNamespace
from infra.operate import synthesis
from orderctl.terminal import reported
folder = pathlib.Path(sys.argv[1])
python = folder / "infra" / ".venv" / "bin" / "python"
python.parent.mkdir(parents=True)
python.write_text("#!/bin/sh\\necho up >&2\\necho up > /proc/$PPID/fd/1\\nexec sleep 600\\n")
python.chmod(0o755)
import os
context = SimpleNamespace(root=folder, environ=os.environ)
with reported():
    synthesis.synthesize(context, SimpleNamespace(name="dev"), folder / "out", ["supporting", "services"])
"""
PROGRAMS = {
    "uv ends with the set-up": SET_UP,
    "Terraform ends with its operator": TERRAFORM,
    "an app ends with its operator": APPS,
    "a command ends with its stack": STACK,
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_child_ends_with_its_program(mark: str, tmp_path: Path, program: str, number: int) -> None:
    command = [sys.executable, "-c", PROGRAMS[program], str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.send_signal(number)
    assert nothing_is_left(mark)


def test_a_signal_during_the_fork_ends_the_set_up_and_its_child(mark: str) -> None:
    """Python drops what a signal handler raises there, and forgets a child whose start was interrupted."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("interrupted, and no child is left\n", "")
    assert nothing_is_left(mark)


def test_an_interrupted_set_up_ends_without_a_traceback(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    (checkout.root / "tools" / "uv").write_text('#!/bin/sh\nkill -INT "$PPID"\nexec sleep 600\n')
    done = checkout.run([sys.executable, "-Es", "-m", "devtools.setup", "install", "workspace"], {})
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr
