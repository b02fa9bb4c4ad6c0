"""Parsed samples of the metrics that a task exports at `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]
"""A time series: its exported name, and its labels."""

GROWING = frozenset({"counter", "histogram"})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Metrics of one task at one time. `at` is in seconds of a monotonic clock.

    `families` are the names of all exported metrics, including those without a sample. `counters` are the series that
    only increase while the task runs, including those of histograms; `gauges` are all others.
    """

    at: float
    families: frozenset[str]
    counters: Mapping[Series, float]
    gauges: Mapping[Series, float]

    @classmethod
    def parse(cls, text: str, at: float) -> "Sample":
        """Parse Prometheus' text format. Raises ValueError for any other text."""
        families: set[str] = set()
        counters: dict[Series, float] = {}
        gauges: dict[Series, float] = {}
        for family in text_string_to_metric_families(text):
            families.add(family.name)
            kind = counters if family.type in GROWING else gauges
            kind.update({(each.name, frozenset(each.labels.items())): each.value for each in family.samples})
        return cls(at=at, families=frozenset(families), counters=counters, gauges=gauges)

    def gauge(self, name: str) -> float | None:
        """Return the largest value of a gauge over its label sets; None if the gauge has no value."""
        return max((value for (each, _), value in self.gauges.items() if each == name), default=None)

    def label(self, name: str, label: str) -> str | None:
        """Return the value of a label of an info metric; None if the metric or the label is missing."""
        return next((dict(labels).get(label) for (each, labels) in self.gauges if each == name), None)
