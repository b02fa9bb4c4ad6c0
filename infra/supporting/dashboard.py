"""One dashboard per environment and region, from top to bottom: customers, outbox, queue, tables and tasks."""

import json
from collections.abc import Sequence

from cdktn_provider_aws.cloudwatch_dashboard import CloudwatchDashboard

from infra.constructs.alarms import Metric
from infra.constructs.log_metrics import log_metric
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.supporting.data import THROTTLED_TABLES, queue_metric, throttle_metrics
from order_shared.naming import SERVICE_NAMES
from order_shared.tables import TABLES, order_queue

WIDTH, HEIGHT, COLUMNS = 8, 6, 3


def make_dashboard(stack: Workspace, environment: Environment, load_balancer_suffix: str) -> None:
    queue = order_queue(environment.table_prefix)
    panels: list[tuple[str, Sequence[Metric]]] = [
        ("Orders accepted a minute", [log_metric(environment.name, "AcceptMilliseconds", "SampleCount")]),
        (
            "Milliseconds to accept one",
            [log_metric(environment.name, "AcceptMilliseconds", stat) for stat in ("p50", "p99")],
        ),
        (
            "Answers of 5xx a minute",
            [_balancer(load_balancer_suffix, f"HTTPCode_{side}_5XX_Count", "Sum") for side in ("Target", "ELB")],
        ),
        ("Seconds the oldest open order waits", [log_metric(environment.name, "OldestOpenSeconds", "Maximum")]),
        ("Parked orders", [log_metric(environment.name, "OrdersParked", "Maximum")]),
        ("Requests a minute", [_balancer(load_balancer_suffix, "RequestCount", "Sum")]),
        (
            "Messages that wait, and that are under way",
            [
                queue_metric(queue.name, f"ApproximateNumberOfMessages{state}", "Maximum")
                for state in ("Visible", "NotVisible")
            ],
        ),
        ("Seconds the oldest message waits", [queue_metric(queue.name, "ApproximateAgeOfOldestMessage", "Maximum")]),
        (
            "Dead letters, and messages that failed a minute",
            [
                queue_metric(queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum"),
                log_metric(environment.name, "FailedMessages", "Sum"),
            ],
        ),
        (
            "Handlings, failures and payments refused a minute",
            [log_metric(environment.name, name, "Sum") for name in ("Handlings", "FailedHandlings", "PaymentsRefused")],
        ),
        (
            "Write units a minute",
            [
                Metric(
                    namespace="AWS/DynamoDB",
                    name="ConsumedWriteCapacityUnits",
                    stat="Sum",
                    dimensions={"TableName": environment.table_prefix + table.name},
                )
                for table in TABLES
            ],
        ),
        (
            "Requests that DynamoDB throttled",
            [metric for table in THROTTLED_TABLES for metric in throttle_metrics(environment, table).values()],
        ),
        (
            "CPU of the tasks, per cent",
            [
                Metric(
                    namespace="AWS/ECS",
                    name="CPUUtilization",
                    stat="Average",
                    dimensions={"ClusterName": environment.name, "ServiceName": service},
                )
                for service in SERVICE_NAMES
            ],
        ),
    ]
    CloudwatchDashboard(
        stack,
        "dashboard",
        dashboard_name=f"{environment.name}-orders-{stack.region}",  # dashboards know no region,
        dashboard_body=json.dumps(
            {"widgets": [_widget(stack.region, place, *panel) for place, panel in enumerate(panels)]}
        ),
    )


def _balancer(suffix: str, metric: str, stat: str) -> Metric:
    return Metric(namespace="AWS/ApplicationELB", name=metric, stat=stat, dimensions={"LoadBalancer": suffix})


def _widget(region: str, place: int, title: str, metrics: Sequence[Metric]) -> dict[str, object]:
    return {
        "type": "metric",
        "x": place % COLUMNS * WIDTH,
        "y": place // COLUMNS * HEIGHT,
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "region": region,
            "period": 60,
            "metrics": [
                [
                    metric.namespace,
                    metric.name,
                    *(part for pair in metric.dimensions.items() for part in pair),
                    {"stat": metric.stat},
                ]
                for metric in metrics
            ],
        },
    }
