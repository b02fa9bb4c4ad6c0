"""`deploy`: makes what stands as the code says."""

import typer

from infra.operate.conditions import explain_unready, unready
from infra.operate.console import confirm, reported, require_answer
from infra.operate.exceptions import Refused
from infra.operate.leftovers import remove_insights_log
from infra.operate.options import (
    DryRunOption,
    EnvOption,
    OnlyOption,
    RegionOption,
    YesOption,
    environment_named,
    require_organisation,
)
from infra.operate.plan import show_plans
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.operate.work import Work, prepare
from infra.stacks import SUPPORTING, Stack


def deploy(
    ctx: typer.Context,
    *,
    env: EnvOption,
    only: OnlyOption = None,
    region: RegionOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Create or change an environment, so that it is as the code says.

    Says first what it will do, to which account and as whom, and asks you to
    type the environment's name. Then it takes one stack after the other: the
    registry, the supporting stacks, then order-api
    and order-processor of each region. Each is planned, and exactly that plan
    is applied.

    It ships no image: tasks run what stands under the tag `live-ENV`. In an
    empty account the registry has none yet: first --only supporting, then push
    the images, give them to the environment with `begin`, and go on with --only
    services.

    \b
    python -m infra.operate deploy --env dev --only supporting
    python -m infra.operate deploy --env dev --only services
    python -m infra.operate deploy --env feat-login --yes
    python -m infra.operate deploy --env prod --dry-run

    If a stack fails, the others wait: repair the cause and give the same
    command again, which leaves what is done as it is. Ctrl-C lets Terraform end
    what it has begun and write its state; press it once.

    With --dry-run it is `plan`. Set ORDER_ACCOUNT_ID to refuse any account but
    that one.

    Ends with 0 if all was done, 1 if a stack failed or you did not confirm, 2
    if it was asked for wrongly or is refused, 130 if it was interrupted.
    """
    with reported():
        site = ctx.obj
        require_organisation(site)
        environment = environment_named(env)
        request = Request(verb=Verb.DEPLOY, environment=environment, only=only, region=region, dry_run=dry_run)
        if dry_run:
            show_plans(prepare(site, request))
            return
        require_answer(site, yes=yes)
        work = prepare(site, request)
        _require_readable(work)
        confirm(environment, yes=yes)
        in_turn(work, work.stacks, lambda stack: _deploy_one(work, stack), done="deployed")


def _deploy_one(work: Work, stack: Stack) -> None:
    if stack.kind == SUPPORTING and not stack.is_feature and stack not in work.standing:
        remove_insights_log(work.account.client("logs", stack.region), work.request.environment)
    work.terraform.init(stack)
    work.terraform.carry_out(stack, destroy=False)


def _require_readable(work: Work) -> None:
    """Raises Refused if a stack reads what neither stands nor is deployed before it."""
    for stack, missing in unready(work.stacks, work.reads, work.standing, in_turn=True).items():
        raise Refused(explain_unready(stack, missing, work.request.environment))
