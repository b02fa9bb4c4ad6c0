"""Encrypted log groups with a retention period. By default, their names contain region and environment."""

from cdktn_provider_aws.cloudwatch_log_group import CloudwatchLogGroup

from infra.constructs.policies import Statement
from infra.constructs.workspace import Workspace


class LogGroup:
    """Log group with the name `name`, by default `/<region>/<environment>/<writer>`."""

    def __init__(self, stack: Workspace, writer: str, *, key_arn: str, days: int, name: str = "") -> None:
        self.name = name or f"/{stack.region}/{stack.owner}/{writer}"
        self.group = CloudwatchLogGroup(
            stack,
            f"{writer.replace('-', '_')}_logs",
            name=self.name,
            kms_key_id=key_arn,
            retention_in_days=days,
        )

    @property
    def arn(self) -> str:
        return self.group.arn

    @property
    def streams_arn(self) -> str:
        """ARN pattern of the group's streams, to which a writer needs permissions."""
        return f"{self.group.arn}:*"


def write_logs(group_arn: str) -> Statement:
    """Return a statement that allows creating streams, and writing to them, in one existing log group."""
    return Statement(
        sid="WriteLogs", actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[f"{group_arn}:*"]
    )
