"""Schedule of the sweeps of one order: how long it waits for the next one, and when it is parked instead."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate, count

from order_shared.backoff import doubled

CAP = timedelta(minutes=15)
PARK_AFTER = timedelta(hours=24)
"""Waiting time, over all sweeps of an order, after which it is parked for an operator."""


@dataclass(frozen=True)
class SweepSchedule:
    """Waits of `base`, doubled after each sweep, at most CAP.

    The number of sweeps stands for time: each one was a message that a processor should have carried out. Time without
    processors, and an outage of the payment provider, bring no order nearer to being parked.
    """

    base: timedelta

    def wait(self, sweeps: int) -> timedelta:
        """Return the wait after this many sweeps."""
        return timedelta(seconds=doubled(sweeps, base=self.base.total_seconds(), cap=CAP.total_seconds()))

    def is_overdue(self, sweeps: int) -> bool:
        """Return whether the waits of this many sweeps add up to PARK_AFTER."""
        return sweeps >= self._fewest(PARK_AFTER)

    def in_outage(self, sweeps: int) -> int:
        """Return the number of sweeps that an order keeps which an outage has held up: its wait stays as long."""
        return min(sweeps, next(number for number in count() if self.wait(number) == CAP))

    def _fewest(self, time: timedelta) -> int:
        """Return the fewest sweeps whose waits add up to `time`."""
        waits = accumulate(map(self.wait, count()), initial=timedelta())
        return next(number for number, waited in enumerate(waits) if waited >= time)
