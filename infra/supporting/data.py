"""What every environment has of its own, a feature's too: tables, queues, secrets, logs, and the alarms on them."""

from cdktn_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm

from infra.constructs.alarms import MINUTE, Alarms, Metric, filled_sum
from infra.constructs.data import QueuePair, TableWithReplicas
from infra.constructs.log_metrics import LogMetrics, log_metric
from infra.constructs.logs import LogGroup
from infra.constructs.outputs import DataOutputs
from infra.constructs.secrets import CURSOR_SECRETS, PAYMENT_API_KEY, make_secrets
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.stacks import SERVICES
from order_shared.tables import IDEMPOTENCY, INVENTORY, OPERATIONS, ORDERS, TABLES, Queue, Table, order_queue

QUEUE_AGE_SECONDS = 300
OLDEST_OPEN_SECONDS = 900
"""The sweeper says an order again after 15 s, and doubles: one that is open for so long was said six times."""
SWEEP_MINUTES = 15
"""Between two looks at an order that stays open, at most: shorter periods would miss it."""
REPORT_MINUTES = 2
"""A processor says how the outbox is once a minute, and a bit: each period of two has a word."""
SILENT_MINUTES = 6
"""Without a word for so long no processor runs."""
FAILED_MESSAGES = 5
"""Outages, throttles and conflicts are no failures: they are foreseen."""
THROTTLED_EVENTS = 50
THROTTLED_MINUTES = 3


