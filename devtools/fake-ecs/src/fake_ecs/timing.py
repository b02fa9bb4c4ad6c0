"""How long things take.

ECS documents none of these but the bake and the time-out of a pause, which come with the request. `speed` shortens them
all: at 60 a bake of ten minutes takes ten seconds. Timestamps stay those of the clock, so that a client's clock agrees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds at speed 1."""

    speed: float = 1.0
    request: float = 1.0
    """From a request, to start or to stop or to roll back, until it is acted on."""
    stage: float = 2.0
    """A stage that waits for nothing."""
    shift: float = 5.0
    """Moving traffic."""
    start: float = 20.0
    """A task, until its target is healthy."""
    drain: float = 30.0
    """A target, before its task stops."""
    retry: float = 10.0
    """After a task failed."""

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed is {self.speed}: time goes on, only faster or slower")

    def after(self, now: datetime, seconds: float) -> datetime:
        return now + timedelta(seconds=seconds / self.speed)
