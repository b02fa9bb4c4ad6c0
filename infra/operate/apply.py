"""`apply`: create or change an environment."""

from typing import Annotated

import typer

from infra.operate.conditions import explain_unready, unready
from infra.operate.console import confirm
from infra.operate.deployments import apply_guarded
from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.leftovers import remove_insights_log
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named, require_organisation
from infra.operate.plan import show_plans
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.stacks import SUPPORTING, Stack
from orderctl.commands.deployment.options import DespiteOption
from orderctl.commands.deployment.running import DeployOptions
from orderctl.exceptions import Refused
from orderctl.terminal import (
    DryRunOption,
    Output,
    ReasonOption,
    YesOption,
    checked_reason,
    reported,
    require_answer,
)


def apply(
    ctx: typer.Context,
    *,
    env: EnvOption,
    only: OnlyOption = None,
    region: RegionOption = None,
    skip_registry: Annotated[
        bool, typer.Option("--skip-registry", help="Leave out the registry, which several environments share.")
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    despite: DespiteOption = None,
    reason: ReasonOption = None,
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

    A change of a service or its task definition obeys the rules of `orderctl
    deploy`: it is refused while deployments are frozen, while another operator
    changes the service or a deployment is under way, and if the traffic or the live
    tag is not in order. Then the deployment that it starts is followed to its end:
    green is tested, and traffic shifts (--yes) or you are asked. The apply fails if
    the deployment is rolled back. `--despite targets --reason …` repairs a service
    whose targets are unhealthy.

    \b
    orderctl env apply --env prod --only order-api --despite targets \\
        --reason "wrong setting"

    If a stack fails, the remaining stacks are not applied: fix the cause and run
    the same command again, which changes no finished stack. After Ctrl-C,
    Terraform ends its current step and writes its state; press it only once.

    --dry-run is the same as `plan`. Set ORDER_ACCOUNT_ID to refuse every other
    account.

    Exit codes: 0 done, 1 a stack or its deployment failed, 2 usage, 3 refused or
    not confirmed, 4 a deployment is paused, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        require_organisation(context)
        environment = environment_named(env)
        request = Request(
            verb=Verb.APPLY,
            environment=environment,
            only=only,
            region=region,
            skip_registry=skip_registry,
            dry_run=dry_run,
        )
        options = DeployOptions(
            auto=yes,
            wait=True,
            dry_run=False,
            yes=True,
            reason=checked_reason(reason, required=True) if despite else reason or request.command(),
            despite=frozenset(despite or ()),
            test_url=None,
            output=Output.TEXT,
        )
        if dry_run:
            show_plans(prepare(context, request))
            return
        require_answer(yes=yes)
        plan = prepare(context, request)
        _require_readable(plan)
        confirm(environment, yes=yes)
        in_turn(plan, plan.stacks, lambda stack: _apply_one(plan, stack, options), done="applied")


def _apply_one(plan: EnvironmentPlan, stack: Stack, options: DeployOptions) -> None:
    if stack.kind == SUPPORTING and not stack.is_feature and stack not in plan.existing:
        remove_insights_log(plan.account.client("logs", stack.region), plan.request.environment)
    plan.terraform.init(stack)
    apply_guarded(plan, stack, options)


def _require_readable(plan: EnvironmentPlan) -> None:
    """Raise Refused if a stack reads another one that neither exists nor is applied before it."""
    for stack, missing in unready(plan.stacks, plan.reads, plan.existing, in_turn=True).items():
        raise Refused(explain_unready(stack, missing, plan.request.environment))
