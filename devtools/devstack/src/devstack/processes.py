"""Child processes that end with their parent: started in one group, monitored, stopped in reverse order."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from devstack import guard
from devstack.address import LOOPBACK
from devstack.signals import blocked_signals, defaults_for_children

STOP_SECONDS = 25.0  # longer than the drain and flush of every service
ORPHAN_SECONDS = 10.0  # the same for children whose parent was killed
POLL_SECONDS = 0.02
READY_SECONDS = 120.0  # a child that fails is reported at once; this is for a busy machine
LOG_TAIL_LINES = 25


class ChildFailed(Exception):
    """A process of the stack exited or did not become ready. `log` contains the last lines of its log."""

    def __init__(self, name: str, what: str, log: str) -> None:
        super().__init__(f"{name} {what}")
        self.log = log


def find_listening_port(log: Path, start: int = 0) -> int | None:
    """Return the port in the log line `listening` after byte `start` of the log; None if there is none yet."""
    for line in _read_log(log, start).splitlines():
        if '"listening"' in line:
            return int(json.loads(line)["port"])
    return None


def _read_log(path: Path, start: int) -> str:
    with path.open("rb") as log:
        log.seek(start)
        return log.read().decode(errors="replace")


@dataclass(frozen=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log_path: Path
    log_start: int
    command: Sequence[str]
    environment: Mapping[str, str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """Return the output of the process since its start."""
        return _read_log(self.log_path, self.log_start)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ensure_alive(self) -> None:
        if not self.is_alive:
            raise self.failed(self.ending)

    @property
    def ending(self) -> str:
        """Description of the end of the process."""
        return f"ended with exit code {self.process.returncode}"

    def failed(self, what: str) -> ChildFailed:
        return ChildFailed(self.name, what, "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:]))

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for the condition. Raises ChildFailed if the process exits or the time runs out first."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.ensure_alive()
            if time.monotonic() > deadline:
                raise self.failed(f"was not {what} within {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        self.ensure_alive()  # another process may have responded on its port

    def listening_port(self) -> int | None:
        """Return the port in the process's log line `listening`; None if there is none yet."""
        return find_listening_port(self.log_path, self.log_start)

    def wait_for_address(self, seconds: float = READY_SECONDS) -> str:
        """Return the base URL once the process listens. Raises ChildFailed."""
        self.wait_until(lambda: self.listening_port() is not None, "listening", seconds)
        return f"http://{LOOPBACK}:{self.listening_port()}"

    def stop(self) -> int:
        """Terminate the process, and kill it if it does not exit in time. Return its exit code."""
        if self.process.poll() is not None:
            return self.process.returncode
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # a suspended process receives no other signal
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class ProcessGroup:
    def __init__(self, log_directory: Path) -> None:
        self.logs = log_directory
        self._children: list[Child] = []
        self._guard: subprocess.Popen[str]
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as entered:
            entered.enter_context(defaults_for_children())
            self._guard = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(ORPHAN_SECONDS)],
                stdin=subprocess.PIPE,
                text=True,
                process_group=0,
            )
            self._entered = entered.pop_all()
        return self

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process, after its predecessor with this name has stopped.

        Its output is appended to `{name}.log`, so that a restarted process keeps its history.
        """
        for former in [each for each in self._children if each.name == name]:
            former.stop()
            self._children.remove(former)
        self.ensure_guarded()
        path = self.logs / f"{name}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._guard.pid,
            )
            child = Child(name, process, path, log.tell(), command, environment)
        self._children.append(child)
        self._notify_guard(f"{process.pid}")
        return child

    def restart(self, child: Child) -> Child:
        """Start the process of a child again, by the same command."""
        return self.start(child.name, child.command, child.environment)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], *, seconds: float, stdout: int | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, which writes to this process's terminal. Raises subprocess.TimeoutExpired."""
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            timeout=seconds,
            check=False,
            process_group=self._guard.pid,
        )

    def ensure_alive(self) -> None:
        """Raise ChildFailed if a child or the guard process has exited."""
        for child in self._children:
            child.ensure_alive()
        self.ensure_guarded()

    def ensure_guarded(self) -> None:
        """Raise ChildFailed if the guard process has exited."""
        if self._guard.poll() is not None:
            raise ChildFailed("guard", "exited, so the stack would keep running if this process were killed", "")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._entered:
            try:
                for child in reversed(self._children):
                    child.stop()
            finally:
                self._kill_group()

    def _kill_group(self) -> None:
        """Kill the guard and what is left of the group: after an interrupted stop, or a start cut short."""
        with blocked_signals():
            if self._guard.poll() is None:  # it leads the group, so that the group's number is still ours
                os.killpg(self._guard.pid, signal.SIGKILL)
            with contextlib.suppress(BrokenPipeError):
                self._pipe.close()
            for child in self._children:
                child.process.kill()
                child.process.wait()
            self._guard.kill()
            self._guard.wait()

    @property
    def _pipe(self) -> IO[str]:
        pipe = self._guard.stdin
        assert pipe is not None  # noqa: S101 - opened with a pipe
        return pipe

    def _notify_guard(self, line: str) -> None:
        try:
            self._pipe.write(line + "\n")
            self._pipe.flush()
        except BrokenPipeError:
            os.write(2, b"the guard process of the stack has exited\n")
