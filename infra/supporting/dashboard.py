"""CloudWatch dashboard of an environment in a region, with panels for requests, outbox, queue, tables and tasks."""

import json
from collections.abc import Sequence

from cdktn_provider_aws.cloudwatch_dashboard import CloudwatchDashboard

from infra.constructs.alarms import Metric
from infra.constructs.log_metrics import log_metric
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.supporting.data import THROTTLED_TABLES, pipe_metric, queue_metric, throttle_metrics
from order_shared.naming import SERVICE_NAMES
from order_shared.tables import TABLES, order_changes, order_queue

WIDTH, HEIGHT, COLUMNS = 8, 6, 3


def make_dashboard(stack: Workspace, environment: Environment, load_balancer_suffix: str) -> None:
    queue, changes = order_queue(environment.table_prefix), order_changes(environment.table_prefix)
    panels: list[tuple[str, Sequence[Metric]]] = [
        ("Orders accepted per minute", [log_metric(environment.name, "AcceptMilliseconds", "SampleCount")]),
        (
            "Latency of accepted orders, ms",
            [log_metric(environment.name, "AcceptMilliseconds", stat) for stat in ("p50", "p99")],
        ),
        (
            "5xx responses per minute",
            [_balancer(load_balancer_suffix, f"HTTPCode_{side}_5XX_Count", "Sum") for side in ("Target", "ELB")],
        ),
        ("Age of the oldest open order, s", [log_metric(environment.name, "OldestOpenSeconds", "Maximum")]),
        ("Parked orders", [log_metric(environment.name, "OrdersParked", "Maximum")]),
        ("Requests per minute", [_balancer(load_balancer_suffix, "RequestCount", "Sum")]),
        (
            "Messages waiting and in flight",
            [
                queue_metric(queue.name, f"ApproximateNumberOfMessages{state}", "Maximum")
                for state in ("Visible", "NotVisible")
            ],
        ),
        ("Age of the oldest message, s", [queue_metric(queue.name, "ApproximateAgeOfOldestMessage", "Maximum")]),
        (
            "Dead letters, and failed messages per minute",
            [
                queue_metric(queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum"),
                log_metric(environment.name, "FailedMessages", "Sum"),
            ],
        ),
        (
            "Handlings, failures and refused payments per minute",
            [log_metric(environment.name, name, "Sum") for name in ("Handlings", "FailedHandlings", "PaymentsRefused")],
        ),
        (
            "Changes of orders passed on, and pipe failures per minute",
            [pipe_metric(changes.pipe, name) for name in ("Invocations", "ExecutionFailed")],
        ),
        (
            "Changes of orders handled, and failures per minute",
            [log_metric(environment.name, name, "Sum") for name in ("ChangesHandled", "FailedChanges")],
        ),
        (
            "Age of the oldest change, s, and dead letters",
            [
                queue_metric(changes.queue.name, "ApproximateAgeOfOldestMessage", "Maximum"),
                queue_metric(changes.queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum"),
            ],
        ),
        (
            "Write units per minute",
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
            "Throttled DynamoDB requests",
            [metric for table in THROTTLED_TABLES for metric in throttle_metrics(environment, table).values()],
        ),
        (
            "CPU of the tasks, %",
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
        dashboard_name=f"{environment.name}-orders-{stack.region}",  # unique in the account: dashboards have no region
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
