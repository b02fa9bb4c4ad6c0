"""`gc`: destroy the feature environments whose branch is deleted."""

import json
from typing import Annotated

import typer

from infra.environments import DEV
from infra.operate import destroy
from infra.operate.aws import account_of_caller
from infra.operate.console import announce
from infra.operate.context import OperateContext
from infra.operate.features import environment_of_branch
from infra.operate.options import environment_named, require_organisation
from infra.operate.request import Request, Verb
from infra.operate.state import existing_stacks
from infra.stacks import Stack
from orderctl.exceptions import Failed, Refused, UsageError
from orderctl.terminal import (
    DryRunOption,
    Output,
    OutputOption,
    YesOption,
    console,
    errors,
    reported,
    require_answer,
)


def gc(
    ctx: typer.Context,
    *,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="Existing branches or environments, separated by spaces; may be repeated."),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="Only this feature environment, if its branch is deleted.")
    ] = None,
    output: OutputOption = Output.TEXT,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """List feature environments, and destroy those whose branch is deleted.

    Without --keep it only lists them. With --keep, it destroys every feature
    environment of a branch that is not named, as `destroy` does; it asks for each
    environment's name, unless you add --yes. Name all existing branches, main too,
    so that the list is never empty by mistake:

    \b
    orderctl env gc
    orderctl env gc --dry-run --keep "main feat/login"
    orderctl env gc --yes --keep "$(git ls-remote --heads origin |
                                    sed 's|.*refs/heads/||')"

    --output json prints the names of those whose branch is deleted as an array.

    If one cannot be destroyed, the others still are; it is named at the end.

    Exit codes: 0 none is left to destroy, 1 one could not be destroyed, 2 usage,
    3 refused, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        branches = [branch for each in keep or () for branch in each.split()]
        if keep and not branches:
            raise UsageError("--keep names no branch: name at least main, so that an empty list cannot be a mistake")
        doing = bool(branches) and not dry_run
        if doing:
            require_organisation(context)
            require_answer(yes=yes)
        doomed = _doomed(_features(context, doing=doing, only=env), branches, output)
        if output is Output.JSON:
            typer.echo(json.dumps(doomed))
        if doing:
            _destroy(context, doomed, yes=yes)


def _features(context: OperateContext, *, doing: bool, only: str | None) -> dict[str, list[Stack]]:
    """Return the stacks of the existing feature environments, by environment."""
    account = account_of_caller(context, DEV.home)
    what = "destroy feature environments" if doing else "list feature environments; change nothing"
    announce(context, account, what=what, whose=f"{DEV.name}, the host of feature environments", regions=DEV.regions)
    existing: dict[str, list[Stack]] = {}
    found = existing_stacks(
        context,
        account,
        DEV.name,
        DEV.regions,
        lambda stack: stack.host == DEV.name and only in (None, stack.owner),
    )
    for stack in sorted(found, key=lambda stack: stack.key):
        existing.setdefault(stack.owner, []).append(stack)
    return existing


def _doomed(existing: dict[str, list[Stack]], branches: list[str], output: Output) -> list[str]:
    """Print each environment, and return those whose branch is not in `branches`; none if `branches` is empty."""
    kept = {*branches, *map(environment_of_branch, branches)}
    shown = errors if output is Output.JSON else console
    if not existing:
        shown.print("there are no feature environments")
    for name, stacks in existing.items():
        fate = "" if not branches else "kept: " if name in kept else "to be destroyed: "
        shown.print(f"{name:<40}  {fate}{', '.join(stack.name for stack in stacks)}")
    return [name for name in existing if branches and name not in kept]


def _destroy(context: OperateContext, names: list[str], *, yes: bool) -> None:
    """Destroy the environments. Continue after a failure, and raise Failed at the end if one is left."""
    left = []
    for name in names:
        try:
            request = Request(verb=Verb.DESTROY, environment=environment_named(name))
            destroy.destroy_environment(context, request, yes=yes)
        except (Failed, Refused) as error:
            errors.print(str(error), style="red")
            left.append(name)
    if left:
        raise Failed(f"not destroyed: {', '.join(left)}")
