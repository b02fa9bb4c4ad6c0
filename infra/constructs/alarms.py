"""CloudWatch alarms from `infra/alarms.py`. Each refers to its runbook, and notifies a topic of its state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cdktn_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)

from infra.alarms import Alarm, Missing
from infra.constructs.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One CloudWatch metric with its statistic."""

    namespace: str
    name: str
    stat: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


def filled_sum(metrics: Iterable[str]) -> str:
    """Return a CloudWatch expression for the sum of metrics, given their ids. A metric without data counts as 0.

    Use it only where missing data means 0: for metrics that AWS reports only on an event, such as errors and throttles,
    and for the metrics of blue and green, since one of the two may receive no requests.
    """
    return " + ".join(f"FILL({key}, 0)" for key in metrics)


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """Factory for the alarms of one stack, which all notify the same topic."""

    stack: Workspace
    topic_arn: str

    def make(self, alarm: Alarm, expression: str, metrics: Mapping[str, Metric]) -> CloudwatchMetricAlarm:
        """Create an alarm on the value of `expression`, which refers to the metrics by their keys in `metrics`."""
        queries = [
            CloudwatchMetricAlarmMetricQuery(id="value", expression=expression, label=alarm.label, return_data=True)
        ]
        queries += [
            CloudwatchMetricAlarmMetricQuery(
                id=key,
                metric=CloudwatchMetricAlarmMetricQueryMetric(
                    namespace=metric.namespace,
                    metric_name=metric.name,
                    dimensions=metric.dimensions,
                    period=alarm.period,
                    stat=metric.stat,
                ),
            )
            for key, metric in metrics.items()
        ]
        return CloudwatchMetricAlarm(
            self.stack,
            f"{alarm.label}_alarm",
            alarm_name=f"{self.stack.owner}-{alarm.name}",
            alarm_description=f"{alarm.description} See docs/operations.md.",
            comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            threshold=alarm.threshold,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.datapoints,
            treat_missing_data=alarm.missing,
            metric_query=queries,
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            insufficient_data_actions=[self.topic_arn] if alarm.missing is Missing.INSUFFICIENT else None,
        )
