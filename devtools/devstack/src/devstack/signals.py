"""Signals that a child process starts with."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SET_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores, and that `subprocess` restores for children."""


def ignored_signals() -> list[int]:
    """Return the signals that this process ignores because its caller does."""
    return [each for each in signal.valid_signals() - SET_BY_PYTHON if signal.getsignal(each) is signal.SIG_IGN]


@contextlib.contextmanager
def defaults_for_children() -> Iterator[None]:
    """Let children that are started in the block have every signal at its default, and none blocked.

    A child inherits an ignored signal, and would not end when it is sent; it does not inherit a handler. So what this
    process ignores is handled by doing nothing. Signals belong to the main thread: in others this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = ignored_signals()
    for number in ignored:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else do_nothing)
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal that the caller wanted to be ignored."""
