"""Circuit breaker for calls to the payment provider.

closed ──10 of the last 20 calls met an outage──► open ──a probe succeeds──► closed
                                                   └─ one call in 30 seconds is made as a probe
"""

from collections import deque
from collections.abc import Callable

WINDOW = 20
OPENS_AT = 10
PROBE_SECONDS = 30.0


class CircuitBreaker:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._probed_at: float | None = None

    @property
    def is_open(self) -> bool:
        return self._probed_at is not None

    def admits(self) -> bool:
        """Return whether a call may be made now. An open breaker admits one call per PROBE_SECONDS, the probe."""
        if self._probed_at is None:
            return True
        if self._monotonic() - self._probed_at < PROBE_SECONDS:
            return False
        self._probed_at = self._monotonic()
        return True

    def record(self, *, outage: bool) -> None:
        """Record a call's outcome: an outage of the provider, or anything else."""
        if self.is_open:
            if not outage:
                self._probed_at = None
                self._outcomes.clear()
            return
        self._outcomes.append(outage)
        if sum(self._outcomes) >= OPENS_AT:
            self._probed_at = self._monotonic()
