"""Resources that a destruction keeps on purpose, and removal of a log group that AWS creates again."""

from collections.abc import Iterator
from typing import Any

from infra.environments import Environment
from infra.naming import insights_log_group
from infra.operate.environment_plan import EnvironmentPlan
from infra.stacks import SUPPORTING, Stack

DATA_KEY = "aws_kms_key.data_key"
"""Terraform address of the key of the tables. It also encrypts the backups that DynamoDB keeps of deleted tables."""

PROOF = "aws_route53_record.certificate_proof"
"""Terraform address of the DNS record that validates the certificates. All regions of an environment use the same
record, and a certificate is renewed only while it exists."""

BACKUP_DAYS = 35
"""Days for which DynamoDB keeps the last backup of a deleted table. A key that Terraform deletes exists for only 30:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_beforeyoubegin.html"""


def kept(plan: EnvironmentPlan, stack: Stack) -> list[str]:
    """Return the Terraform addresses of the resources that are kept when a stack is destroyed."""
    if stack.kind != SUPPORTING or stack.is_feature:
        return []
    environment = plan.request.environment
    others = {each for each in plan.existing if each.owner == stack.owner and each.kind == SUPPORTING}
    addresses = [DATA_KEY] if _keeps_backups(environment) else []
    return addresses + ([PROOF] if others - {*plan.stacks} else [])


def left_behind(plan: EnvironmentPlan) -> Iterator[str]:
    """Yield a line for each kept data key: how long to keep it, and how to delete it afterwards."""
    for stack in plan.stacks:
        if DATA_KEY in kept(plan, stack):
            yield (
                f"keep the key of {stack.owner}'s data in {stack.region} for {BACKUP_DAYS} days, as long as DynamoDB "
                "keeps the backups of the deleted tables. Then find it by its description, which names tables and "
                f"{stack.owner}, and delete it: aws kms schedule-key-deletion --region {stack.region} --key-id …"
            )


def remove_insights_log(logs: Any, environment: Environment) -> None:
    """Delete the log group that Container Insights creates again while a cluster is destroyed.

    Otherwise the stack could not create a log group with this name again.
    """
    try:
        logs.delete_log_group(logGroupName=insights_log_group(environment.cluster))
    except logs.exceptions.ResourceNotFoundException:
        return


def _keeps_backups(environment: Environment) -> bool:
    return environment.stage == "prod"
