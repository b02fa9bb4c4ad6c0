"""Log groups: encrypted, kept for a set time, named by region first, so that copies in one account stay apart."""

from cdktn_provider_aws.cloudwatch_log_group import CloudwatchLogGroup

from infra.constructs.policies import Statement
from infra.constructs.workspace import Workspace


class LogGroup:
    """`/<region>/<environment>/<what writes it>`."""

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
        """What a writer needs, and nothing more."""
        return f"{self.group.arn}:*"


def write_logs(group_arn: str) -> Statement:
    """Lets a task's agent write into one log group, which exists already."""
    return Statement(
        sid="WriteLogs", actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[f"{group_arn}:*"]
    )
