"""`destroy`: destroy an environment, with all that it stores."""

from typing import Annotated

import typer

from infra.environments import Environment
from infra.operate.conditions import require_nothing_above
from infra.operate.console import confirm
from infra.operate.context import OperateContext
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
        typer.Option("--registry", help="The images, and CI's sign-in, which all environments share, too."),
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Destroy an environment, with its orders and all else that it stores.

    Says first what goes, in which account and as whom, and asks you to type the
    environment's name. Then it goes the way of `apply` backwards: the services
    of every region, then the supporting stacks. What the
    account has once for all its environments stays, unless you say --registry.

    \b
    orderctl env destroy --env feat-login
    orderctl env destroy --env dev --dry-run
    orderctl env destroy --env dev --only services

    It is refused

    \b
    for an environment that is `protected`: say protected=False in
      infra/environments.py, apply that, and then destroy;
    while something still stands on what is to go: services on their supporting
      stack, feature environments on dev, any environment on the registry.

    The key of prod's data stays for as long as the backups of its deleted
    tables, 35 days; it says how to end it. What proves a certificate's domain
    stays while another region needs it.

    A region that the environment leaves (`leaving_regions`) goes with --region,
    of a protected environment too, once the tables have no replica there.

    Of an environment that is half gone, what still stands goes. If a stack
    fails, give the same command again. Ctrl-C lets Terraform end what it has
    begun and write its state; press it once.

    With --dry-run it shows what would be destroyed. The state bucket stays in
    any case.

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
    """Destroy an environment. Raises Refused, Failed, Interrupted."""
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
    require_nothing_above(plan.stacks, plan.standing, request.environment)
    if request.leaves:
        first = request.environment.regions[0]
        require_no_replica(plan.account.client("dynamodb", first), request.environment, str(request.region))
    confirm(request.environment, yes=yes)
    in_turn(plan, plan.stacks, lambda stack: _destroy_one(plan, stack), done="destroyed")
    for line in left_behind(plan):
        errors.print(line, style="yellow")
    if request.environment.is_feature and request.only is None:
        for tag in remove_image_tags(plan.account, request.environment):
            errors.print(f"{tag} is taken off its image", style="dim")


def _destroy_one(plan: EnvironmentPlan, stack: Stack) -> None:
    if stack.kind == REGISTRY:
        remove_images(plan.account.client("ecr", stack.region))
    plan.terraform.init(stack)
    if plan.request.leaves and stack.kind == SUPPORTING:
        plan.terraform.apply(stack, destroy=False)  # it is protected until it is written otherwise
    for address in kept(plan, stack):
        plan.terraform.forget(stack, address)
    plan.terraform.apply(stack, destroy=True)
    if stack.kind == SUPPORTING and not stack.is_feature:
        remove_insights_log(plan.account.client("logs", stack.region), plan.request.environment)


def _require_unprotected(environment: Environment) -> None:
    if environment.protected:
        raise Refused(
            f"{environment.name} is protected: its tables and load balancer refuse to be deleted, and --yes does not "
            "change that. If it must go, say protected=False in infra/environments.py, apply that, and then destroy"
        )