class Data:
    """In a region that only holds replicas the tables are another region's, and their names and ARNs are known."""

    def __init__(
        self,
        stack: Workspace,
        environment: Environment,
        *,
        data_key_arn: str,
        logs_key_arn: str,
        topic_arn: str,
        replica_key_arns: dict[str, str],
    ) -> None:
        self._stack = stack
        self._environment = environment
        if stack.region == environment.regions[0]:
            for table in TABLES:
                TableWithReplicas(stack, environment, table, key_arn=data_key_arn, replica_key_arns=replica_key_arns)
        queue = order_queue(environment.table_prefix)
        queues = QueuePair(stack, queue, key_arn=data_key_arn)
        secrets = make_secrets(stack, environment, key_arn=data_key_arn)
        api_logs, processor_logs = (
            LogGroup(stack, service, key_arn=logs_key_arn, days=environment.log_days) for service in SERVICES
        )
        LogMetrics(stack, api=api_logs, processor=processor_logs)
        self._alarms = Alarms(stack=stack, topic_arn=topic_arn)
        self._operator_alarms()
        self.outputs = DataOutputs(
            orders_table_arn=self._table_arn(ORDERS),
            inventory_table_arn=self._table_arn(INVENTORY),
            idempotency_table_arn=self._table_arn(IDEMPOTENCY),
            operations_table_arn=self._table_arn(OPERATIONS),
            queue_arn=queues.queue.arn,
            queue_name=queues.queue.name,
            dead_letter_queue_arn=queues.dead_letters.arn,
            dead_letter_queue_name=queues.dead_letters.name,
            cursor_secrets_arn=secrets[CURSOR_SECRETS].arn,
            payment_api_key_arn=secrets[PAYMENT_API_KEY].arn,
            api_log_group_name=api_logs.group.name,
            api_log_group_arn=api_logs.arn,
            processor_log_group_name=processor_logs.group.name,
            processor_log_group_arn=processor_logs.arn,
            queue_age_alarm_name=self._queue_age(queue).alarm_name,
            dead_letters_alarm_name=self._dead_letters(queue).alarm_name,
            no_processor_alarm_name=self._silent().alarm_name,
            failures_alarm_name=self._failures().alarm_name,
        )

    def _table_arn(self, table: Table) -> str:
        """By its name: a task in a region of replicas reaches the replica there."""
        return self._stack.arn("dynamodb", f"table/{self._environment.table_prefix}{table.name}")

    def _queue_age(self, queue: Queue) -> CloudwatchMetricAlarm:
        return self._alarms.above(
            "queue_age",
            f"The oldest message waits for more than {QUEUE_AGE_SECONDS} s: too few processors, or they fail.",
            "age",
            {"age": queue_metric(queue.name, "ApproximateAgeOfOldestMessage", "Maximum")},
            threshold=QUEUE_AGE_SECONDS,
            minutes=3,
        )

    def _dead_letters(self, queue: Queue) -> CloudwatchMetricAlarm:
        return self._alarms.above(
            "dead_letters",
            "There are dead letters: messages that no version of the processor can read.",
            "letters",
            {"letters": queue_metric(queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum")},
            threshold=0,
            minutes=1,
        )

    def _silent(self) -> CloudwatchMetricAlarm:
        stands_by = self._stack.region != self._environment.home
        return self._alarms.above(
            "no_processor",
            f"No processor has said anything for {SILENT_MINUTES} minutes: orders are accepted, and wait.",
            "reports",
            {"reports": self._reported("OldestOpenSeconds", "SampleCount", REPORT_MINUTES)},
            threshold=1,
            minutes=SILENT_MINUTES,
            missing="notBreaching" if stands_by else "breaching",
            below=True,
        )

    def _failures(self) -> CloudwatchMetricAlarm:
        return self._alarms.above(
            "failures",
            f"Processors fail with more than {FAILED_MESSAGES} messages a minute, for a reason that nobody foresaw.",
            "failed",
            {"failed": log_metric(self._environment.name, "FailedMessages", "Sum")},
            threshold=FAILED_MESSAGES,
            minutes=2,
        )

    def _reported(self, name: str, stat: str, minutes: int) -> Metric:
        return log_metric(self._environment.name, name, stat, period=minutes * MINUTE)

    def _operator_alarms(self) -> None:
        self._alarms.above(
            "parked",
            "An order is parked: it waits for an operator.",
            "parked",
            {"parked": self._reported("OrdersParked", "Maximum", REPORT_MINUTES)},
            threshold=0,
            minutes=REPORT_MINUTES,
        )
        self._alarms.above(
            "oldest_open",
            f"An order is open for more than {OLDEST_OPEN_SECONDS // 60} minutes.",
            "oldest",
            {"oldest": self._reported("OldestOpenSeconds", "Maximum", SWEEP_MINUTES)},
            threshold=OLDEST_OPEN_SECONDS,
            minutes=SWEEP_MINUTES,
        )
        throttles = throttle_metrics(self._environment)
        self._alarms.above(
            "throttles",
            "DynamoDB throttles: orders are late, or refused before they are acknowledged.",
            filled_sum(throttles),
            throttles,
            threshold=THROTTLED_EVENTS,
            minutes=THROTTLED_MINUTES,
        )
        quiet = self._environment.quiet_minutes
        if quiet and self._stack.region == self._environment.home:
            self._alarms.above(
                "no_orders",
                f"No order was accepted for {quiet} minutes.",
                "accepted",
                {"accepted": self._reported("AcceptMilliseconds", "SampleCount", quiet)},
                threshold=1,
                minutes=quiet,
                missing="breaching",
                below=True,
            )


def queue_metric(queue_name: str, metric: str, stat: str) -> Metric:
    return Metric(namespace="AWS/SQS", name=metric, stat=stat, dimensions={"QueueName": queue_name})


def throttle_metrics(environment: Environment) -> dict[str, Metric]:
    """Refused reads and writes of each table, and of each index that orders write."""
    metrics = {}
    for table in (ORDERS, INVENTORY, IDEMPOTENCY):
        dimensions = {"TableName": environment.table_prefix + table.name}
        for way in ("Read", "Write"):
            metrics[f"{table.name}_{way.lower()}"] = _throttled(way, dimensions)
        for index in table.indexes:
            metrics[index.name] = _throttled("Write", {**dimensions, "GlobalSecondaryIndexName": index.name})
    return metrics


def _throttled(way: str, dimensions: dict[str, str]) -> Metric:
    return Metric(
        namespace="AWS/DynamoDB",
        name=f"{way}ThrottleEvents",
        stat="Sum",
        dimensions=dimensions,
        period=THROTTLED_MINUTES * MINUTE,
    )
