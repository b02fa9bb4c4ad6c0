"""Report of failed handlings and their causes: one log line per minute, from which CloudWatch derives metrics."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

REPORT_SECONDS = 60.0


class HandlingReport:
    """Counts of one process's handlings since its last log line.

    `expected` are causes that occur without a defect: they are reported, but not counted as failed. `named` has causes
    with a field of their own, by the name of the field.
    """

    def __init__(self, *, expected: frozenset[str], named: Mapping[str, str] | None = None) -> None:
        self._expected = expected
        self._named = named or {}
        self._handled = 0
        self._causes: Counter[str] = Counter()

    def count(self, cause: str | None) -> None:
        """Count one handling. `cause` is the cause of its failure, or None if it succeeded."""
        self._handled += 1
        if cause is not None:
            self._causes[cause] += 1

    def report(self) -> None:
        """Write the log line `handlings` and reset the counts.

        `failed` excludes the expected causes. `causes` maps every cause, expected or not, to its count.
        """
        failed = sum(count for cause, count in self._causes.items() if cause not in self._expected)
        named = {field: self._causes[cause] for field, cause in self._named.items()}
        log.info("handlings", handled=self._handled, failed=failed, **named, causes=dict(self._causes))
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
