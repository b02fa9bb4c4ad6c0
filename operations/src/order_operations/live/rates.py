"""Rates of counters between two snapshots, summed over all tasks."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from order_operations.live.exposition import Sample, Series

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Rates:
    """Increase per second of each counter series, summed over the tasks. `families` are the exported metrics."""

    families: frozenset[str]
    per_second: Mapping[Series, float]

    @classmethod
    def between(cls, looks: Iterable[tuple[Sample, Sample]]) -> "Rates":
        """Return the rates between two samples per task. Each pair is `(earlier, later)`."""
        families: set[str] = set()
        sums: dict[Series, float] = {}
        for before, after in looks:
            families |= after.families
            for series, rate in growth_per_second(before, after).items():
                sums[series] = sums.get(series, 0.0) + rate
        return cls(frozenset(families), sums)

    def counter(self, name: str, where: Callable[[Labels], bool] = lambda _: True) -> float | None:
        """Return the rate of a counter, summed over the series whose labels match `where`; None if no task exports it.

        `name` is without `_total`.
        """
        if name not in self.families:
            return None
        series = f"{name}_total"
        return math.fsum(
            rate for (each, labels), rate in self.per_second.items() if each == series and where(dict(labels))
        )

    def quantile(self, histogram: str, q: float) -> float | None:
        """Return a quantile of the new observations, in the histogram's unit; None if there are none."""
        buckets = (
            (float(dict(labels)["le"]), rate)
            for (name, labels), rate in self.per_second.items()
            if name == f"{histogram}_bucket"
        )
        return quantile(sorted(buckets), q)


def growth_per_second(before: Sample, after: Sample) -> dict[Series, float]:
    """Return the increase per second of each counter of one task; `after` is the later sample.

    A counter that decreased or is missing means that the task was restarted: all its counters then started at zero.
    """
    seconds = after.at - before.at
    restarted = any(after.counters.get(series, 0.0) < value for series, value in before.counters.items())
    start: Mapping[Series, float] = {} if restarted else before.counters
    return {series: (value - start.get(series, 0.0)) / seconds for series, value in after.counters.items()}


def quantile(buckets: Sequence[tuple[float, float]], q: float) -> float | None:
    """Return a quantile as Prometheus' `histogram_quantile` does; None without observations.

    The value is interpolated linearly within a bucket; above the last finite bound, it is that bound. `buckets` are
    `(upper bound, cumulative count)` in ascending order, ending with infinity; 0 < `q` <= 1.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = q * buckets[-1][1]
    lower = below = 0.0
    for bound, count in buckets:
        if bound == math.inf:
            break
        if count >= rank:
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower
