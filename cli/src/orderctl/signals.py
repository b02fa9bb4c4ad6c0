"""Signals that end a command, and its child processes."""

import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
LIBC = ctypes.CDLL(None)  # loaded here, because a forked child may not allocate
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def not_ignored(signals: Sequence[signal.Signals] = ENDING) -> list[signal.Signals]:
    """Return the signals that this process does not ignore. `nohup` makes it ignore SIGHUP to outlive its terminal."""
    return [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]


@contextlib.contextmanager
def handled(signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Call `handler` for each of the signals that arrives during the block. An ignored signal stays ignored."""
    before = {each: signal.signal(each, handler) for each in not_ignored(signals)}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent ends, even if that is killed. Only on Linux.

    To be run in a child process before its program starts.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def postponed() -> Iterator[Callable[[], None]]:
    """Deliver the signals that arrive in the block after it. Yield the `preexec_fn` of the process that it starts.

    Python drops an exception that a signal handler raises while it forks: the interruption would be lost.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *ENDING))

    def begin() -> None:
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield begin
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when a signal of `ENDING` arrives."""
    with handled(ENDING, _interrupt):
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
