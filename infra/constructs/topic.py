"""Encrypted SNS topic for alarm notifications, with a subscription for the owner's e-mail address."""

from cdktn_provider_aws.sns_topic import SnsTopic
from cdktn_provider_aws.sns_topic_policy import SnsTopicPolicy
from cdktn_provider_aws.sns_topic_subscription import SnsTopicSubscription

from infra.constructs.policies import Statement, document
from infra.constructs.workspace import Workspace
from infra.environments import ORGANISATION


def alarm_topic(stack: Workspace, *, key_arn: str) -> str:
    """Create the topic, and return its ARN."""
    topic = SnsTopic(stack, "alarm_topic", name=f"{stack.owner}-alarms", kms_master_key_id=key_arn)
    SnsTopicPolicy(
        stack,
        "alarm_topic_policy",
        arn=topic.arn,
        policy=document(
            Statement(
                sid="Alarms",
                actions=["sns:Publish"],
                resources=[topic.arn],
                principals={"Service": "cloudwatch.amazonaws.com"},
                # https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
                conditions={"ArnLike": {"aws:SourceArn": stack.arn("cloudwatch", "alarm:*")}},
            )
        ),
    )
    SnsTopicSubscription(
        stack, "alarm_topic_owner", topic_arn=topic.arn, protocol="email", endpoint=ORGANISATION.owner_email
    )
    return topic.arn
