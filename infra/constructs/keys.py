"""Customer managed KMS keys, rotated each year. The platform's roles may use a key only through certain services."""

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.kms_alias import KmsAlias
from cdktn_provider_aws.kms_key import KmsKey

from infra.constructs.policies import Statement, document
from infra.constructs.workspace import Workspace

USE_KEY = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)

WAITING_DAYS = 30
"""Days until a key is deleted: AWS's maximum, because the data that the key encrypts is lost with it."""


class Key:
    def __init__(
        self,
        stack: Workspace,
        purpose: str,
        *,
        description: str,
        services: tuple[Statement, ...] = (),
        protected: bool = False,
    ) -> None:
        """`services` has the statements for AWS services that use the key without one of the platform's roles.

        Terraform refuses to destroy a protected key, because the data that it encrypts would be lost.
        """
        self.key = KmsKey(
            stack,
            f"{purpose}_key",
            description=description,
            enable_key_rotation=True,
            deletion_window_in_days=WAITING_DAYS,
            policy=document(_owner(stack), *services),
            lifecycle=TerraformResourceLifecycle(prevent_destroy=protected),
        )
        KmsAlias(
            stack,
            f"{purpose}_key_alias",
            name=f"alias/{stack.owner}-{purpose}",
            target_key_id=self.key.key_id,
        )

    @property
    def arn(self) -> str:
        return self.key.arn


def logs_key(stack: Workspace, *, protected: bool) -> Key:
    service = Statement(
        sid="LogGroups",
        actions=[*USE_KEY],
        resources=["*"],
        principals={"Service": f"logs.{stack.region}.amazonaws.com"},
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": stack.arn("logs", "log-group:*")}},
        wildcard="a key's policy is about that key alone",
    )
    return Key(stack, "logs", description=f"Log groups of {stack.owner}", services=(service,), protected=protected)


def data_key(stack: Workspace, *, protected: bool) -> Key:
    alarms = Statement(
        sid="AlarmsToTopic",
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=["*"],
        principals={"Service": "cloudwatch.amazonaws.com"},
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        conditions={"StringEquals": {"aws:SourceAccount": stack.account_id}},
        wildcard="a key's policy is about that key alone",
    )
    # There is no condition, as in AWS's example:
    # https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html
    changes = Statement(
        sid="TopicsToQueues",
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=["*"],
        principals={"Service": "sns.amazonaws.com"},
        wildcard="a key's policy is about that key alone",
    )
    return Key(
        stack,
        "data",
        description=f"Tables, queues, secrets and alarms of {stack.owner}",
        services=(alarms, changes),
        protected=protected,
    )


def _owner(stack: Workspace) -> Statement:
    return Statement(
        sid="AccountDecidesByItsPolicies",
        actions=["kms:*"],
        resources=["*"],
        principals={"AWS": stack.iam_arn("root")},
        wildcard="without it the key could not be administered; roles still need a policy of their own",
    )


def use_key(sid: str, key_arn: str, *services: str) -> Statement:
    """Return a statement that allows use of a key through these services, such as `sqs.eu-central-1.amazonaws.com`."""
    return Statement(
        sid=sid,
        actions=[*USE_KEY],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": list(services)}},
    )
