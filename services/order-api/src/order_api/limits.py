"""Limits on the requests of a tenant, and on the size and duration of one request.

The limits apply to each process: behind a load balancer a tenant has the full limit in every process. No lock is
needed, because all requests run in one event loop.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from order_shared.domain.errors import PlatformError

MAX_BODY_BYTES = 64 * 1024


class LimitExceeded(PlatformError):
    """Request refused by a limit. `limit` is the value of the metrics label."""

    limit: ClassVar[str]


class Overloaded(LimitExceeded):
    limit = "in_flight"

    def __init__(self) -> None:
        super().__init__("too many concurrent requests")


class StreamsFull(LimitExceeded):
    """The process has no place for another stream."""

    limit = "streams"

    def __init__(self) -> None:
        super().__init__("too many open streams")


class TooManyStreams(LimitExceeded):
    limit = "tenant_streams"
    retry_after = 10
    """Seconds after which a stream may have ended."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the tenant has {limit} open streams in this process; close one of them first")


class RateLimited(LimitExceeded):
    limit = "rate"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the tenant sends too many requests; retry after {retry_after} s")
        self.retry_after = retry_after


class BodyTooLarge(LimitExceeded):
    limit = "body_size"

    def __init__(self) -> None:
        super().__init__(f"the body is larger than {MAX_BODY_BYTES} bytes")


class BodyTooSlow(LimitExceeded):
    limit = "body_time"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} s")


class Allowance(NamedTuple):
    """Remaining allowance after a request. `reset` and `retry_after` are in seconds, rounded up."""

    granted: bool
    remaining: int
    reset: int
    """Seconds until the bucket is full again."""
    retry_after: int
    """Seconds until a refused request would be granted; 0 for a granted request."""


class TenantBuckets:
    """Token bucket per tenant. Refused requests take no token, so a tenant that keeps sending gets its sustained rate.

    A bucket is one number: the time at which it is full again. Full buckets are removed, so memory is bounded by the
    requests granted within one refill, for any number of tenants.
    """

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Create full buckets for all tenants. Each bucket gains `rate` tokens per second, up to `burst`."""
        self._interval = 1 / rate
        self._rate = rate
        self._burst = burst
        self._capacity = burst * self._interval
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # least recently used first
        self.policy = f'"default";q={burst};w={math.ceil(self._capacity)}'
        """Value of the RateLimit-Policy header."""

    def take(self, tenant: str) -> Allowance:
        """Take a token for one request if the bucket has one."""
        now = self._clock()
        full_at = max(self._full_at.get(tenant, now), now)
        taken = full_at + self._interval
        granted = taken - now <= self._capacity + self._interval / 1000  # 0.001 token for rounding
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

    def charge(self, tenant: str, tokens: float) -> float:
        """Take further tokens for the work of a granted request. Return the seconds until the bucket has paid for it.

        The bucket may have fewer tokens, and then refuses requests until it is out of debt: a whole bucket at most.
        """
        now = self._clock()
        full_at = max(self._full_at.get(tenant, now), now) + max(0.0, tokens) * self._interval
        full_at = min(full_at, now + 2 * self._capacity)
        if full_at > now:
            self._full_at[tenant] = full_at
            self._full_at.move_to_end(tenant)
            self._forget_full(now)
        return max(0.0, full_at - now - self._capacity)

    def _forget_full(self, now: float) -> None:
        """Remove up to two of the oldest full buckets. A request adds at most one, so full buckets never accumulate."""
        for _ in range(2):
            tenant, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                return
            del self._full_at[tenant]

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._full_at)
