"""Retry policy: pauses between attempts, and deadlines."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Jitter = Callable[[float, float], float]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retry policy, in seconds. A call ends within `deadline`, and one attempt within `attempt_timeout`.

    Both limits are extended by the time that the call asks the API to wait. The pause before retry n, counted from 0,
    is random between 0 and the lesser of `base` * 2**n and `cap`; the seconds of `Retry-After` are added to it.
    """

    deadline: float = 30.0
    attempt_timeout: float = 10.0
    base: float = 0.1
    cap: float = 5.0

    def pause(self, attempt: int, jitter: Jitter) -> float:
        """Return the pause after the failed attempt number `attempt`, counted from 0."""
        return jitter(0.0, min(self.cap, self.base * 2.0 ** min(attempt, 30)))


@dataclass(frozen=True, kw_only=True)
class Time:
    """Clock, sleep and jitter functions, which tests replace."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Jitter = field(default=random.uniform)


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or an HTTP date; None if missing or invalid."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # such as the year 3,000,000,000
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
