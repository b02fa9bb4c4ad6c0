"""When to try again, and when to give up."""

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
    """All in seconds. A call ends within `deadline`, whatever happens; one attempt within `attempt_timeout`.

    Between attempts lies a random pause of up to `base`, twice that, four times that …, never more than `cap`,
    on top of what `Retry-After` asks for.
    """

    deadline: float = 30.0
    attempt_timeout: float = 10.0
    base: float = 0.1
    cap: float = 5.0

    def pause(self, attempt: int, jitter: Jitter) -> float:
        """After failed attempt number `attempt`, from 0."""
        return jitter(0.0, min(self.cap, self.base * 2.0 ** min(attempt, 30)))


@dataclass(frozen=True, kw_only=True)
class Time:
    """A monotonic clock, a way to let time pass, and chance: tests bring their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Jitter = field(default=random.uniform)


def retry_after(header: str | None) -> float | None:
    """Seconds, from a number of seconds or an HTTP date; None if there is none that can be read."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
