"""State of an endpoint, as its attempts change it.

    unverified ── challenge answered ──► active ── ten failures in a row, or 100 deliveries wait ──► failing
                                           ▲                                                            │
                                           └────────────────── a probe succeeds ────────────────────────┤
                                                                                                        ▼
                       a failing endpoint after three days, any endpoint at a 410, or on request ──► disabled

An active endpoint receives events as they come. A failing one receives one probe at a time. Others receive nothing.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from order_shared.backoff import doubled

FAILURES_TO_FAILING = 10
"""Failures in a row after which an endpoint is failing."""
DISABLE_AFTER = timedelta(days=3)
"""Time that an endpoint may be failing before it is disabled."""
GIVE_UP_AFTER = timedelta(days=3)
"""Time after which a single event that is never accepted is given up."""
FIRST_DELAY = 5.0
LONGEST_DELAY = 900.0
"""Seconds from a failure to the next attempt: at first, and at most."""

Jitter = Callable[[], float]
"""Function that returns a number from 0 to 1."""


class EndpointState(StrEnum):
    UNVERIFIED = "unverified"
    ACTIVE = "active"
    FAILING = "failing"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    GONE = "gone"
    """The receiver responded 410."""
    FAILING = "failing"
    """No attempt succeeded for three days."""
    REQUESTED = "requested"
    """The owner or an operator disabled the endpoint."""


DELIVERING = frozenset({EndpointState.ACTIVE, EndpointState.FAILING})
"""States in which events are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State and its causes. `failures` are those since the last success. `probes` are those of a failing endpoint."""

    state: EndpointState = EndpointState.UNVERIFIED
    disabled_reason: DisabledReason | None = None
    failing_since: datetime | None = None
    failures: int = 0
    probes: int = 0
    probe_at: datetime | None = None
    """Time of the next probe of a failing endpoint."""

    @property
    def delivers(self) -> bool:
        return self.state in DELIVERING

    def activated(self) -> "Health":
        """Return the state after the challenge was answered, or after the endpoint was enabled."""
        return Health(state=EndpointState.ACTIVE)

    def disabled(self, reason: DisabledReason) -> "Health":
        return replace(self, state=EndpointState.DISABLED, disabled_reason=reason, probe_at=None)

    def succeeded(self) -> "Health":
        """Return the state after a successful attempt."""
        return Health(state=EndpointState.ACTIVE) if self.delivers else self

    def failed(
        self, now: datetime, *, is_gone: bool = False, is_probe: bool = True, jitter: Jitter = random.random
    ) -> "Health":
        """Return the state after a failed attempt. One that began before the endpoint was failing is not a probe."""
        if not self.delivers:
            return self
        failed = replace(self, failures=self.failures + 1)
        if is_gone:
            return failed.disabled(DisabledReason.GONE)
        if self.state is EndpointState.FAILING:
            return _after_probe(failed, now, jitter) if is_probe else failed
        if failed.failures >= FAILURES_TO_FAILING:
            return failed.overwhelmed(now, jitter=jitter)
        return failed

    def overwhelmed(self, now: datetime, *, jitter: Jitter = random.random) -> "Health":
        """Return the state of an active endpoint once it takes no more events: it is failing."""
        if self.state is not EndpointState.ACTIVE:
            return self
        probe_at = now + delay(0, jitter)
        return replace(self, state=EndpointState.FAILING, failing_since=now, probes=0, probe_at=probe_at)


def _after_probe(health: Health, now: datetime, jitter: Jitter) -> Health:
    """Return the state after a failed probe of a failing endpoint."""
    if health.failing_since is not None and now - health.failing_since >= DISABLE_AFTER:
        return health.disabled(DisabledReason.FAILING)
    return replace(health, probes=health.probes + 1, probe_at=now + delay(health.probes + 1, jitter))


def delay(failures: int, jitter: Jitter = random.random) -> timedelta:
    """Return the time to the next attempt: 5 s doubled `failures` times, at most 15 min, and up to a fifth less."""
    seconds = doubled(failures, base=FIRST_DELAY, cap=LONGEST_DELAY)
    return timedelta(seconds=max(FIRST_DELAY, seconds * (1 - jitter() / 5)))
