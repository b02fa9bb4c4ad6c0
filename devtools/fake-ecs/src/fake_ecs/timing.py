"""Durations in the fake.

The bake time and the time-out of a pause are in the request. The other durations are assumptions, because ECS does not
document them. `speed` divides all durations: at 60 a bake time of ten minutes takes ten seconds. Timestamps are real,
so that they agree with a client's clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Durations in seconds at speed 1."""

    speed: float = 1.0
    request: float = 1.0
    """Delay until a request to start, stop or roll back takes effect."""
    stage: float = 2.0
    """Duration of a stage that waits for nothing else."""
    shift: float = 5.0
    """Duration of a traffic shift."""
    start: float = 15.0
    """Time from the start of a task until its containers run."""
    health: float = 5.0
    """Time from then until the task and its target are healthy."""
    drain: float = 30.0
    """Draining time of a target before its task stops."""
    retry: float = 10.0
    """Delay before the next launch after a failed task."""
    stage_limit: float = 24 * 3600.0
    """Longest time of a stage; then the deployment is rolled back."""

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed must be above 0, but it is {self.speed}")

    def after(self, now: datetime, seconds: float) -> datetime:
        return now + timedelta(seconds=seconds / self.speed)
