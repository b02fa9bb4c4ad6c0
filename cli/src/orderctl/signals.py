"""Handling of the signals that end a command."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when a signal of `ENDING` arrives."""
    with handled(ENDING, _interrupt):
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
