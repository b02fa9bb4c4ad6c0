"""Limits on the requests of a tenant, and on the size of one request.

Every count is this process's own: behind a load balancer a tenant has as much of each process. Nothing here waits or
locks, since all of it runs in one event loop.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from order_shared.domain.errors import PlatformError

MAX_BODY_BYTES = 64 * 1024


class LimitExceeded(PlatformError):
    """A request was refused by a limit. `limit` is its label in the metrics."""

    limit: ClassVar[str]


class Overloaded(LimitExceeded):
    limit = "in_flight"

    def __init__(self) -> None:
        super().__init__("too many requests are under way")


class RateLimited(LimitExceeded):
    limit = "rate"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the tenant sends too many requests; the next one may come in {retry_after} s")
        self.retry_after = retry_after


class BodyTooLarge(LimitExceeded):
    limit = "body_size"

    def __init__(self) -> None:
        super().__init__(f"the body may have {MAX_BODY_BYTES} bytes at most")


class BodyTooSlow(LimitExceeded):
    limit = "body_time"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not come within {seconds:g} s")


class Allowance(NamedTuple):
    """Remaining allowance after a request. `reset` and `retry_after` are in seconds, rounded up."""

    granted: bool
    remaining: int
    reset: int
    """Seconds until the bucket is full again."""
    retry_after: int
    """Seconds until a refused request would be granted; 0 for one that was granted."""


class TenantBuckets:
    """A token bucket per tenant. What is refused costs nothing, so a tenant that keeps asking is let in again.

    A bucket is one number: the time at which it is full again. One that is full is forgotten, so the memory is bounded
    by the requests granted within one refill, whatever the number of tenants.
    """

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` tokens flow in per second, up to `burst`."""
        self._interval = 1 / rate
        self._rate = rate
        self._burst = burst
        self._capacity = burst * self._interval
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # the one asked for longest ago comes first
        self.policy = f'"default";q={burst};w={math.ceil(self._capacity)}'
        """The value of the header RateLimit-Policy."""

    def take(self, tenant: str) -> Allowance:
        """Take a token for one request, if there is one."""
        now = self._clock()
        full_at = max(self._full_at.get(tenant, now), now)
        taken = full_at + self._interval
        granted = taken - now <= self._capacity + self._interval / 1000  # a thousandth of a token for rounding
        if granted:
            full_at = taken
            self._full_at[tenant] = taken
            self._full_at.move_to_end(tenant)
            self._forget_full(now)
        missing = full_at - now
        return Allowance(
            granted,
            remaining=max(0, int((self._capacity - missing) * self._rate + 0.001)),
            reset=math.ceil(missing),
            retry_after=0 if granted else max(1, math.ceil(missing + self._interval - self._capacity)),
        )

    def _forget_full(self, now: float) -> None:
        """Forget up to two of the oldest full buckets: one is added per request, so they never pile up."""
        for _ in range(2):
            tenant, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                return
            del self._full_at[tenant]

    def __len__(self) -> int:
        """Return the number of tenants that are remembered."""
        return len(self._full_at)
