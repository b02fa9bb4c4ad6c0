"""Signals while something runs."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def handled(signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """One that is ignored, as SIGHUP under nohup, stays ignored."""
    heeded = [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, handler) for each in heeded}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)
