"""Rate limit of one process's calls to the payment provider.

The rate falls when the provider throttles, starts low after an outage, and rises step by step to its maximum.
"""

import math
from collections.abc import Callable

LOWEST_SHARE = 1 / 50
"""Rate after an outage, as a share of the maximum rate."""

RISE_SECONDS = 60.0
"""Time in which the rate rises from 0 to its maximum."""

FALL = 0.7
"""Factor by which the rate is multiplied when the provider throttles."""

FALL_SECONDS = 1.0
"""Time within which several throttled calls lower the rate only once, because they were concurrent."""

BURST_SECONDS = 1.0
"""Period whose unused calls may be made at once."""


class Pacer:
    """Token bucket whose rate adapts. Rates are calls per second.

    The first call for an order takes a token or is refused. Its further calls are always made, and delay other orders.
    """

    def __init__(self, monotonic: Callable[[], float], *, highest: float) -> None:
        self._monotonic = monotonic
        self._highest = highest
        self._lowest = highest * LOWEST_SHARE
        self._slope = highest / RISE_SECONDS
        self._rate = highest
        self._tokens = highest * BURST_SECONDS
        self._at = self._fell_at = monotonic()
        self._promised = 0.0

    @property
    def rate(self) -> float:
        self._refill()
        return self._rate

    def take(self) -> float:
        """Take a token and return 0. If none is left, return the seconds after which the caller may try again.

        Callers that were refused get different times, each later than the one before, so that they return one by one.
        """
        self._refill()
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        self._promised += 1
        return self._seconds_until(self._promised - self._tokens)

    def spend(self) -> None:
        """Take a token even if none is left. The missing token delays later calls of `take`."""
        self._refill()
        self._tokens -= 1

    def throttled(self) -> None:
        """Lower the rate, at most once within FALL_SECONDS."""
        self._refill()
        if self._at - self._fell_at >= FALL_SECONDS:
            self._fall_to(max(self._lowest, self._rate * FALL))

    def restart(self) -> None:
        """Lower the rate to its minimum, after an outage."""
        self._refill()
        self._fall_to(self._lowest)

    def _seconds_until(self, tokens: float) -> float:
        """Return the seconds in which this number of tokens is added, while the rate rises to its maximum."""
        rising = (self._highest - self._rate) / self._slope
        added = self._tokens_within(rising)
        if tokens <= added:
            return (math.sqrt(self._rate**2 + 2 * self._slope * tokens) - self._rate) / self._slope
        return rising + (tokens - added) / self._highest

    def _fall_to(self, rate: float) -> None:
        self._rate = rate
        self._tokens = min(self._tokens, 0.0)
        self._fell_at = self._at

    def _refill(self) -> None:
        now = self._monotonic()
        elapsed, self._at = now - self._at, now
        added = self._tokens_within(elapsed)
        self._rate = min(self._highest, self._rate + self._slope * elapsed)
        self._promised = max(0.0, self._promised - added)
        self._tokens = min(max(1.0, self._rate * BURST_SECONDS), self._tokens + added)

    def _tokens_within(self, seconds: float) -> float:
        """Return the number of tokens added in this time, while the rate rises to its maximum."""
        rising = min(seconds, (self._highest - self._rate) / self._slope)
        return (self._rate + self._slope * rising / 2) * rising + self._highest * (seconds - rising)
