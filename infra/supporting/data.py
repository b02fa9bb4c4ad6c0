"""Resources that each environment has for itself, also a feature environment: tables, queues, secrets, logs, alarms."""

from dataclasses import replace

from cdktn_provider_aws.data_aws_dynamodb_table import DataAwsDynamodbTable
from cdktn_provider_aws.dynamodb_table import DynamodbTable

from infra.alarms import (
    CHANGE_FEED,
    DEAD_LETTERS,
    FAILED_HANDLINGS,
    FAILURES,
    IN_FLIGHT,
    NO_NOTIFIER,
    NO_PROCESSOR,
    NOTIFIER_DEAD_LETTERS,
    NOTIFIER_FAILURES,
    NOTIFIER_QUEUE_AGE,
    OLDEST_OPEN,
    PARKED,
    PAYMENTS_REFUSED,
    QUEUE_AGE,
    THROTTLES,
    Alarm,
    Missing,
    no_orders,
)
from infra.constructs.alarms import Alarms, Metric, filled_sum
from infra.constructs.change_feed import ChangeQueue
from infra.constructs.data import QueuePair, TableWithReplicas
from infra.constructs.log_metrics import LogMetrics, log_metric
from infra.constructs.logs import LogGroup
from infra.constructs.outputs import DataOutputs
from infra.constructs.secrets import CURSOR_SECRETS, PAYMENT_API_KEY, WEBHOOK_KEYS, make_secrets
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from order_shared.naming import ORDER_API, ORDER_NOTIFIER, ORDER_PROCESSOR, SERVICE_NAMES
from order_shared.tables import (
    EVENTS,
    IDEMPOTENCY,
    INVENTORY,
    OPERATIONS,
    ORDERS,
    TABLES,
    WEBHOOKS,
    ChangeFeed,
    Queue,
    Table,
    order_changes,
    order_queue,
)

THROTTLED_TABLES = (ORDERS, INVENTORY, IDEMPOTENCY, EVENTS, WEBHOOKS)
"""Tables with alarms on throttling. The operations table has none, because the services do not use it."""

FEWEST_FAILED_HANDLINGS = 10
"""Minimum number of failures within three minutes for the failure rate. Fewer may be the attempts of a single order."""

FAILURE_RATE = f"IF(failed >= {FEWEST_FAILED_HANDLINGS}, 100 * failed / handled, 0)"
"""Percentage of handlings that failed. Both metrics come from the same log line, so they arrive at the same time."""


