"""Resources that a destruction keeps on purpose, and a log group that AWS makes again."""

from collections.abc import Iterator
from typing import Any

from infra.environments import Environment
from infra.naming import insights_log_group
from infra.operate.environment_plan import EnvironmentPlan
from infra.stacks import SUPPORTING, Stack

DATA_KEY = "aws_kms_key.data_key"
"""Encrypts the tables, and so the backup that DynamoDB keeps of a deleted table."""

PROOF = "aws_route53_record.certificate_proof"
"""The same record in every region of an environment: a certificate is renewed only as long as it stands."""

BACKUP_DAYS = 35
"""Days for which DynamoDB keeps the last backup of a deleted table. A key that Terraform deletes ends after 30:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_beforeyoubegin.html"""


def kept(plan: EnvironmentPlan, stack: Stack) -> list[str]:
    """Return the addresses that stay when a stack goes."""
    if stack.kind != SUPPORTING or stack.is_feature:
        return []
    environment = plan.request.environment
    others = {each for each in plan.standing if each.owner == stack.owner and each.kind == SUPPORTING}
    addresses = [DATA_KEY] if _keeps_backups(environment) else []
    return addresses + ([PROOF] if others - {*plan.stacks} else [])


def left_behind(plan: EnvironmentPlan) -> Iterator[str]:
    """Yield what an operator may still want to do about what stays."""
    for stack in plan.stacks:
        if DATA_KEY in kept(plan, stack):
            yield (
                f"the key of {stack.owner}'s data in {stack.region} stays for {BACKUP_DAYS} days, as long as DynamoDB "
                "keeps the backups of the deleted tables. Then find it by its description, which names tables and "
                f"{stack.owner}, and end it: aws kms schedule-key-deletion --region {stack.region} --key-id …"
            )


def remove_insights_log(logs: Any, environment: Environment) -> None:
    """Delete the log group that Container Insights makes again while a cluster goes. The next one needs its name."""
    try:
        logs.delete_log_group(logGroupName=insights_log_group(environment.cluster))
    except logs.exceptions.ResourceNotFoundException:
        return


def _keeps_backups(environment: Environment) -> bool:
    return environment.stage == "prod"
