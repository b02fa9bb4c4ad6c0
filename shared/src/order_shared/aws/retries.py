"""When to ask DynamoDB again: what is transient, how long to wait, when to stop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from aiodynamo.errors import (
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
)

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
    NoCredentialsFound: "credentials",
    TimeoutError: "timeout",  # an OSError too, so it comes first
    OSError: "network",
}

TRANSIENT_CANCELLATIONS = {
    "TransactionConflict": "conflict",
    "ThrottlingError": "throttled",
    "ProvisionedThroughputExceeded": "throttled",
}
"""Reasons of a cancelled transaction that say nothing about the data. Botocore's retry table knows none."""


def transient_reason(error: Exception) -> str | None:
    """Why the same bytes may succeed next time, as a metric label; None if they will not."""
    if isinstance(error, TransactionCanceled):
        codes = (reason.code for reason in error.cancellation_reasons if reason)
        return next((TRANSIENT_CANCELLATIONS[code] for code in codes if code in TRANSIENT_CANCELLATIONS), None)
    if isinstance(error, UnknownError):
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return "throttled"
        return "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    return next((reason for kind, reason in TRANSIENT.items() if isinstance(error, kind)), None)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retries with full jitter inside a deadline for the whole call. Times are in seconds.

    An attempt begun before the deadline may last `attempt_grace` beyond it. By the client's own time-outs it ends
    within `attempt_limit`, so only one that comes near the end is watched: that costs as much as all else here.
    """

    deadline: float = 5.0
    attempt_grace: float = 1.0
    attempt_limit: float = 5.0
    base: float = 0.025
    cap: float = 1.0
    on_retry: Callable[[str], None] = lambda _: None

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Raises StorageUnavailable at the deadline, and at once whatever is not transient."""
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                left = self.deadline + self.attempt_grace - (time.monotonic() - started)
                if left >= self.attempt_limit:
                    return await call()
                async with asyncio.timeout(left):
                    return await call()
            except Exception as error:
                reason = transient_reason(error)
                if reason is None:
                    raise
                wait = full_jitter(attempt, base=self.base, cap=self.cap)
                if time.monotonic() + wait - started > self.deadline:
                    raise StorageUnavailable(f"DynamoDB: {reason}") from error
            self.on_retry(reason)
            attempt += 1
            await asyncio.sleep(wait)
