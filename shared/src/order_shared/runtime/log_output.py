"""Standard output for log lines. Neither a stalled reader nor a full disk blocks the process."""

import os
import stat
from contextlib import suppress
from typing import BinaryIO

import orjson


class LogOutput:
    """Output of whole lines to a file. A line that cannot be written is dropped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        with suppress(OSError, ValueError):
            self._file.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()


class PipeOutput:
    """Output of whole lines to a pipe, without waiting for its reader.

    Lines are dropped while the pipe is full. The next line that fits is preceded by a line `log_lines_dropped`, which
    contains the number of dropped lines.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._dropped = 0

    def write(self, line: bytes) -> None:
        try:
            if self._rest:
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
            if self._rest:
                raise BlockingIOError
            self._rest = self._write_with_notice(line)
        except OSError:
            self._dropped += 1

    def flush(self) -> None:
        pass

    def _write_with_notice(self, line: bytes) -> bytes:
        """Write the line, and return the part that was not written.

        The part is empty unless the line is longer than a pipe writes atomically (PIPE_BUF).
        """
        if self._dropped:
            notice = {"event": "log_lines_dropped", "level": "warning", "count": self._dropped}
            line = orjson.dumps(notice) + b"\n" + line
        written = os.write(self._descriptor, line)
        self._dropped = 0
        return line[written:]


def open_output(file: BinaryIO) -> LogOutput | PipeOutput:
    """Return the output for a file.

    A pipe is reopened in non-blocking mode, because the mode of an inherited descriptor is shared with other processes.
    If reopening is not allowed, such as for another user's pipe, the shared descriptor becomes non-blocking.
    """
    descriptor = _pipe(file)
    if descriptor is None:
        return LogOutput(file)
    try:
        return PipeOutput(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        os.set_blocking(descriptor, False)
        return PipeOutput(descriptor)


def _pipe(file: BinaryIO) -> int | None:
    """Return the descriptor of a pipe; None for any other file, such as one in memory."""
    try:
        descriptor = file.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None
