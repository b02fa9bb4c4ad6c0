"""`reap`: destroys the feature environments whose branches are gone."""

from typing import Annotated

import typer

from infra.environments import DEV
from infra.operate import destroy
from infra.operate.aws import account_of_caller
from infra.operate.console import announce, console, errors, reported, require_answer
from infra.operate.exceptions import Failed, Refused
from infra.operate.features import environment_of_branch
from infra.operate.options import DryRunOption, YesOption, environment_named, require_organisation
from infra.operate.request import Request, Verb
from infra.operate.site import Site
from infra.operate.state import standing_stacks
from infra.stacks import Stack


def reap(
    ctx: typer.Context,
    *,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="Living branches or environments; several in one, apart by space, or repeated."),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """List feature environments, and destroy those whose branch is gone.

    Without --keep it only lists them. With it, every feature environment that
    belongs to none of the branches named is destroyed, each as `destroy` does
    it: it asks for each name, unless you say --yes. Name all living branches,
    main too, so that the list is never empty by mistake:

    \b
    python -m infra.operate reap
    python -m infra.operate reap --dry-run --keep "main feat/login"
    python -m infra.operate reap --yes --keep "$(git ls-remote --heads origin |
                                                 sed 's|.*refs/heads/||')"

    One that cannot be destroyed does not keep the others; it is named at the
    end.

    Ends with 0 if none is left to destroy, 1 if one could not be, 2 if it was
    asked for wrongly or is refused, 130 if it was interrupted.
    """
    with reported():
        site = ctx.obj
        branches = [branch for each in keep or () for branch in each.split()]
        if keep and not branches:
            raise Refused("--keep names no branch; name main at least, so that an empty list is not a mistake")
        doing = bool(branches) and not dry_run
        if doing:
            require_organisation(site)
            require_answer(site, yes=yes)
        doomed = _doomed(_features(site, doing=doing), branches)
        if doing:
            _destroy(site, doomed, yes=yes)


def _features(site: Site, *, doing: bool) -> dict[str, list[Stack]]:
    """The feature environments that stand, and of each what does."""
    account = account_of_caller(site, DEV.home)
    what = "destroy feature environments" if doing else "list feature environments; change nothing"
    announce(site, account, what=what, whose=f"{DEV.name}, their host", regions=DEV.regions)
    standing: dict[str, list[Stack]] = {}
    found = standing_stacks(site, account, DEV.name, DEV.regions, lambda stack: stack.host == DEV.name)
    for stack in sorted(found, key=lambda stack: stack.key):
        standing.setdefault(stack.owner, []).append(stack)
    return standing


def _doomed(standing: dict[str, list[Stack]], branches: list[str]) -> list[str]:
    """Those that no branch keeps; says of each what becomes of it."""
    kept = {*branches, *map(environment_of_branch, branches)}
    if not standing:
        console.print("no feature environment stands")
    for name, stacks in standing.items():
        fate = "" if not branches else "kept: " if name in kept else "to be destroyed: "
        console.print(f"{name:<40}  {fate}{', '.join(stack.name for stack in stacks)}")
    return [name for name in standing if branches and name not in kept]


def _destroy(site: Site, names: list[str], *, yes: bool) -> None:
    """Raises Failed, once all have been tried, if some stand on."""
    left = []
    for name in names:
        try:
            request = Request(verb=Verb.DESTROY, environment=environment_named(name))
            destroy.carry_out(site, request, yes=yes)
        except (Failed, Refused) as error:
            errors.print(str(error), style="red")
            left.append(name)
    if left:
        raise Failed(f"not destroyed: {', '.join(left)}")
