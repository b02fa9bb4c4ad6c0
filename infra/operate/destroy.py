"""`destroy`: takes an environment away, with all that it stores."""

from typing import Annotated

import typer

from infra.environments import Environment
from infra.operate.conditions import require_nothing_above
from infra.operate.console import confirm, errors, reported, require_answer
from infra.operate.exceptions import Refused
from infra.operate.image_tags import remove_image_tags, remove_images
from infra.operate.indexes import require_no_replica
from infra.operate.leftovers import kept, left_behind, remove_insights_log
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
from infra.operate.site import Site
from infra.operate.work import Work, prepare
from infra.stacks import REGISTRY, SUPPORTING, Stack


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
    environment's name. Then it goes the way of `deploy` backwards: the services
    of every region, then the supporting stacks. What the
    account has once for all its environments stays, unless you say --registry.

    \b
    python -m infra.operate destroy --env feat-login
    python -m infra.operate destroy --env dev --dry-run
    python -m infra.operate destroy --env dev --only services

    It is refused

    \b
    for an environment that is `protected`: say protected=False in
      infra/environments.py, deploy that, and then destroy;
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

    Ends with 0 if nothing is left, 1 if a stack failed or you did not confirm,
    2 if it was asked for wrongly or is refused, 130 if it was interrupted.
    """
    with reported():
        environment = environment_named(env)
        request = Request(
            verb=Verb.DESTROY, environment=environment, only=only, region=region, registry=registry, dry_run=dry_run
        )
        carry_out(ctx.obj, request, yes=yes)


def carry_out(site: Site, request: Request, *, yes: bool) -> None:
    """Raises Refused, Failed, Interrupted."""
    require_organisation(site)
    if not request.leaves:
        _require_unprotected(request.environment)
    if not request.dry_run:
        require_answer(site, yes=yes)
    work = prepare(site, request)
    if not work.stacks:
        errors.print("there is nothing to destroy")
        return
    if request.dry_run:
        show_plans(work)
        return
    require_nothing_above(work.stacks, work.standing, request.environment)
    if request.leaves:
        first = request.environment.regions[0]
        require_no_replica(work.account.client("dynamodb", first), request.environment, str(request.region))
    confirm(request.environment, yes=yes)
    in_turn(work, work.stacks, lambda stack: _destroy_one(work, stack), done="destroyed")
    for line in left_behind(work):
        errors.print(line, style="yellow")
    if request.environment.is_feature and request.only is None:
        for tag in remove_image_tags(work.account, request.environment):
            errors.print(f"{tag} is taken off its image", style="dim")


def _destroy_one(work: Work, stack: Stack) -> None:
    if stack.kind == REGISTRY:
        remove_images(work.account.ecr(stack.region))
    work.terraform.init(stack)
    if work.request.leaves and stack.kind == SUPPORTING:
        work.terraform.carry_out(stack, destroy=False)  # it is protected until it is written otherwise
    for address in kept(work, stack):
        work.terraform.forget(stack, address)
    work.terraform.carry_out(stack, destroy=True)
    if stack.kind == SUPPORTING and not stack.is_feature:
        remove_insights_log(work.account.client("logs", stack.region), work.request.environment)


def _require_unprotected(environment: Environment) -> None:
    if environment.protected:
        raise Refused(
            f"{environment.name} is protected: its tables and load balancer refuse to be deleted, and --yes does not "
            "change that. If it must go, say protected=False in infra/environments.py, deploy that, and then destroy"
        )
