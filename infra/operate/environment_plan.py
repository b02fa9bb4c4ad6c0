"""Plan of a verb: the account, the stacks in their order, and which of all stacks stand."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.environments import Environment
from infra.operate.aws import Account, account_of_caller
from infra.operate.console import announce, span
from infra.operate.context import OperateContext
from infra.operate.live import look
from infra.operate.request import Request, Verb
from infra.operate.state import standing_stacks
from infra.operate.synthesis import reads_of, synthesize
from infra.operate.terraform import Terraform, environ_of
from infra.stacks import Stack
from orderctl.exceptions import Refused
from orderctl.terminal import errors

INTENTIONS = {
    Verb.PLAN: "show what `apply` would change; change nothing",
    Verb.APPLY: "make what stands as the code says, one stack after the other",
    Verb.DESTROY: "destroy what stands, with all that it stores",
    Verb.OUTPUTS: "print what the stacks publish",
}
DRY_INTENTIONS = {
    Verb.APPLY: INTENTIONS[Verb.PLAN],
    Verb.DESTROY: "show what would be destroyed; change nothing",
}


@dataclass(frozen=True)
class EnvironmentPlan:
    request: Request
    stacks: tuple[Stack, ...]
    reads: Mapping[Stack, frozenset[Stack]]
    """Stacks whose state each of them reads."""
    standing: frozenset[Stack]
    """Stacks that stand, of all that the request concerns, whoever owns them."""
    terraform: Terraform
    account: Account


def prepare(context: OperateContext, request: Request) -> EnvironmentPlan:
    """Announce the action and the account, read which stacks stand, and write the stacks anew.

    A destruction, and the outputs, are about what stands: other stacks are left out. Nothing is changed yet.

    Raises:
        Refused: if something that this needs is not there, or what stands must not be changed so.
        Failed: if the stacks cannot be written.
    """
    stacks = request.stacks()
    executable = context.terraform()
    environment = request.environment
    account = account_of_caller(context, environment.home)
    # A region that is down must not keep the others from being deployed; a destruction must know of everything.
    everywhere = (*environment.regions, *environment.leaving_regions)
    regions = everywhere if request.verb is Verb.DESTROY else _regions(stacks)
    announce(
        context,
        account,
        what=(DRY_INTENTIONS if request.dry_run else INTENTIONS)[request.verb],
        whose=environment.name,
        regions=_regions(stacks),
        stacks=[stack.name for stack in stacks],
    )
    standing = standing_stacks(context, account, environment.name, regions, request.concerns)
    if request.verb in (Verb.DESTROY, Verb.OUTPUTS):
        stacks = _those_that_stand(stacks, standing)
    terraform = _terraform(context, account, environment.name, executable)
    options = look(account, environment, stacks, standing) if request.verb in (Verb.PLAN, Verb.APPLY) else ()
    _write(context, environment, terraform, stacks, options)
    reads = {stack: reads_of(terraform.folder_of(stack)) for stack in stacks}
    if further := set(_regions(other for read in reads.values() for other in read)) - set(regions):
        standing |= standing_stacks(context, account, environment.name, sorted(further), request.concerns)
    return EnvironmentPlan(request, stacks, reads, standing, terraform, account)


def _terraform(context: OperateContext, account: Account, environment: str, executable: str) -> Terraform:
    prefix = None if context.organisation.hcp_organisation else account.state_bucket_prefix
    plugins = context.root / ".local" / "terraform" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)  # Terraform refuses a folder that is not there
    return Terraform(
        executable=executable,
        folder=context.synthesized(environment),
        state_bucket_prefix=prefix,
        environ=environ_of(context.environ, prefix, plugins),
        colours=sys.stdout.isatty() and "NO_COLOR" not in context.environ,
    )


def _write(
    context: OperateContext,
    environment: Environment,
    terraform: Terraform,
    stacks: Sequence[Stack],
    options: Sequence[str],
) -> None:
    """Write the stacks. Raises Refused if one has a state that waits to be saved."""
    apps = list(dict.fromkeys(stack.app for stack in stacks))
    if apps:
        synthesis = synthesize(context, environment, terraform.folder, apps, options)
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