class Data:
    """Data of an environment in a region. Replica tables belong to the stack of the first region."""

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
        self._is_home = stack.region == environment.home
        tables = {}
        if stack.region == environment.regions[0]:
            for table in TABLES:
                made = TableWithReplicas(
                    stack, environment, table, key_arn=data_key_arn, replica_key_arns=replica_key_arns
                )
                tables[table.name] = made.table
        queue, changes = order_queue(environment.table_prefix), order_changes(environment.table_prefix)
        queues = QueuePair(stack, queue, key_arn=data_key_arn)
        change_queue = ChangeQueue(stack, changes, key_arn=data_key_arn)
        if self._is_home:
            change_queue.feed_from(self._stream_arn(changes, tables.get(changes.table.name)))
        secrets = make_secrets(stack, environment, key_arn=data_key_arn)
        logs = {
            service: LogGroup(stack, service, key_arn=logs_key_arn, days=environment.log_days)
            for service in SERVICE_NAMES
        }
        LogMetrics(
            stack,
            api=logs[ORDER_API.name],
            processor=logs[ORDER_PROCESSOR.name],
            notifier=logs[ORDER_NOTIFIER.name],
        )
        self._alarms = Alarms(stack=stack, topic_arn=topic_arn)
        self._operator_alarms(queue)
        self._notifier_alarms(changes)
        self.outputs = DataOutputs(
            orders_table_arn=self._table_arn(ORDERS),
            inventory_table_arn=self._table_arn(INVENTORY),
            idempotency_table_arn=self._table_arn(IDEMPOTENCY),
            operations_table_arn=self._table_arn(OPERATIONS),
            events_table_arn=self._table_arn(EVENTS),
            webhooks_table_arn=self._table_arn(WEBHOOKS),
            queue_arn=queues.queue.arn,
            queue_name=queues.queue.name,
            dead_letter_queue_arn=queues.dead_letters.arn,
            changes_queue_arn=change_queue.queues.queue.arn,
            changes_queue_name=change_queue.queues.queue.name,
            changes_dead_letter_queue_arn=change_queue.queues.dead_letters.arn,
            cursor_secrets_arn=secrets[CURSOR_SECRETS].arn,
            payment_api_key_arn=secrets[PAYMENT_API_KEY].arn,
            webhook_keys_arn=secrets[WEBHOOK_KEYS].arn,
            log_group_names={service: each.group.name for service, each in logs.items()},
            log_group_arns={service: each.arn for service, each in logs.items()},
            processor_rollback_alarm_names=self._processor_rollback_alarms(queue),
            notifier_rollback_alarm_names=self._notifier_rollback_alarms(changes.queue),
        )

    def _table_arn(self, table: Table) -> str:
        """Return the ARN of a table in this region. In a replica region, this is the replica's."""
        return self._stack.arn("dynamodb", f"table/{self._environment.table_prefix}{table.name}")

    def _stream_arn(self, feed: ChangeFeed, table: DynamodbTable | None) -> str:
        """Return the ARN of the stream of the feed's table in this region. Without a table here, it is the replica's.

        The replica exists since the first region was deployed with this region as a standby.
        """
        if table is not None:
            return table.stream_arn
        name = self._environment.table_prefix + feed.table.name
        return DataAwsDynamodbTable(self._stack, f"{feed.table.name}_replica", name=name).stream_arn

    def _logged(self, name: str, stat: str) -> Metric:
        return log_metric(self._environment.name, name, stat)

    def _processor_rollback_alarms(self, queue: Queue) -> tuple[str, ...]:
        """Create the alarms of PROCESSOR_ROLLBACK, and return their names."""
        age = queue_metric(queue.name, "ApproximateAgeOfOldestMessage", "Maximum")
        letters = queue_metric(queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum")
        failed, handled = self._logged("FailedHandlings", "Sum"), self._logged("Handlings", "Sum")
        alarms: list[tuple[Alarm, str, dict[str, Metric]]] = [
            (QUEUE_AGE, "age", {"age": age}),
            (DEAD_LETTERS, "letters", {"letters": letters}),
            (FAILURES, "failed", {"failed": self._logged("FailedMessages", "Sum")}),
            (FAILED_HANDLINGS, FAILURE_RATE, {"failed": failed, "handled": handled}),
            (PAYMENTS_REFUSED, "refused", {"refused": self._logged("PaymentsRefused", "Sum")}),
        ]
        return tuple(self._alarms.make(*alarm).alarm_name for alarm in alarms)

    def _notifier_rollback_alarms(self, queue: Queue) -> tuple[str, ...]:
        """Create the alarms of NOTIFIER_ROLLBACK, and return their names."""
        age = queue_metric(queue.name, "ApproximateAgeOfOldestMessage", "Maximum")
        letters = queue_metric(queue.dead_letter_name, "ApproximateNumberOfMessagesVisible", "Maximum")
        failed, handled = self._logged("FailedChanges", "Sum"), self._logged("ChangesHandled", "Sum")
        alarms: list[tuple[Alarm, str, dict[str, Metric]]] = [
            (NOTIFIER_QUEUE_AGE, "age", {"age": age}),
            (NOTIFIER_DEAD_LETTERS, "letters", {"letters": letters}),
            (NOTIFIER_FAILURES, FAILURE_RATE, {"failed": failed, "handled": handled}),
        ]
        return tuple(self._alarms.make(*alarm).alarm_name for alarm in alarms)

    def _notifier_alarms(self, feed: ChangeFeed) -> None:
        reports = self._logged("ChangesHandled", "SampleCount")
        self._alarms.make(self._where_written(NO_NOTIFIER), "reports", {"reports": reports})
        if self._is_home:
            self._alarms.make(
                CHANGE_FEED,
                # A pipe that fails most of the time repeats one batch, and passes on nothing after it.
                "IF(accepted > 0, IF(FILL(invoked, 0) > 2 * FILL(failed, 0), 1, 0), 1)",
                {
                    "accepted": self._logged("AcceptMilliseconds", "SampleCount"),
                    "invoked": pipe_metric(feed.pipe, "Invocations"),
                    "failed": pipe_metric(feed.pipe, "ExecutionFailed"),
                },
            )

    def _where_written(self, alarm: Alarm) -> Alarm:
        """Return an alarm on silence. In a standby region, where nothing has to report, silence does not breach it."""
        return alarm if self._is_home else replace(alarm, missing=Missing.NOT_BREACHING)

    def _operator_alarms(self, queue: Queue) -> None:
        reports = self._logged("OldestOpenSeconds", "SampleCount")
        self._alarms.make(self._where_written(NO_PROCESSOR), "reports", {"reports": reports})
        in_flight = queue_metric(queue.name, "ApproximateNumberOfMessagesNotVisible", "Maximum")
        self._alarms.make(IN_FLIGHT, "in_flight", {"in_flight": in_flight})
        self._alarms.make(PARKED, "parked", {"parked": self._logged("OrdersParked", "Maximum")})
        self._alarms.make(OLDEST_OPEN, "oldest", {"oldest": self._logged("OldestOpenSeconds", "Maximum")})
        for table in THROTTLED_TABLES:
            metrics = throttle_metrics(self._environment, table)
            self._alarms.make(THROTTLES[table.name], filled_sum(metrics), metrics)
        quiet = self._environment.quiet_minutes
        if quiet and self._is_home:
            accepted = self._logged("AcceptMilliseconds", "SampleCount")
            self._alarms.make(no_orders(quiet), "accepted", {"accepted": accepted})


def queue_metric(queue_name: str, metric: str, stat: str) -> Metric:
    return Metric(namespace="AWS/SQS", name=metric, stat=stat, dimensions={"QueueName": queue_name})


def pipe_metric(pipe_name: str, metric: str) -> Metric:
    """Return a metric of an EventBridge pipe, per minute.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-monitoring.html.
    """
    return Metric(namespace="AWS/EventBridge/Pipes", name=metric, stat="Sum", dimensions={"PipeName": pipe_name})


def throttle_metrics(environment: Environment, table: Table) -> dict[str, Metric]:
    """Return metrics, by id, of a table's throttled reads and writes, and of the throttled writes of its indexes."""
    dimensions = {"TableName": environment.table_prefix + table.name}
    metrics = {f"{table.name}_{way.lower()}": _throttled(way, dimensions) for way in ("Read", "Write")}
    for index in table.indexes:
        metrics[index.name] = _throttled("Write", {**dimensions, "GlobalSecondaryIndexName": index.name})
    return metrics


def _throttled(way: str, dimensions: dict[str, str]) -> Metric:
    return Metric(namespace="AWS/DynamoDB", name=f"{way}ThrottleEvents", stat="Sum", dimensions=dimensions)
