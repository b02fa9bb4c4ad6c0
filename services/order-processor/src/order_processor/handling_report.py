"""How many handlings of messages failed, and why: one log line a minute, of which CloudWatch makes metrics."""

import asyncio
from collections import Counter

import structlog

from order_processor.payments.gateway import FailureReason
from order_shared.domain.errors import StorageUnavailable
from order_shared.storage.item_schema import UnknownItemVersion

log = structlog.get_logger(__name__)

REPORT_SECONDS = 60.0

REFUSED = f"payment_{FailureReason.REFUSED}"

EXPECTED = frozenset({StorageUnavailable.__name__, UnknownItemVersion.__name__, f"payment_{FailureReason.PENDING}"})
"""Causes that a sound release meets too: many orders of one product at once, an order that a newer release has
written, a bank that takes its time. They are reported, but not counted as failed."""


class HandlingReport:
    """The tally of one process's handlings since its last log line."""

    def __init__(self) -> None:
        self._handled = 0
        self._causes: Counter[str] = Counter()

    def count(self, cause: str | None) -> None:
        """Count one handling, and the cause of its failure unless it succeeded."""
        self._handled += 1
        if cause is not None:
            self._causes[cause] += 1

    def report(self) -> None:
        """Write the log line `handlings`, and begin a new tally.

        `failed` counts without the `EXPECTED` causes, `payments_refused` the failures that are a fault of ours with the
        payment provider, and `causes` every cause.
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
        """Report once a minute, and once more when this is cancelled."""
        try:
            while True:
                await asyncio.sleep(REPORT_SECONDS)
                self.report()
        finally:
            self.report()
