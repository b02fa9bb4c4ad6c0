"""How late data points arrive: at once, all alike, one series alone, or each by chance."""

from collections.abc import Callable, Iterator
from functools import cache
from zlib import crc32

from infra.alarms import LATE_MINUTES
from tests.infra.alarms.evaluation import AlarmDefinition, Arrived
from tests.infra.alarms.scenarios import Scenario

Lateness = Callable[[str, int], int]
"""Minutes from the end of a minute until a series' samples of it have arrived."""

SEEDS = range(3)


def all_alike(minutes: int) -> Lateness:
    return lambda _series, _minute: minutes


def alone(late: str) -> Lateness:
    """Let one series be as late as it may be, and the others be on time."""
    return lambda series, _minute: LATE_MINUTES if series == late else 0


def by_chance(seed: int) -> Lateness:
    """Let each series have a lateness of its own in each minute, the same in every run."""
    return lambda series, minute: crc32(f"{seed}/{series}/{minute}".encode()) % (LATE_MINUTES + 1)


def latenesses(alarm: AlarmDefinition) -> Iterator[Lateness]:
    """Yield the ways in which the alarm's metrics may be late, by up to `LATE_MINUTES`."""
    yield from map(all_alike, range(LATE_MINUTES + 1))
    yield from map(alone, sorted({metric.series for metric in alarm.metrics.values()}))
    yield from map(by_chance, SEEDS)


def arrivals(scenario: Scenario, lateness: Lateness) -> Arrived:
    """Return what has arrived of a scenario's samples at each minute."""

    @cache
    def arrived(series: str, minute: int, now: int) -> tuple[float, ...]:
        has_arrived = minute + 1 + lateness(series, minute) <= now
        return tuple(scenario.samples(series, minute)) if has_arrived else ()

    return arrived
