"""The time and the randomness of a run: what the product reads of either comes from the loop and from the seed.

The product takes most of its time from a clock that it is given. Its intervals it reads from the module `time`, and
asyncio from its loop, so that module is replaced for a run: a seam for each reading would be in the way of the code.
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from unittest import mock

from order_shared.entropy import entropy_from
from tests.simulation.loop import SimulationLoop

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
_START_MICROS = int(START.timestamp()) * 1_000_000


class VirtualClock:
    """The wall clock of a run; that of a machine may be ahead by `skew`."""

    def __init__(self, loop: SimulationLoop, skew: timedelta = timedelta(0)) -> None:
        self._loop = loop
        self._start = START + skew

    def __call__(self) -> datetime:
        return self._start + timedelta(microseconds=round(self._loop.time() * 1_000_000))


@contextmanager
def virtual(loop: SimulationLoop, seed: str) -> Iterator[None]:
    """Let the product live in the run's time, and draw what is random from its seed, until the end of the block."""

    def micros() -> int:
        return round(loop.time() * 1_000_000)

    readings = {
        "monotonic": loop.time,
        "perf_counter": loop.time,
        "time": lambda: (_START_MICROS + micros()) / 1_000_000,
        "time_ns": lambda: (_START_MICROS + micros()) * 1000,
    }
    state = random.getstate()
    with ExitStack() as replaced:
        for name, reading in readings.items():
            replaced.enter_context(mock.patch.object(time, name, reading))
        replaced.enter_context(entropy_from(random.Random(f"{seed}/ids")))  # noqa: S311 - reproducible, not secret
        random.seed(f"{seed}/jitter")
        try:
            yield
        finally:
            random.setstate(state)
