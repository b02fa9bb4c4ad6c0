"""The end of stacks, and a feature environment that comes again under its name.

What Terraform removes last is what the others still need; what is protected refuses to go; and no name stays taken.
"""

import re
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
import yaml

from tests.infra.containers import containers
from tests.infra.planning.order import waits
from tests.infra.planning.plan import plan
from tests.infra.policies import Statement, statements_of
from tests.infra.synthesis import FEATURE, ROOT, Stack, every, none, of_kind, stacks

HOUR = 3600

NAMES = ("alarm_name", "dashboard_name", "family", "name")
"""Arguments that name a resource within its account and region."""

FREED = {
    "aws_appautoscaling_policy": "with the target, which is deregistered",
    "aws_cloudwatch_log_group": "at once, and nothing that we let write makes it again",
    "aws_cloudwatch_log_metric_filter": "with its log group",
    "aws_cloudwatch_metric_alarm": "at once",
    "aws_dynamodb_table": "when the provider has waited for its end: internal/service/dynamodb/table.go",
    "aws_ecs_service": "when the provider has waited until it is INACTIVE: internal/service/ecs/service.go",
    "aws_ecs_task_definition": "never taken: a family goes on with its next revision",
    "aws_iam_role": "at once",
    "aws_iam_role_policy": "with its role",
    "aws_lb_target_group": "at once, and its rule goes before it",
    "aws_pipes_pipe": "when the provider has waited for its end: internal/service/pipes/pipe.go",
    "aws_secretsmanager_secret": "at once without a recovery window, and the provider tries again until it is: "
    "internal/service/secretsmanager/secret.go",
    "aws_sns_topic": "at once",
    "aws_sqs_queue": "after 60 s, which the provider waits for: internal/service/sqs/queue.go",
}
"""The time at which a removed name is free again, for each type of a feature environment that has a fixed name."""

AWS_WRITES = ("/aws/*", "aws-waf-logs-*")
"""Log groups that AWS's services write to by their name, and may make again."""


def destroyed(stack: Stack) -> dict[str, set[str]]:
    """Return what each step of a destruction waits for."""
    return waits(plan(stack, replace(stack, body={**stack.body, "resource": {}, "output": {}})))


@pytest.mark.parametrize("kind", ["order-api", "order-processor", "order-notifier"])
def test_the_rules_of_a_group_outlive_its_service(kind: str) -> None:
    """Row 26. Tasks that drain still call DynamoDB, the queue and the payment provider."""
    for stack in of_kind(kind):
        waiting = destroyed(stack)
        kinds = (f"aws_vpc_security_group_{way}_rule" for way in ("ingress", "egress"))
        rules = [rule.address for kind_of_rule in kinds for rule in stack.resources(kind_of_rule)]
        assert rules, str(stack)
        for address in rules:
            assert "remove aws_ecs_service.service" in waiting[f"remove {address}"], f"{stack}: {address}"


def test_whatever_stands_can_be_destroyed_in_one_go() -> None:
    for stack in stacks():
        assert len(destroyed(stack)) == len(stack.resources()), str(stack)


def test_plans_need_no_rights_of_cloud_control() -> None:
    """Row 27. It reads types of CloudFormation, which `ci-plan` may not; nothing is made by it any more."""
    none(str(each) for each in every("aws_iam_role_policy") for part in statements_of(each) if _is_cloud_control(part))
    assert not [each for stack in stacks() for each in stack.resources("aws_cloudcontrolapi_resource")]


def _is_cloud_control(statement: Statement) -> bool:
    return any(action.startswith(("cloudformation:", "cloudcontrolapi:")) for action in statement.actions)


def test_a_session_that_deploys_outlives_the_deployment() -> None:
    """Row 27. ECR scans for ten minutes and a task starts in four; then tests, the bake, and 30 minutes to go back."""
    for role in every("aws_iam_role"):
        if role.name.startswith("ci_") and role.name != "ci_plan_role":
            bake = role.stack.environment.deployment.bake_minutes
            assert role["max_session_duration"] == 2 * HOUR >= (10 + 4 + 5 + bake + 30) * 60, str(role)
    action = yaml.safe_load((ROOT / ".github" / "actions" / "sign-in" / "action.yml").read_text())
    (duration,) = [step["with"]["role-duration-seconds"] for step in action["runs"]["steps"]]
    assert re.sub(r"\s+", " ", duration) == "${{ inputs.role == 'plan' && '3600' || '7200' }}"


def test_the_keys_of_a_protected_environment_refuse_to_go() -> None:
    """Row 28. Whatever a key encrypts goes with it."""
    for key in every("aws_kms_key"):
        protected = key.stack.kind == "supporting" and key.stack.environment.protected
        assert key["lifecycle"]["prevent_destroy"] is protected, str(key)
        assert key["deletion_window_in_days"] == 30, str(key)


def test_no_replacement_takes_the_images() -> None:
    """Row 28. `destroy --registry` takes them, and nothing else does."""
    none(str(repository) for repository in every("aws_ecr_repository") if repository.get("force_delete"))


def test_each_name_of_a_feature_environment_is_free_again() -> None:
    found = {
        resource.kind
        for stack in stacks()
        if stack.variant == FEATURE
        for resource in stack.resources()
        if any(name in resource.body for name in NAMES)
    }
    assert found == FREED.keys()


def test_no_secret_of_a_feature_environment_waits_for_its_end() -> None:
    """A secret in its recovery window holds its name for up to 30 days."""
    for secret in every("aws_secretsmanager_secret", where=lambda stack: stack.variant == FEATURE):
        assert secret["recovery_window_in_days"] == 0, str(secret)


def test_no_log_group_of_a_feature_environment_comes_back() -> None:
    """Neither by AWS's own services nor by ours: their writers may not make one."""
    for group in every("aws_cloudwatch_log_group", where=lambda stack: stack.variant == FEATURE):
        assert not [pattern for pattern in AWS_WRITES if fnmatchcase(group["name"], pattern)], str(group)
    for container in containers():
        assert "awslogs-create-group" not in container.body["logConfiguration"]["options"], str(container)


def test_no_writer_may_make_a_log_group() -> None:
    none(
        f"{policy}: {statement.sid}"
        for policy in every("aws_iam_role_policy")
        if not policy.name.startswith("ci_")
        for statement in statements_of(policy)
        if statement.allows and any(fnmatchcase("logs:CreateLogGroup", action) for action in statement.actions)
    )


def test_a_container_definition_has_no_empty_entry() -> None:
    """Row 16. ECS drops an entry without a value: each plan would register the task anew, and start a deployment."""
    none(
        f"{container}: {entry['name']} is empty"
        for container in containers()
        for kind in ("environment", "secrets")
        for entry in container.body[kind]
        if not all(entry.values())
    )
