"""Alarms: each says what is wrong and where its runbook is, and tells the topic when it begins and when it ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cdktn_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)

from infra.constructs.workspace import Workspace

MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One CloudWatch metric, by the minute unless it says otherwise."""

    namespace: str
    name: str
    stat: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    period: int = MINUTE


def filled_sum(metrics: Iterable[str]) -> str:
    """The expression that adds metrics up by their ids; one that says nothing counts as none."""
    return " + ".join(f"FILL({key}, 0)" for key in metrics)


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """Makes the alarms of one environment, all on one topic."""

    stack: Workspace
    topic_arn: str

    def above(
        self,
        label: str,
        description: str,
        expression: str,
        metrics: Mapping[str, Metric],
        *,
        threshold: float,
        minutes: int,
        missing: str = "notBreaching",
        below: bool = False,
    ) -> CloudwatchMetricAlarm:
        """Alarms while the expression over `metrics` is above the threshold (or `below` it) in each of `minutes`.

        `missing` is what no data means: `breaching` where silence is the fault.
        """
        queries = [CloudwatchMetricAlarmMetricQuery(id="value", expression=expression, label=label, return_data=True)]
        queries += [
            CloudwatchMetricAlarmMetricQuery(
                id=key,
                metric=CloudwatchMetricAlarmMetricQueryMetric(
                    namespace=metric.namespace,
                    metric_name=metric.name,
                    dimensions=metric.dimensions,
                    period=metric.period,
                    stat=metric.stat,
                ),
            )
            for key, metric in metrics.items()
        ]
        periods = {metric.period for metric in metrics.values()}
        count = max(1, minutes * MINUTE // max(periods))
        return CloudwatchMetricAlarm(
            self.stack,
            f"{label}_alarm",
            alarm_name="-".join((self.stack.owner, label.replace("_", "-"))),
            alarm_description=f"{description} See docs/operations.md.",
            comparison_operator="LessThanThreshold" if below else "GreaterThanThreshold",
            threshold=threshold,
            evaluation_periods=count,
            datapoints_to_alarm=count,
            treat_missing_data=missing,
            metric_query=queries,
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
        )
