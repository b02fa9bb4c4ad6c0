"""What a task's `/metrics` says."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]
"""A name as it is exposed, and its labels."""

GROWING = frozenset({"counter", "histogram"})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One task's numbers at one moment; `at` is in seconds, of a clock that never runs back.

    `families` are the names of all that the task measures, of what has not happened yet too. `counters` are all series
    that only grow while the task lives, those of histograms too; `gauges` are all others.
    """

    at: float
    families: frozenset[str]
    counters: Mapping[Series, float]
    gauges: Mapping[Series, float]

    @classmethod
    def parse(cls, text: str, at: float) -> "Sample":
        """Reads Prometheus' text form. Raises ValueError for anything else."""
        families: set[str] = set()
        counters: dict[Series, float] = {}
        gauges: dict[Series, float] = {}
        for family in text_string_to_metric_families(text):
            families.add(family.name)
            kind = counters if family.type in GROWING else gauges
            kind.update({(each.name, frozenset(each.labels.items())): each.value for each in family.samples})
        return cls(at=at, families=frozenset(families), counters=counters, gauges=gauges)

    def gauge(self, name: str) -> float | None:
        """The largest of that name; None if there is none."""
        return max((value for (each, _), value in self.gauges.items() if each == name), default=None)

    def label(self, name: str, label: str) -> str | None:
        """What a gauge that carries words says in one of its labels."""
        return next((dict(labels).get(label) for (each, labels) in self.gauges if each == name), None)
