"""DynamoDB tables and SQS queues from `order_shared.tables`, which also defines them for the local stack."""

import json

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.appautoscaling_policy import (
    AppautoscalingPolicy,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfiguration,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecification,
)
from cdktn_provider_aws.appautoscaling_target import AppautoscalingTarget
from cdktn_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableReplica,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from cdktn_provider_aws.sqs_queue import SqsQueue
from cdktn_provider_aws.sqs_queue_policy import SqsQueuePolicy
from cdktn_provider_aws.sqs_queue_redrive_allow_policy import SqsQueueRedriveAllowPolicy

from infra.constructs.policies import Statement, document, only_over_tls
from infra.constructs.workspace import Workspace
from infra.environments import Environment, OnDemand, Provisioned
from order_shared.tables import Index, Key, Queue, Table

RECOVERY_DAYS = 35  # DynamoDB's maximum

VISIBILITY_SECONDS = 30
"""Default visibility timeout of the queue in seconds. The processor sets its own timeout on every receive."""


class TableWithReplicas:
    """Table of `order_shared.tables`, with a replica in each further region."""

    def __init__(
        self,
        stack: Workspace,
        environment: Environment,
        table: Table,
        *,
        key_arn: str,
        replica_key_arns: dict[str, str],
    ) -> None:
        """`replica_key_arns` has the KMS key of each further region, by region."""
        self._stack = stack
        self._table = table
        billing = environment.billing
        is_streamed = table.streamed or bool(replica_key_arns)
        self.table = DynamodbTable(
            stack,
            f"{table.name}_table",
            name=environment.table_prefix + table.name,
            billing_mode="PROVISIONED" if isinstance(billing, Provisioned) else "PAY_PER_REQUEST",
            read_capacity=billing.minimum if isinstance(billing, Provisioned) else None,
            write_capacity=billing.minimum if isinstance(billing, Provisioned) else None,
            hash_key=table.hash_key.name,
            range_key=table.range_key.name if table.range_key else None,
            attribute=[DynamodbTableAttribute(name=key.name, type=key.type.value) for key in _keys(table)],
            global_secondary_index=[_index(index, billing) for index in table.indexes],
            # No warm throughput: DynamoDB raises it with use, and a plan would replace the table to lower it.
            ttl=DynamodbTableTtl(attribute_name=table.ttl_attribute, enabled=True) if table.ttl_attribute else None,
            server_side_encryption=DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key_arn),
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(
                enabled=True, recovery_period_in_days=RECOVERY_DAYS
            ),
            deletion_protection_enabled=environment.protected,
            # Replication reads the stream, which DynamoDB turns on by itself; a plan must not turn it off. Replication
            # needs both images: with another view, a second region would need a new stream, and end its readers.
            stream_enabled=True if is_streamed else None,
            stream_view_type="NEW_AND_OLD_IMAGES" if is_streamed else None,
            replica=[
                DynamodbTableReplica(
                    region_name=region,
                    kms_key_arn=arn,
                    point_in_time_recovery=True,
                    deletion_protection_enabled=environment.protected,
                    propagate_tags=True,
                )
                for region, arn in replica_key_arns.items()
            ],
            lifecycle=TerraformResourceLifecycle(
                prevent_destroy=environment.protected,
                ignore_changes=_moved_by_autoscaling(billing),
            ),
        )
        if isinstance(billing, Provisioned):
            self._scale(billing)

    def _scale(self, billing: Provisioned) -> None:
        scaled = [("table", "table", self.table.name)]
        scaled += [("index", index.name, f"{self.table.name}/index/{index.name}") for index in self._table.indexes]
        for kind, label, path in scaled:
            for way in ("Read", "Write"):
                self._scale_one(billing, way, f"{self._table.name}_{label}_{way.lower()}", f"table/{path}", kind)

    def _scale_one(self, billing: Provisioned, way: str, label: str, resource_id: str, kind: str) -> None:
        dimension = f"dynamodb:{kind}:{way}CapacityUnits"
        target = AppautoscalingTarget(
            self._stack,
            f"{label}_capacity",
            service_namespace="dynamodb",
            resource_id=resource_id,
            scalable_dimension=dimension,
            min_capacity=billing.minimum,
            max_capacity=billing.maximum,
            depends_on=[self.table],
        )
        AppautoscalingPolicy(
            self._stack,
            f"{label}_scaling",
            name=f"{resource_id.replace('/', '-')}-{way.lower()}",
            policy_type="TargetTrackingScaling",
            service_namespace="dynamodb",
            resource_id=target.resource_id,
            scalable_dimension=dimension,
            target_tracking_scaling_policy_configuration=AppautoscalingPolicyTargetTrackingScalingPolicyConfiguration(
                target_value=billing.utilization,
                predefined_metric_specification=(
                    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecification(
                        predefined_metric_type=f"DynamoDB{way}CapacityUtilization"
                    )
                ),
            ),
        )


