"""Pace of a bulk operation on a running environment."""

import math
from collections.abc import Callable


class Pace:
    """`rate` items per second on average, from the first on, over all who wait."""

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._next_at = -math.inf

    def delay(self, count: int) -> float:
        """Return the seconds to wait before the next `count`, which are then taken."""
        now = self._monotonic()
        turn = max(now, self._next_at)
        self._next_at = turn + count / self._rate
        return turn - now
