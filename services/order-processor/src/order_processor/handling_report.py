"""Report of failed handlings and their causes: one log line per minute, from which CloudWatch derives metrics."""

import asyncio
from collections import Counter

import structlog

from order_processor.payments.gateway import FailureReason
from order_shared.domain.errors import StorageUnavailable
from order_shared.storage.item_schema import UnknownItemVersion

log = structlog.get_logger(__name__)

REPORT_SECONDS = 60.0

REFUSED = f"payment_{FailureReason.REFUSED}"

EXPECTED = frozenset(
    {
        StorageUnavailable.__name__,
        UnknownItemVersion.__name__,
        f"payment_{FailureReason.PENDING}",
        f"payment_{FailureReason.PACED}",
    }
)
"""Causes that occur without a defect: many concurrent orders of one product, an order written by a newer release, a
slow bank, or a reached call rate. They are reported, but not counted as failed."""


class HandlingReport:
    """Counts of one process's handlings since its last log line."""

    def __init__(self) -> None:
        self._handled = 0
        self._causes: Counter[str] = Counter()

    def count(self, cause: str | None) -> None:
        """Count one handling. `cause` is the cause of its failure, or None if it succeeded."""
        self._handled += 1
        if cause is not None:
            self._causes[cause] += 1

    def report(self) -> None:
        """Write the log line `handlings` and reset the counts.

        `failed` excludes the `EXPECTED` causes. `payments_refused` counts requests that the payment provider refused
        because of an error on our side. `causes` maps every cause, expected or not, to its count.
        """
        failed = sum(count for cause, count in self._causes.items() if cause not in EXPECTED)
        log.info(
            "handlings",
            handled=self._handled,
            failed=failed,
            payments_refused=self._causes[REFUSED],
            causes=dict(self._causes),
        )
        self._handled = 0
        self._causes.clear()

    async def run(self) -> None:
        """Report once per minute, and a last time when cancelled."""
        try:
            while True:
                await asyncio.sleep(REPORT_SECONDS)
                self.report()
        finally:
            self.report()
