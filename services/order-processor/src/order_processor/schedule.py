"""Schedule of an order's sweeps: the wait before the next one, and the number after which the order is parked."""

import random
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate, count

from order_shared.backoff import doubled

CAP = timedelta(minutes=15)
JITTER = 0.02
"""Largest random extension of a wait, as a part of it: orders that were due together do not stay due together."""
PARK_AFTER = timedelta(hours=24)
"""Sum of an order's waits after which it is parked for an operator."""


@dataclass(frozen=True)
class SweepSchedule:
    """Waits that begin with `base` and double after each sweep, up to CAP.

    The number of sweeps measures time: each sweep sent a message that a processor should have handled. Therefore time
    without processors does not count towards parking, nor does an outage of the payment provider.
    """

    base: timedelta

    def wait(self, sweeps: int) -> timedelta:
        """Return the wait after this many sweeps."""
        return timedelta(seconds=doubled(sweeps, base=self.base.total_seconds(), cap=CAP.total_seconds()))

    def jittered_wait(self, sweeps: int) -> timedelta:
        """Return the wait after this many sweeps, extended by a random part of up to JITTER."""
        return self.wait(sweeps) * random.uniform(1, 1 + JITTER)  # noqa: S311 - no security purpose

    def is_overdue(self, sweeps: int) -> bool:
        """Return whether the waits of this many sweeps add up to PARK_AFTER."""
        return sweeps >= self._fewest(PARK_AFTER)

    def in_outage(self, sweeps: int) -> int:
        """Return the number of sweeps to store for an order during an outage of the payment provider.

        The number is limited, so that an outage never leads to parking. The limit does not change the wait: it is the
        smallest number whose wait is CAP.
        """
        return min(sweeps, next(number for number in count() if self.wait(number) == CAP))

    def _fewest(self, time: timedelta) -> int:
        """Return the fewest sweeps whose waits add up to `time`."""
        waits = accumulate(map(self.wait, count()), initial=timedelta())
        return next(number for number, waited in enumerate(waits) if waited >= time)
