"""`apply`: create or change an environment."""

import typer

from infra.operate.conditions import explain_unready, unready
from infra.operate.console import confirm
from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.leftovers import remove_insights_log
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named, require_organisation
from infra.operate.plan import show_plans
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.stacks import SUPPORTING, Stack
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, YesOption, reported, require_answer


def apply(
    ctx: typer.Context,
    *,
    env: EnvOption,
    only: OnlyOption = None,
    region: RegionOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Create an environment, or change it to match the code.

    First it prints the action, the account and your identity, and asks you to type
    the environment's name. Then it applies one stack after the other: the
    registry, the supporting stacks, then order-api and order-processor of each
    region. Each stack is planned, and exactly that plan is applied.

    It ships no image: tasks run the image with the tag `live-ENV`. In an empty
    account the registry has no image yet: apply --only supporting, push the
    images, run `init`, then apply --only services.

    \b
    orderctl env apply --env dev --only supporting
    orderctl env apply --env dev --only services
    orderctl env apply --env feat-login --yes
    orderctl env apply --env prod --dry-run

    If a stack fails, the remaining stacks are not applied: fix the cause and run
    the same command again, which changes no finished stack. After Ctrl-C,
    Terraform ends its current step and writes its state; press it only once.

    --dry-run is the same as `plan`. Set ORDER_ACCOUNT_ID to refuse every other
    account.

    Exit codes: 0 done, 1 a stack failed, 2 usage, 3 refused or not confirmed, 130
    interrupted.
    """
    with reported():
        context = ctx.obj
        require_organisation(context)
        environment = environment_named(env)
        request = Request(verb=Verb.APPLY, environment=environment, only=only, region=region, dry_run=dry_run)
        if dry_run:
            show_plans(prepare(context, request))
            return
        require_answer(yes=yes)
        plan = prepare(context, request)
        _require_readable(plan)
        confirm(environment, yes=yes)
        in_turn(plan, plan.stacks, lambda stack: _apply_one(plan, stack), done="applied")


def _apply_one(plan: EnvironmentPlan, stack: Stack) -> None:
    if stack.kind == SUPPORTING and not stack.is_feature and stack not in plan.existing:
        remove_insights_log(plan.account.client("logs", stack.region), plan.request.environment)
    plan.terraform.init(stack)
    plan.terraform.apply(stack, destroy=False)


def _require_readable(plan: EnvironmentPlan) -> None:
    """Raise Refused if a stack reads another one that neither exists nor is applied before it."""
    for stack, missing in unready(plan.stacks, plan.reads, plan.existing, in_turn=True).items():
        raise Refused(explain_unready(stack, missing, plan.request.environment))
