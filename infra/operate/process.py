"""Runs a child to its end, and lets it come to that end when somebody presses Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from orderctl.exceptions import Interrupted
from orderctl.signals import ENDING, handled


class Child:
    """A process in a group of its own, so that signals reach it through us alone: Terraform takes the first for a wish
    to stop and writes its state; at the second it leaves at once, and what it was making is forgotten."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._asked = False

    def run(
        self, command: Sequence[str], *, folder: Path, environ: Mapping[str, str], stdout: int | None = None
    ) -> tuple[int, bytes]:
        """Its exit code; and what it wrote, if `stdout` is a pipe.

        Raises:
            Interrupted: if a signal came meanwhile, once the process has ended.
        """
        with handled((signal.SIGINT, *ENDING), self._on_signal):
            self._process = subprocess.Popen(
                command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=stdout, process_group=0
            )
            if self._wanted:
                self._ask()
            output, _ = self._process.communicate()
            code = self._process.returncode
        if self._wanted:
            raise Interrupted(f"{self._name} was asked to stop", completed=code == 0, killed=code < 0)
        return code, output or b""

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self._wanted = self._wanted, True
        if again:
            self._tell("is on its way out; leave it the time to write its state")
        elif self._process is not None:
            self._ask()

    def _ask(self) -> None:
        if self._process is not None and not self._asked:
            self._asked = True
            self._tell("is asked to stop: it ends what it has begun and writes its state")
            self._process.terminate()

    def _tell(self, what: str) -> None:
        # Past Python's buffers: a signal may come while they are being written to.
        pid = f" (process {self._process.pid})" if self._process else ""
        os.write(2, f"\n{self._name}{pid} {what}\n".encode())
