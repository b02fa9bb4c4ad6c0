"""Retries of DynamoDB requests: which errors are transient, how long to wait, when to stop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from aiodynamo.errors import (
    AccessDenied,
    ExpiredToken,
    InternalDynamoError,
    NoCredentialsFound,
    ProvisionedThroughputExceeded,
    RequestLimitExceeded,
    ServiceUnavailable,
    Throttled,
    TransactionCanceled,
    TransactionConflict,
    TransactionInProgress,
    UnknownError,
    UnrecognizedClient,
)
from botocore.retries.quota import RetryQuota

from order_shared.aws.errors import TRANSIENT_CODES, error_code
from order_shared.backoff import full_jitter
from order_shared.domain.errors import StorageUnavailable

T = TypeVar("T")

TRANSIENT: dict[type[Exception], str] = {
    Throttled: "throttled",
    ProvisionedThroughputExceeded: "throttled",
    RequestLimitExceeded: "throttled",
    TransactionConflict: "conflict",
    TransactionInProgress: "conflict",
    InternalDynamoError: "server_error",
    ServiceUnavailable: "server_error",
    ExpiredToken: "credentials",
    UnrecognizedClient: "credentials",
    NoCredentialsFound: "credentials",
    AccessDenied: "access_denied",
    TimeoutError: "timeout",  # an OSError too, so it comes first
    OSError: "network",
}

REASONS = frozenset({*TRANSIENT.values(), *TRANSIENT_CODES.values()})
"""Every reason that a request is sent again for, as a metric label."""

TRANSIENT_CANCELLATIONS = {
    "TransactionConflict": "conflict",
    "ThrottlingError": "throttled",
    "ProvisionedThroughputExceeded": "throttled",
}
"""Reasons of a cancelled transaction that say nothing about the data. Botocore's retry table knows none."""


def transient_reason(error: Exception) -> str | None:
    """Return why the same request may succeed next time, as a metric label; None if it will not."""
    if isinstance(error, TransactionCanceled):
        codes = (reason.code for reason in error.cancellation_reasons if reason)
        return next((TRANSIENT_CANCELLATIONS[code] for code in codes if code in TRANSIENT_CANCELLATIONS), None)
    if isinstance(error, UnknownError):
        code = error_code(error.body)
        if code is not None and code in TRANSIENT_CODES:
            return TRANSIENT_CODES[code]
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "server_error"
        return TRANSIENT_STATUSES.get(error.status)
    return next((reason for kind, reason in TRANSIENT.items() if isinstance(error, kind)), None)


TRANSIENT_STATUSES: dict[int, str] = {
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
}

UNLIMITED = frozenset({"conflict"})
"""Reasons that say that DynamoDB is well: the deadline alone bounds such retries."""

RETRY_COST = 5
TIMEOUT_COST = 10
SUCCESS_REFUND = 1
"""In units of the quota, as in botocore's standard mode: `botocore/retries/standard.py`."""


def new_quota() -> RetryQuota:
    """Return a quota for the retries of one process: a hundred of them, and more only as requests succeed."""
    return RetryQuota()


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retries with full jitter inside a deadline for the whole call. Times are in seconds.

    At most `max_attempts` are made, and each retry takes from the `quota` of the process, so that an outage is not met
    with many times the load. Only conflicts, which show that DynamoDB is well, are bounded by the deadline alone.

    An attempt begun before the deadline may last `attempt_grace` beyond it. By the client's own time-outs it ends
    within `attempt_limit`, so only one that comes near the end is watched: that costs as much as all else here.
    """

    deadline: float = 5.0
    attempt_grace: float = 1.0
    attempt_limit: float = 5.0
    max_attempts: int = 4
    base: float = 0.025
    cap: float = 1.0
    on_retry: Callable[[str], None] = lambda _: None
    quota: RetryQuota = field(default_factory=new_quota)

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call. Raises StorageUnavailable when no attempt is left, and any other error at once."""
        started = time.monotonic()
        retries = failures = spent = 0
        while True:
            try:
                left = self.deadline + self.attempt_grace - (time.monotonic() - started)
                if left >= self.attempt_limit:
                    answer = await call()
                else:
                    async with asyncio.timeout(left):
                        answer = await call()
            except Exception as error:
                reason = transient_reason(error)
                if reason is None:
                    raise
                wait = full_jitter(retries, base=self.base, cap=self.cap)
                if time.monotonic() + wait - started > self.deadline:
                    raise StorageUnavailable(f"DynamoDB: {reason}") from error
                if reason not in UNLIMITED:
                    failures += 1
                    cost = TIMEOUT_COST if reason == "timeout" else RETRY_COST
                    if failures >= self.max_attempts or not self.quota.acquire(cost):
                        raise StorageUnavailable(f"DynamoDB: {reason}, after {failures} attempts") from error
                    spent = cost
            else:
                self.quota.release(spent or SUCCESS_REFUND)
                return answer
            self.on_retry(reason)
            retries += 1
            await asyncio.sleep(wait)
