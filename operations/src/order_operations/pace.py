"""Rate limit for a bulk operation on a running environment."""

import math
from collections.abc import Callable


class Pace:
    """Rate limit shared by concurrent callers: on average `rate` items per second. `monotonic` returns seconds."""

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._next_at = -math.inf

    def delay(self, count: int) -> float:
        """Reserve the next `count` items, and return the seconds to wait before processing them."""
        now = self._monotonic()
        turn = max(now, self._next_at)
        self._next_at = turn + count / self._rate
        return turn - now
