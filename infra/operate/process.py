"""Child process that can finish its current step after Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from order_operations.deployments.lock import EXTENDED_SECONDS
from orderctl.exceptions import Interrupted
from orderctl.signals import ENDING, end_with_parent, handled


class Child:
    """Child process in its own process group, so that it receives signals only from this process.

    The process receives one signal at most. After the first, Terraform stops and writes its state. After a second, it
    would exit at once, and resources that it was creating would be missing in the state.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._asked = False

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        stdout: int | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[int, bytes]:
        """Run a command. Return its exit code, and its output if `stdout` is a pipe.

        `meanwhile` is called every EXTENDED_SECONDS until the command ends, and must raise nothing. It has no thread of
        its own, with which no process could be forked safely.

        Raises:
            Interrupted: after a signal, once the process has ended.
        """
        with handled((signal.SIGINT, *ENDING), self._on_signal):
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                process_group=0,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - this program has no threads
            )
            if self._wanted:
                self._ask()
            try:
                output = self._await_end(self._process, meanwhile)
            finally:
                if self._process.poll() is None:
                    self._process.terminate()
                    self._process.wait()
            code = self._process.returncode
        if self._wanted:
            raise Interrupted(f"{self._name} was stopped by a signal", completed=code == 0, killed=code < 0)
        return code, output or b""

    def _await_end(self, process: subprocess.Popen[bytes], meanwhile: Callable[[], None] | None) -> bytes:
        if meanwhile is None:
            return process.communicate()[0]
        while True:
            try:
                return process.communicate(timeout=EXTENDED_SECONDS)[0]
            except subprocess.TimeoutExpired:
                meanwhile()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self._wanted = self._wanted, True
        if again:
            self._tell("is stopping: wait until it has written its state")
        elif self._process is not None:
            self._ask()

    def _ask(self) -> None:
        if self._process is not None and not self._asked:
            self._asked = True
            self._tell("is stopping: it ends its current step and writes its state")
            self._process.terminate()

    def _tell(self, what: str) -> None:
        # Written without Python's buffers, because the signal may have interrupted a write to them.
        pid = f" (process {self._process.pid})" if self._process else ""
        os.write(2, f"\n{self._name}{pid} {what}\n".encode())
