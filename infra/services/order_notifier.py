"""Stack of order-notifier. Deployments are rolling, since there is no traffic to shift; alarms roll them back."""

from cdktn import App
from cdktn_provider_aws.ecs_service import EcsServiceDeploymentConfiguration

from infra.alarms import NOTIFIER_ROLLBACK, slowest_minutes
from infra.constructs.alarms import Metric
from infra.constructs.policies import Statement
from infra.constructs.scaling import running_tasks
from infra.constructs.task import Task
from infra.environments import Environment
from infra.services.service import run_service
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import ORDER_NOTIFIER

SERVICE = ORDER_NOTIFIER
STOP_SECONDS = 60
"""Time from SIGTERM to SIGKILL. The notifier drains for up to 30 s, returns messages to the queue for 3, ends its last
append within 10 and sends spans for 3. Webhooks in progress end within 20 s of SIGTERM, which is a receiver's limit."""

BACKLOG_PER_TASK = 500
"""Target of waiting changes per task."""


class OrderNotifier(ServiceWorkspace):
    """Stack of a region's notifier.

    A standby region runs no task: its queue is empty, because only the home region has a pipe.
    """

    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, SERVICE, environment, region)
        scaling = run_service(
            self,
            self._task(),
            minimum=0 if self.stands_by else environment.notifier.minimum,
            maximum=0 if self.stands_by else environment.notifier.maximum,
            deployment=EcsServiceDeploymentConfiguration(
                strategy="ROLLING", bake_time_in_minutes=str(slowest_minutes(NOTIFIER_ROLLBACK))
            ),
            alarm_names=self.data.notifier_rollback_alarm_names,
        )
        scaling.track(
            "backlog",
            "waiting / tasks",
            {
                "waiting": Metric(
                    namespace="AWS/SQS",
                    name="ApproximateNumberOfMessagesVisible",
                    stat="Average",
                    dimensions={"QueueName": self.data.changes_queue_name},
                ),
                "tasks": running_tasks(self.platform.cluster_name, self.service_name),
            },
            BACKLOG_PER_TASK,
        )
        # The queue may be empty only because there are enough tasks, which must then be kept.
        scaling.track_cpu()

    def _task(self) -> Task:
        data = self.data
        return self.task(
            size=self.environment.notifier,
            settings={},
            secrets={"ORDER_WEBHOOK_KEYS": data.webhook_keys_arn} if self.environment.webhooks else {},
            stop_timeout=STOP_SECONDS,
            statements=(
                Statement(
                    sid="Orders",
                    actions=["dynamodb:BatchGetItem", "dynamodb:GetItem"],
                    resources=[data.orders_table_arn],
                ),
                Statement(
                    sid="Events",
                    actions=[
                        "dynamodb:BatchGetItem",
                        "dynamodb:ConditionCheckItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                    ],
                    resources=[data.events_table_arn],
                ),
                Statement(
                    sid="Webhooks",
                    actions=[
                        "dynamodb:BatchGetItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:UpdateItem",
                    ],
                    resources=[data.webhooks_table_arn, f"{data.webhooks_table_arn}/index/due_endpoints"],
                ),
                Statement(
                    sid="Changes",
                    actions=[
                        "sqs:ChangeMessageVisibility",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes",
                        "sqs:GetQueueUrl",
                        "sqs:ReceiveMessage",
                    ],
                    resources=[data.changes_queue_arn],
                ),
                Statement(
                    sid="DeadLetters",
                    actions=["sqs:GetQueueUrl", "sqs:SendMessage"],
                    resources=[data.changes_dead_letter_queue_arn],
                ),
            ),
        )
