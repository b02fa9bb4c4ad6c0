"""`destroy`: destroy an environment and all its data."""

from typing import Annotated

import typer

from infra.environments import Environment
from infra.operate.conditions import require_nothing_above
from infra.operate.console import confirm
from infra.operate.context import OperateContext
from infra.operate.deployments import destroy_guarded
from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.image_tags import remove_image_tags, remove_images
from infra.operate.indexes import require_no_replica
from infra.operate.leftovers import kept, left_behind, remove_insights_log
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named, require_organisation
from infra.operate.plan import show_plans
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.stacks import REGISTRY, SUPPORTING, Stack
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, YesOption, errors, reported, require_answer


def destroy(
    ctx: typer.Context,
    *,
    env: EnvOption,
    only: OnlyOption = None,
    region: RegionOption = None,
    registry: Annotated[
        bool,
        typer.Option("--registry", help="Also destroy the images and CI's sign-in, which all environments share."),
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Destroy an environment, with its orders and all its other data.

    First it prints the stacks, the account and your identity, and asks you to type
    the environment's name. Then it works in the reverse order of `apply`: the
    services of every region, then the supporting stacks. The resources that all
    environments of the account share are kept, unless you add --registry.

    \b
    orderctl env destroy --env feat-login
    orderctl env destroy --env dev --dry-run
    orderctl env destroy --env dev --only services

    It is refused:

    \b
    for a `protected` environment: set protected=False in
      infra/environments.py, apply that, and then destroy;
    while another stack needs one of its stacks: services need their supporting
      stack, feature environments need dev, all environments need the registry.

    The key of prod's data is kept for 35 days, as long as the backups of the
    deleted tables; the command prints how to delete it. The DNS record of a
    certificate is kept while another region needs it.

    --region destroys a region that the environment leaves (`leaving_regions`), of a
    protected environment too, once the tables have no replica there.

    A deployment under way is rolled back first: during a pause or a bake, a service
    cannot be deleted. While another operator deploys a service, its destruction is
    refused.

    If an environment is partly destroyed, its remaining stacks are destroyed. If a
    stack fails, run the same command again. After Ctrl-C, Terraform ends its
    current step and writes its state; press it only once.

    --dry-run shows what would be destroyed. The state bucket is always kept.

    Exit codes: 0 nothing is left, 1 a stack failed, 2 usage, 3 refused or not
    confirmed, 130 interrupted.
    """
    with reported():
        environment = environment_named(env)
        request = Request(
            verb=Verb.DESTROY, environment=environment, only=only, region=region, registry=registry, dry_run=dry_run
        )
        destroy_environment(ctx.obj, request, yes=yes)


def destroy_environment(context: OperateContext, request: Request, *, yes: bool) -> None:
    """Destroy the stacks of a request; a dry run only shows what would be destroyed.

    Raises:
        Refused: if a stack is protected or still needed, or the operator does not confirm.
        Failed: if a stack cannot be destroyed.
        Interrupted: after a signal.
    """
    require_organisation(context)
    if not request.leaves:
        _require_unprotected(request.environment)
    if not request.dry_run:
        require_answer(yes=yes)
    plan = prepare(context, request)
    if not plan.stacks:
        errors.print("there is nothing to destroy")
        return
    if request.dry_run:
        show_plans(plan)
        return
    require_nothing_above(plan.stacks, plan.existing, request.environment)
    if request.leaves:
        first = request.environment.regions[0]
        require_no_replica(plan.account.client("dynamodb", first), request.environment, str(request.region))
    confirm(request.environment, yes=yes)
    in_turn(plan, plan.stacks, lambda stack: _destroy_one(plan, stack), done="destroyed")
    for line in left_behind(plan):
        errors.print(line, style="yellow")
    if request.environment.is_feature and request.only is None:
        for tag in remove_image_tags(plan.account, request.environment):
            errors.print(f"removed the tag {tag}", style="dim")


def _destroy_one(plan: EnvironmentPlan, stack: Stack) -> None:
    if stack.kind == REGISTRY:
        remove_images(plan.account.client("ecr", stack.region))
    plan.terraform.init(stack)
    if plan.request.leaves and stack.kind == SUPPORTING:
        plan.terraform.apply(stack, destroy=False)  # its resources are protected until this is applied
    for address in kept(plan, stack):
        plan.terraform.forget(stack, address)
    destroy_guarded(plan, stack)
    if stack.kind == SUPPORTING and not stack.is_feature:
        remove_insights_log(plan.account.client("logs", stack.region), plan.request.environment)


def _require_unprotected(environment: Environment) -> None:
    if environment.protected:
        raise Refused(
            f"{environment.name} is protected: its tables and load balancer cannot be deleted, and --yes does not "
            "change that. To destroy it, set protected=False in infra/environments.py, apply that, and then destroy"
        )
