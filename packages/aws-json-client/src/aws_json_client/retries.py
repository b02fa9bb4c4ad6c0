"""Retries with full jitter, limited by a number of attempts, a deadline and a quota of retries."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from botocore.retries.quota import RetryQuota

from aws_json_client.errors import AwsError, ConnectionFailed, Unavailable

T = TypeVar("T")

UNLIMITED = frozenset({"conflict"})
"""Reasons that also occur while the service is healthy. Only the deadline limits retries for them."""

RETRY_COST = 5
TIMEOUT_COST = 10
SUCCESS_REFUND = 1
"""Quota units, as in botocore's standard mode: `botocore/retries/standard.py`."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Limits for the attempts of one request. Times are in seconds.

    Policies should share one `quota` per process, so that retries do not multiply the load in an outage. A quota allows
    100 retries, or 50 after timeouts; each successful request returns a part of it.

    No attempt starts after `deadline`. An attempt that started earlier may exceed it by `attempt_grace`. The transport
    must end each attempt within `attempt_limit`, so a timer is set only for an attempt with less time left: a timer
    takes as much CPU time as the rest of this class.
    """

    deadline: float = 5.0
    attempt_grace: float = 1.0
    attempt_limit: float = 5.0
    max_attempts: int = 4
    base: float = 0.025
    cap: float = 1.0
    on_retry: Callable[[str], None] = lambda _: None
    quota: RetryQuota = field(default_factory=RetryQuota)

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the first successful attempt.

        Raises Unavailable when no attempt is left. Raises any other AwsError at once if a retry would not help.
        """
        started = time.monotonic()
        retries = failures = spent = 0
        while True:
            left = self.deadline + self.attempt_grace - (time.monotonic() - started)
            try:
                if left >= self.attempt_limit:
                    answer = await attempt()
                else:
                    answer = await _within(left, attempt)
            except AwsError as error:
                reason = error.reason
                if reason is None:
                    error.attempts = retries + 1
                    raise
                wait = random.uniform(0, min(self.cap, self.base * 2**retries))  # noqa: S311 - no secret
                if time.monotonic() + wait - started > self.deadline:
                    raise Unavailable(error, retries + 1) from error
                if reason not in UNLIMITED:
                    failures += 1
                    cost = TIMEOUT_COST if reason == "timeout" else RETRY_COST
                    if failures >= self.max_attempts or not self.quota.acquire(cost):
                        raise Unavailable(error, retries + 1) from error
                    spent = cost
            else:
                self.quota.release(spent or SUCCESS_REFUND)
                return answer
            self.on_retry(reason)
            retries += 1
            await asyncio.sleep(wait)


async def _within(seconds: float, attempt: Callable[[], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await attempt()
    except TimeoutError as error:
        raise ConnectionFailed(error) from error
