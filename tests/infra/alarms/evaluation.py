"""How CloudWatch evaluates an alarm, minute by minute, from the data points that have arrived by then.

Once a minute it looks at a window that slides: the last N periods, and some more where data points are missing.
Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html. How many more is not
published; its examples retrieve five for N = 3.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean
from typing import Any

from infra.alarms import EXTRA_PERIODS
from tests.infra.alarms.metric_math import Value, evaluate

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"

Samples = Sequence[float]

STATISTICS: Mapping[str, Callable[[Samples], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Average": fmean,
    "SampleCount": len,
    "p99": lambda samples: sorted(samples)[ceil(0.99 * len(samples)) - 1],
}


@dataclass(frozen=True)
class Metric:
    """A metric as an alarm reads it. `series` names it among the metrics of a scenario."""

    series: str
    stat: str


@dataclass(frozen=True)
class AlarmDefinition:
    """An alarm as PutMetricAlarm takes it. The period is in minutes."""

    expression: str
    metrics: Mapping[str, Metric]
    period: int
    datapoints: int
    periods: int
    threshold: float
    below: bool
    missing: str

    @classmethod
    def read(cls, body: Mapping[str, Any], series_of: Callable[[Mapping[str, Any]], str]) -> "AlarmDefinition":
        """Read a synthesized alarm; `series_of` names the series of a metric."""
        metrics = {query["id"]: query["metric"] for query in body["metric_query"] if "metric" in query}
        (expression,) = [query["expression"] for query in body["metric_query"] if "expression" in query]
        (period,) = {metric["period"] for metric in metrics.values()}
        return cls(
            expression=expression,
            metrics={key: Metric(series_of(metric), metric["stat"]) for key, metric in metrics.items()},
            period=period // 60,
            datapoints=body["datapoints_to_alarm"],
            periods=body["evaluation_periods"],
            threshold=body["threshold"],
            below=body["comparison_operator"] == "LessThanThreshold",
            missing=body["treat_missing_data"],
        )

    def breaches(self, value: float) -> bool:
        return value < self.threshold if self.below else value > self.threshold


Arrived = Callable[[str, int, int], Samples]
"""The samples of a series in one minute, as far as they have arrived by another minute."""


def data_points(alarm: AlarmDefinition, arrived: Arrived, now: int, *, fills_always: bool) -> list[Value]:
    """Return the values of the periods that are retrieved at the minute `now`, the newest first."""
    found: list[Value] = []
    for number in range(alarm.periods + EXTRA_PERIODS):
        end = now - number * alarm.period
        minutes = range(end - alarm.period, end)
        values: dict[str, Value] = {}
        for key, metric in alarm.metrics.items():
            samples = [sample for minute in minutes for sample in arrived(metric.series, minute, now)]
            values[key] = float(STATISTICS[metric.stat](samples)) if samples else None
        found.append(evaluate(alarm.expression, values, fills_always=fills_always))
    return found


def state_of(alarm: AlarmDefinition, points: Sequence[Value], before: str) -> str:
    """Return the alarm's state for the retrieved periods, the newest first, as AWS's page on missing data has it."""
    existing = [alarm.breaches(point) for point in points if point is not None]
    breaching = existing[: alarm.periods].count(True)
    lacking = max(0, alarm.periods - len(existing))
    if not lacking or alarm.missing == "notBreaching":
        return ALARM if breaching >= alarm.datapoints else OK
    if alarm.missing == "breaching":
        return ALARM if breaching + lacking >= alarm.datapoints else OK
    if alarm.missing == "ignore" and not existing:
        return before
    if not existing:
        return INSUFFICIENT
    return _state_of_few(alarm, points, existing, before)


def states(alarm: AlarmDefinition, arrived: Arrived, minutes: int, *, fills_always: bool) -> Iterator[str]:
    """Yield the alarm's state at each minute, from its creation at minute 0."""
    state = INSUFFICIENT
    for now in range(minutes):
        state = state_of(alarm, data_points(alarm, arrived, now, fills_always=fills_always), state)
        yield state


def _state_of_few(alarm: AlarmDefinition, points: Sequence[Value], existing: Sequence[bool], before: str) -> str:
    """Return the state where missing periods count as nothing, and some data points exist, but fewer than N."""
    if existing.count(True) >= alarm.datapoints:
        return ALARM
    if not all(existing):
        return OK
    oldest_is_breaching = points[-1] is not None
    if alarm.missing == "missing" and oldest_is_breaching:
        return ALARM
    return before if alarm.missing == "ignore" else INSUFFICIENT
