"""Signal dispositions of child processes."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SET_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores, and that `subprocess` restores for children."""


def ignored_signals() -> list[int]:
    """Return the signals that this process ignores because its parent ignored them."""
    return [each for each in signal.valid_signals() - SET_BY_PYTHON if signal.getsignal(each) is signal.SIG_IGN]


@contextlib.contextmanager
def defaults_for_children() -> Iterator[None]:
    """Let children that start in the block have the default disposition of every signal, and no blocked signal.

    A child inherits which signals are ignored, and such a signal does not end it. It does not inherit handlers.
    Therefore this process replaces each ignored disposition by a handler that does nothing while the block runs.
    Outside the main thread this has no effect, because only the main thread can set signal handlers.
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


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Hold back the signals that end a command until the block has run."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal that the parent ignored."""
