"""Signals that end a command."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a command as Ctrl-C does.

    SIGHUP is one of them unless it is ignored, as under `nohup`: then the command outlives its terminal.
    """
    survives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM] if survives_terminal else [signal.SIGTERM, signal.SIGHUP]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at a signal that ends a command."""
    before = {number: signal.signal(number, _interrupt) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
