"""Stack of order-processor. Deployments are rolling, since there is no traffic to shift; alarms roll them back."""

from cdktn import App
from cdktn_provider_aws.ecs_service import EcsServiceDeploymentConfiguration

from infra.alarms import PROCESSOR_ROLLBACK, slowest_minutes
from infra.constructs.alarms import Metric
from infra.constructs.policies import Statement
from infra.constructs.scaling import running_tasks
from infra.constructs.task import Task
from infra.environments import Environment
from infra.services.service import run_service
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import ORDER_PROCESSOR

SERVICE = ORDER_PROCESSOR
STOP_SECONDS = 90
"""Time from SIGTERM to SIGKILL. The processor drains for up to 60 s, returns messages to the queue for 3, flushes for 5
and sends spans for 3."""

BACKLOG_PER_TASK = 500
"""Target of waiting messages per task: two seconds of work (docs/scale.md)."""


class OrderProcessor(ServiceWorkspace):
    """Stack of a region's processor.

    A standby region runs no task: if two regions processed the same order, each would reserve stock for it.
    """

    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, SERVICE, environment, region)
        minimum = 0 if self.stands_by else environment.processor.minimum
        maximum = 0 if self.stands_by else environment.processor.maximum
        scaling = run_service(
            self,
            self._task(),
            minimum=minimum,
            maximum=maximum,
            deployment=EcsServiceDeploymentConfiguration(
                strategy="ROLLING", bake_time_in_minutes=str(slowest_minutes(PROCESSOR_ROLLBACK))
            ),
            alarm_names=self.data.processor_rollback_alarm_names,
        )
        scaling.track(
            "backlog",
            "waiting / tasks",
            {
                "waiting": Metric(
                    namespace="AWS/SQS",
                    name="ApproximateNumberOfMessagesVisible",
                    stat="Average",
                    dimensions={"QueueName": self.data.queue_name},
                ),
                "tasks": running_tasks(self.platform.cluster_name, self.service_name),
            },
            BACKLOG_PER_TASK,
        )
        # The queue may be empty only because there are enough tasks, which must then be kept.
        scaling.track_cpu()

    def _task(self) -> Task:
        data = self.data
        payments = self.environment.payments
        return self.task(
            size=self.environment.processor,
            settings={"ORDER_PAYMENT_API_BASE": payments.api_base} if payments.api_base else {},
            secrets={"ORDER_PAYMENT_API_KEY": data.payment_api_key_arn},
            stop_timeout=STOP_SECONDS,
            statements=(
                Statement(
                    sid="Orders",
                    actions=["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"],
                    resources=[data.orders_table_arn, f"{data.orders_table_arn}/index/open_orders"],
                ),
                Statement(
                    sid="Stock",
                    actions=["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"],
                    resources=[data.inventory_table_arn],
                ),
                Statement(
                    sid="FreeReferences", actions=["dynamodb:DeleteItem"], resources=[data.idempotency_table_arn]
                ),
                Statement(
                    sid="Work",
                    actions=[
                        "sqs:ChangeMessageVisibility",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes",
                        "sqs:GetQueueUrl",
                        "sqs:ReceiveMessage",
                        "sqs:SendMessage",
                    ],
                    resources=[data.queue_arn],
                ),
                Statement(
                    sid="DeadLetters",
                    actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
                    resources=[data.dead_letter_queue_arn],
                ),
            ),
        )