class QueuePair:
    """Work queue and its dead-letter queue, to which SQS moves messages from this work queue only."""

    def __init__(
        self, stack: Workspace, queue: Queue, *, key_arn: str, label: str = "", topic_arn: str | None = None
    ) -> None:
        """`label` begins the ids of the pair's resources. A topic in `topic_arn` may send to the work queue."""
        self.dead_letters = SqsQueue(
            stack,
            f"{label}dead_letter_queue",
            name=queue.dead_letter_name,
            message_retention_seconds=queue.retention_seconds,
            kms_master_key_id=key_arn,
        )
        self.queue = SqsQueue(
            stack,
            f"{label}queue",
            name=queue.name,
            message_retention_seconds=queue.retention_seconds,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            kms_master_key_id=key_arn,
            redrive_policy=json.dumps(
                {"deadLetterTargetArn": self.dead_letters.arn, "maxReceiveCount": queue.max_receive_count}
            ),
        )
        SqsQueueRedriveAllowPolicy(
            stack,
            f"{label}dead_letter_queue_sources",
            queue_url=self.dead_letters.url,
            redrive_allow_policy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [self.queue.arn]}),
        )
        senders = (_send_from(topic_arn, self.queue.arn),) if topic_arn else ()
        self.policy = SqsQueuePolicy(
            stack,
            f"{label}queue_policy",
            queue_url=self.queue.url,
            policy=document(only_over_tls("sqs", self.queue.arn), *senders),
        )
        SqsQueuePolicy(
            stack,
            f"{label}dead_letter_queue_policy",
            queue_url=self.dead_letters.url,
            policy=document(only_over_tls("sqs", self.dead_letters.arn)),
        )


def _send_from(topic_arn: str, queue_arn: str) -> Statement:
    return Statement(
        sid="SubscribedTopic",
        actions=["sqs:SendMessage"],
        resources=[queue_arn],
        principals={"Service": "sns.amazonaws.com"},
        # https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
        conditions={"ArnEquals": {"aws:SourceArn": topic_arn}},
    )


def _keys(table: Table) -> list[Key]:
    """Return the key attributes of the table and of its indexes, each once."""
    keys = [table.hash_key, table.range_key]
    for index in table.indexes:
        keys += [index.hash_key, index.range_key]
    return list(dict.fromkeys(key for key in keys if key is not None))


def _index(index: Index, billing: OnDemand | Provisioned) -> DynamodbTableGlobalSecondaryIndex:
    provisioned = billing.minimum if isinstance(billing, Provisioned) else None
    return DynamodbTableGlobalSecondaryIndex(
        name=index.name,
        hash_key=index.hash_key.name,
        range_key=index.range_key.name if index.range_key else None,
        projection_type="INCLUDE" if index.include else "KEYS_ONLY",
        non_key_attributes=list(index.include) or None,
        read_capacity=provisioned,
        write_capacity=provisioned,
    )


def _moved_by_autoscaling(billing: OnDemand | Provisioned) -> list[str] | None:
    """Return the arguments whose changes Terraform ignores, because autoscaling changes them; None on demand.

    Terraform can ignore the indexes only as a whole. It then neither creates an index, nor sets the capacity that an
    index needs when billing changes from on demand. With `indexes_change`, it therefore does not ignore them.
    """
    if isinstance(billing, OnDemand):
        return None
    table = ["read_capacity", "write_capacity"]
    return table if billing.indexes_change else [*table, "global_secondary_index"]
