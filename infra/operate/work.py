"""A request made ready: whose account, what stands there, which stacks in which order."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.environments import Environment
from infra.operate.aws import Account, account_of_caller
from infra.operate.console import announce, errors, span
from infra.operate.exceptions import Refused
from infra.operate.live import look
from infra.operate.request import Request, Verb
from infra.operate.site import Site
from infra.operate.state import standing_stacks
from infra.operate.synthesis import reads_of, synthesize
from infra.operate.terraform import Terraform, environ_of
from infra.stacks import Stack

INTENTIONS = {
    Verb.PLAN: "show what a deployment would change; change nothing",
    Verb.DEPLOY: "make what stands as the code says, one stack after the other",
    Verb.DESTROY: "destroy what stands, with all that it stores",
    Verb.OUTPUT: "print what the stacks publish",
}
DRY_INTENTIONS = {
    Verb.DEPLOY: INTENTIONS[Verb.PLAN],
    Verb.DESTROY: "show what would be destroyed; change nothing",
}


@dataclass(frozen=True)
class Work:
    request: Request
    stacks: tuple[Stack, ...]
    reads: Mapping[Stack, frozenset[Stack]]
    """Whose state each of them reads."""
    standing: frozenset[Stack]
    """Of all that the request concerns, whosever they are."""
    terraform: Terraform
    account: Account


def prepare(site: Site, request: Request) -> Work:
    """Says what will be done and to which account, then looks at what stands and writes the stacks anew.

    A destruction, and the outputs, are about what stands: other stacks are left out. Nothing is changed yet.

    Raises:
        Refused: if something that this needs is not there, or what stands must not be changed so.
        Failed: if the stacks cannot be written.
    """
    stacks = request.stacks()
    executable = site.terraform()
    environment = request.environment
    account = account_of_caller(site, environment.home)
    # A region that is down must not keep the others from being deployed; a destruction must know of everything.
    everywhere = (*environment.regions, *environment.leaving_regions)
    regions = everywhere if request.verb is Verb.DESTROY else _regions(stacks)
    announce(
        site,
        account,
        what=(DRY_INTENTIONS if request.dry_run else INTENTIONS)[request.verb],
        whose=environment.name,
        regions=_regions(stacks),
        stacks=[stack.name for stack in stacks],
    )
    standing = standing_stacks(site, account, environment.name, regions, request.concerns)
    if request.verb in (Verb.DESTROY, Verb.OUTPUT):
        stacks = _those_that_stand(stacks, standing)
    terraform = _terraform(site, account, environment.name, executable)
    options = look(account, environment, stacks, standing) if request.verb in (Verb.PLAN, Verb.DEPLOY) else ()
    _write(site, environment, terraform, stacks, options)
    reads = {stack: reads_of(terraform.folder_of(stack)) for stack in stacks}
    if further := set(_regions(other for read in reads.values() for other in read)) - set(regions):
        standing |= standing_stacks(site, account, environment.name, sorted(further), request.concerns)
    return Work(request, stacks, reads, standing, terraform, account)


def _terraform(site: Site, account: Account, environment: str, executable: str) -> Terraform:
    prefix = None if site.organisation.hcp_organisation else account.state_bucket_prefix
    plugins = site.root / ".local" / "terraform" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)  # Terraform refuses a folder that is not there
    return Terraform(
        executable=executable,
        folder=site.synthesized(environment),
        state_bucket_prefix=prefix,
        environ=environ_of(site.environ, prefix, plugins),
        colours=sys.stdout.isatty() and "NO_COLOR" not in site.environ,
    )


def _write(
    site: Site, environment: Environment, terraform: Terraform, stacks: Sequence[Stack], options: Sequence[str]
) -> None:
    """Raises Refused if a stack has a state that waits to be saved."""
    apps = list(dict.fromkeys(stack.app for stack in stacks))
    if apps:
        synthesis = synthesize(site, environment, terraform.folder, apps, options)
        errors.print(f"the stacks were written in {span(synthesis.seconds)}", style="dim")
    for stack in stacks:
        if lost := terraform.explain_lost_state(stack):
            raise Refused(lost)


def _regions(stacks: Iterable[Stack]) -> list[str]:
    return list(dict.fromkeys(stack.region for stack in stacks))


def _those_that_stand(stacks: Sequence[Stack], standing: frozenset[Stack]) -> tuple[Stack, ...]:
    gone = [stack for stack in stacks if stack not in standing]
    if gone:
        errors.print(f"nothing stands of {names(gone)}", style="dim")
    return tuple(stack for stack in stacks if stack in standing)


def names(stacks: Sequence[Stack]) -> str:
    return ", ".join(stack.name for stack in stacks) or "none"
