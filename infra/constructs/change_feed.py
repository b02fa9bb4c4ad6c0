"""Feed of a table's changes: stream, EventBridge pipe, SNS topic, SQS queue.

The pipe passes on only the keys of a changed item, so the item itself never leaves the table. Other queues can
subscribe to the topic.
"""

import json

from cdktn_provider_aws.pipes_pipe import (
    PipesPipe,
    PipesPipeSourceParameters,
    PipesPipeSourceParametersDynamodbStreamParameters,
    PipesPipeSourceParametersFilterCriteria,
    PipesPipeSourceParametersFilterCriteriaFilter,
    PipesPipeTargetParameters,
)
from cdktn_provider_aws.sns_topic import SnsTopic
from cdktn_provider_aws.sns_topic_policy import SnsTopicPolicy
from cdktn_provider_aws.sns_topic_subscription import SnsTopicSubscription

from infra.constructs.data import QueuePair
from infra.constructs.policies import Statement, document, trust
from infra.constructs.roles import Role
from infra.constructs.workspace import Workspace
from order_shared.tables import ChangeFeed

LABEL = "changes_"

BATCH = 10
"""Records that the pipe reads at once: as many as SNS takes in one request."""

ENDLESS_RETRIES = -1

EVENTS = ("INSERT", "MODIFY")
"""Changes that the pipe passes on. An order is never removed."""

TEMPLATE = '{"eventName": "<$.eventName>", "dynamodb": {"Keys": <$.dynamodb.Keys>}}'
"""Template of a message, nested as the record. A text has quotation marks around its path, an object has none:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html."""


class ChangeQueue:
    """Topic of a table's changes, and the queue that is subscribed to it."""

    def __init__(self, stack: Workspace, feed: ChangeFeed, *, key_arn: str) -> None:
        self._stack = stack
        self._feed = feed
        self._key_arn = key_arn
        self.topic = SnsTopic(stack, f"{LABEL}topic", name=feed.topic, kms_master_key_id=key_arn)
        # SNS refuses `sns:*` in the policy of a topic.
        over_tls = Statement(
            sid="OnlyOverTls",
            effect="Deny",
            actions=["sns:Publish"],
            resources=[self.topic.arn],
            principals={"AWS": "*"},
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        )
        SnsTopicPolicy(stack, f"{LABEL}topic_policy", arn=self.topic.arn, policy=document(over_tls))
        self.queues = QueuePair(stack, feed.queue, key_arn=key_arn, label=LABEL, topic_arn=self.topic.arn)
        self._subscription = SnsTopicSubscription(
            stack,
            f"{LABEL}subscription",
            topic_arn=self.topic.arn,
            protocol="sqs",
            endpoint=self.queues.queue.arn,
            raw_message_delivery=True,
            # SNS drops a message that the queue refuses.
            depends_on=[self.queues.policy],
        )

    def feed_from(self, stream_arn: str) -> None:
        """Create the pipe from the stream of a table to the topic.

        It starts with the oldest record, so a new pipe passes on what the former one has missed. Its retries are
        endless: a record is lost only when the stream drops it after 24 hours.
        """
        role = self._role(stream_arn)
        patterns = [PipesPipeSourceParametersFilterCriteriaFilter(pattern=json.dumps({"eventName": list(EVENTS)}))]
        PipesPipe(
            self._stack,
            f"{LABEL}pipe",
            name=self._feed.pipe,
            description=f"Keys of changed items of {self._feed.table.name}",
            role_arn=role.arn,
            source=stream_arn,
            source_parameters=PipesPipeSourceParameters(
                dynamodb_stream_parameters=PipesPipeSourceParametersDynamodbStreamParameters(
                    starting_position="TRIM_HORIZON",
                    batch_size=BATCH,
                    maximum_record_age_in_seconds=-1,
                    maximum_retry_attempts=ENDLESS_RETRIES,
                ),
                filter_criteria=PipesPipeSourceParametersFilterCriteria(filter=patterns),
            ),
            target=self.topic.arn,
            target_parameters=PipesPipeTargetParameters(input_template=TEMPLATE),
            # Without a subscription, SNS drops what the pipe publishes.
            depends_on=[*role.policies, self._subscription],
        )

    def _role(self, stream_arn: str) -> Role:
        region = self._stack.region
        return Role(
            self._stack,
            f"{LABEL}pipe",
            description=f"Lets the pipe {self._feed.pipe} read the stream of its table and publish to its topic",
            # https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html
            trust=trust("pipes.amazonaws.com", {"StringEquals": {"aws:SourceAccount": self._stack.account_id}}),
            statements=(
                # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-permissions.html
                Statement(
                    sid="ReadStream",
                    actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                    resources=[stream_arn],
                ),
                Statement(
                    sid="FindStream",
                    actions=["dynamodb:ListStreams"],
                    resources=["*"],
                    wildcard="a list of streams takes no resource",
                ),
                Statement(
                    sid="DecryptStream",
                    actions=["kms:Decrypt"],
                    resources=[self._key_arn],
                    conditions={"StringEquals": {"kms:ViaService": f"dynamodb.{region}.amazonaws.com"}},
                ),
                Statement(sid="Publish", actions=["sns:Publish"], resources=[self.topic.arn]),
                Statement(
                    sid="EncryptMessages",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[self._key_arn],
                    conditions={"StringEquals": {"kms:ViaService": f"sns.{region}.amazonaws.com"}},
                ),
            ),
        )
