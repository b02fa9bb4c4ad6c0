"""Changes of a service's stack, under the rules of `orderctl deploy`: its lock, freeze, checks and judgement."""

from collections.abc import Mapping
from typing import Any

from infra.operate.environment_plan import EnvironmentPlan
from infra.stacks import App, Stack
from order_operations.deployments.service_ref import ServiceRef
from orderctl.commands.deployment.external import change_service, remove_service
from orderctl.commands.deployment.running import DeployOptions
from orderctl.deploy.context import DeployContext

SERVICE = "aws_ecs_service"
DEPLOYED = (SERVICE, "aws_ecs_task_definition")
UNTOUCHED = (["no-op"], ["read"])
TAGS = frozenset({"tags", "tags_all"})


def apply_guarded(plan: EnvironmentPlan, stack: Stack, options: DeployOptions) -> None:
    """Plan a stack and apply it. If the plan touches a service or a task definition, obey the rules of deployments.

    Raises:
        DeploymentRefused: if they do not allow the change now. Nothing was changed.
        Failed: if Terraform fails, or the deployment that it caused does not succeed.
        Interrupted: after a signal.
        typer.Exit: if the deployment was not followed to its end.
    """
    terraform = plan.terraform
    with terraform.planned(stack, destroy=False):
        changes = [each for each in _changes(plan, stack) if each["type"] in DEPLOYED]
        if not changes:
            terraform.apply_plan(stack)
            return
        change_service(
            _context(plan, stack),
            options,
            lambda extend: terraform.apply_plan(stack, extend),
            what=f"terraform apply of {stack.name}",
            deploys=any(map(_deploys, changes)),
        )


def destroy_guarded(plan: EnvironmentPlan, stack: Stack) -> None:
    """Destroy a stack. For a service, hold its lock, and first roll back the deployment under way.

    Raises:
        Locked: if another operator deploys the service. Nothing was changed.
        Failed: if Terraform fails.
        Interrupted: after a signal.
        typer.Exit: if the rollback was not followed to its end.
    """
    if stack.app is not App.SERVICES:
        plan.terraform.apply(stack, destroy=True)
        return
    remove_service(
        _context(plan, stack),
        lambda extend: plan.terraform.apply(stack, destroy=True, meanwhile=extend),
        what=f"terraform destroy of {stack.name}",
        reason=plan.request.command(),
    )


def _changes(plan: EnvironmentPlan, stack: Stack) -> list[dict[str, Any]]:
    """Return the resources that the plan changes. Only the stacks of services have ECS services."""
    if stack.app is not App.SERVICES:
        return []
    return [each for each in plan.terraform.planned_changes(stack) if each["change"]["actions"] not in UNTOUCHED]


def _deploys(change: Mapping[str, Any]) -> bool:
    """Return whether a change starts a deployment: the provider forces one with every update except of tags."""
    if change["type"] != SERVICE or change["change"]["actions"] == ["delete"]:
        return False
    # A value that is known after the apply only is missing in `after`, and so differs.
    before, after = (change["change"].get(each) or {} for each in ("before", "after"))
    return any(before.get(name) != after.get(name) for name in {*before, *after} - TAGS)


def _context(plan: EnvironmentPlan, stack: Stack) -> DeployContext:
    return DeployContext(
        ref=ServiceRef(environment=stack.owner, kind=stack.kind),
        session=plan.account.session,
        region=stack.region,
        account=plan.account.id,
        actor=plan.account.caller,
        settings=plan.settings,
    )
