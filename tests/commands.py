"""Run orderctl in forks of a process that has imported it, because most of the time of a start is imports.

Tests of a start itself, or of signals, run `ORDERCTL` instead.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PATIENCE_SECONDS = 60
ORDERCTL = [sys.executable, "-m", "orderctl.main"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["orderctl.main", "tests.chaos.services"])
"""A process has one such server, so it also imports what chaos forks."""


def orderctl(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a terminal; `stdout` has all that it wrote."""
    with tempfile.NamedTemporaryFile(prefix="orderctl-") as output:
        written = Path(output.name)
        process = FORKS.Process(target=_run, args=(arguments, dict(environ or os.environ), written), daemon=True)
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, PATIENCE_SECONDS, written.read_text())
        return subprocess.CompletedProcess(arguments, process.exitcode, written.read_text())


def _run(arguments: tuple[str, ...], environ: Mapping[str, str], output: Path) -> None:
    from orderctl.main import app  # noqa: PLC0415 - by the server, not by the test that asks it

    os.environ.clear()
    os.environ.update(environ)
    with output.open("ab") as file:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    app(arguments, prog_name="orderctl")
