"""CloudWatch metrics from the services' log lines, for figures that AWS does not measure. They need no agent."""

from cdktn_provider_aws.cloudwatch_log_metric_filter import (
    CloudwatchLogMetricFilter,
    CloudwatchLogMetricFilterMetricTransformation,
)

from infra.constructs.alarms import Metric
from infra.constructs.logs import LogGroup
from infra.constructs.workspace import Workspace

ACCEPTED = '{ $.event = "request" && $.method = "POST" && $.route = "/v1/orders" && $.status = 202 }'
FAILED = '{ $.event = "handler_crashed" }'
HANDLINGS = '{ $.event = "handlings" }'
OUTBOX = '{ $.event = "outbox" }'


class LogMetrics:
    """Metric filters: the latency of each accepted order, unexpected errors, and the workers' minutely figures."""

    def __init__(self, stack: Workspace, *, api: LogGroup, processor: LogGroup, notifier: LogGroup) -> None:
        self._stack = stack
        self._namespace = _namespace(stack.owner)
        self._filter("AcceptMilliseconds", api, ACCEPTED, "$.ms", "Milliseconds")
        self._filter("OrdersParked", processor, OUTBOX, "$.parked", "Count")
        self._filter("OldestOpenSeconds", processor, OUTBOX, "$.oldest_open_seconds", "Seconds")
        self._filter("FailedMessages", processor, FAILED, "1", "Count")
        self._filter("Handlings", processor, HANDLINGS, "$.handled", "Count")
        self._filter("FailedHandlings", processor, HANDLINGS, "$.failed", "Count")
        self._filter("PaymentsRefused", processor, HANDLINGS, "$.payments_refused", "Count")
        self._filter("ChangesHandled", notifier, HANDLINGS, "$.handled", "Count")
        self._filter("FailedChanges", notifier, HANDLINGS, "$.failed", "Count")

    def _filter(self, metric: str, group: LogGroup, pattern: str, value: str, unit: str) -> None:
        CloudwatchLogMetricFilter(
            self._stack,
            f"{metric}_filter",
            name=f"{self._stack.owner}-{metric}",
            log_group_name=group.group.name,
            pattern=pattern,
            metric_transformation=CloudwatchLogMetricFilterMetricTransformation(
                name=metric, namespace=self._namespace, value=value, unit=unit
            ),
        )


def log_metric(environment: str, name: str, stat: str) -> Metric:
    """Return the metric of `LogMetrics` with this name for an environment."""
    return Metric(namespace=_namespace(environment), name=name, stat=stat)


def _namespace(environment: str) -> str:
    return f"OrderPlatform/{environment}"
