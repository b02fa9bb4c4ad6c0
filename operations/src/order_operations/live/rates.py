"""How fast counters grow from one look to the next, over all tasks together."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from order_operations.live.exposition import Sample, Series

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Rates:
    """Growth per second, summed over the tasks; None stands for what no task measures."""

    families: frozenset[str]
    per_second: Mapping[Series, float]

    @classmethod
    def between(cls, looks: Iterable[tuple[Sample, Sample]]) -> "Rates":
        """Of each task an earlier and a later sample."""
        families: set[str] = set()
        sums: dict[Series, float] = {}
        for before, after in looks:
            families |= after.families
            for series, rate in growth_per_second(before, after).items():
                sums[series] = sums.get(series, 0.0) + rate
        return cls(frozenset(families), sums)

    def counter(self, name: str, where: Callable[[Labels], bool] = lambda _: True) -> float | None:
        """Of all series of the counter whose labels pass; `name` is without its `_total`."""
        if name not in self.families:
            return None
        series = f"{name}_total"
        return math.fsum(
            rate for (each, labels), rate in self.per_second.items() if each == series and where(dict(labels))
        )

    def quantile(self, histogram: str, q: float) -> float | None:
        """In the histogram's unit; None too if it measured nothing between the looks."""
        buckets = (
            (float(dict(labels)["le"]), rate)
            for (name, labels), rate in self.per_second.items()
            if name == f"{histogram}_bucket"
        )
        return quantile(sorted(buckets), q)


def growth_per_second(before: Sample, after: Sample) -> dict[Series, float]:
    """Of one task, of which `after` is the later sample.

    A counter that has fallen, or is gone, means that the task was started anew: all of them began at zero then.
    """
    seconds = after.at - before.at
    restarted = any(after.counters.get(series, 0.0) < value for series, value in before.counters.items())
    start: Mapping[Series, float] = {} if restarted else before.counters
    return {series: (value - start.get(series, 0.0)) / seconds for series, value in after.counters.items()}


def quantile(buckets: Sequence[tuple[float, float]], q: float) -> float | None:
    """As Prometheus' `histogram_quantile`: even within a bucket; beyond the last finite bound, that bound.

    `buckets` are `(upper bound, count up to there)` in ascending order, ending with infinity; 0 < `q` <= 1. None if
    nothing was counted.
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
