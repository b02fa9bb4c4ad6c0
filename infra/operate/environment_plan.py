"""Plan of a command: the account, the stacks to process in order, and the stacks that exist."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.environments import Environment
from infra.operate.aws import Account, account_of_caller
from infra.operate.console import announce, span
from infra.operate.context import OperateContext
from infra.operate.live import check_live
from infra.operate.request import Request, Verb
from infra.operate.state import existing_stacks
from infra.operate.synthesis import reads_of, synthesize
from infra.operate.terraform import Terraform, environ_of
from infra.stacks import Stack
from orderctl.exceptions import Refused
from orderctl.settings import DeploySettings, load_settings
from orderctl.terminal import errors

INTENTIONS = {
    Verb.PLAN: "show what `apply` would change; change nothing",
    Verb.APPLY: "create the environment or change it to match the code, one stack after the other",
    Verb.DESTROY: "destroy the existing stacks and all their data",
    Verb.UNLOCK: "release the locks that killed runs have left on the states of the stacks",
    Verb.OUTPUTS: "print the outputs of the stacks",
}
DRY_INTENTIONS = {
    Verb.APPLY: INTENTIONS[Verb.PLAN],
    Verb.DESTROY: "show what would be destroyed; change nothing",
    Verb.UNLOCK: "show the locks of the states; change nothing",
}


@dataclass(frozen=True)
class EnvironmentPlan:
    request: Request
    stacks: tuple[Stack, ...]
    reads: Mapping[Stack, frozenset[Stack]]
    """For each stack, the stacks whose state it reads."""
    existing: frozenset[Stack]
    """Existing stacks on which the request depends, of all owners."""
    terraform: Terraform
    account: Account
    settings: DeploySettings


def prepare(context: OperateContext, request: Request) -> EnvironmentPlan:
    """Announce the action and the account, find the existing stacks, and synthesize the requested ones.

    `destroy` and `outputs` leave out stacks that do not exist. Nothing is changed in AWS.

    Raises:
        Refused: if a prerequisite is missing, or the change would stop running services.
        Failed: if the stacks cannot be synthesized.
    """
    stacks = request.stacks()
    executable = context.terraform()
    environment = request.environment
    account = account_of_caller(context, environment.home)
    # A region that is down must not block changes in other regions. Only a destruction must know the stacks of all.
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
    existing = existing_stacks(context, account, environment.name, regions, request.concerns)
    if request.verb in (Verb.DESTROY, Verb.OUTPUTS):
        stacks = _existing(stacks, existing)
    terraform = _terraform(context, account, environment.name, executable)
    options = check_live(account, environment, stacks, existing) if request.verb in (Verb.PLAN, Verb.APPLY) else ()
    _write(context, environment, terraform, stacks, options)
    reads = {stack: reads_of(terraform.folder_of(stack)) for stack in stacks}
    if further := set(_regions(other for read in reads.values() for other in read)) - set(regions):
        existing |= existing_stacks(context, account, environment.name, sorted(further), request.concerns)
    settings = load_settings(DeploySettings, context.environ)
    return EnvironmentPlan(request, stacks, reads, existing, terraform, account, settings)


def _terraform(context: OperateContext, account: Account, environment: str, executable: str) -> Terraform:
    prefix = None if context.organisation.hcp_organisation else account.state_bucket_prefix
    plugins = context.root / ".local" / "terraform" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)  # Terraform refuses a missing folder
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
    """Synthesize the stacks. Raises Refused if Terraform could not save the state of one in an earlier run."""
    apps = list(dict.fromkeys(stack.app for stack in stacks))
    if apps:
        synthesis = synthesize(context, environment, terraform.folder, apps, options)
        errors.print(f"the stacks were written in {span(synthesis.seconds)}", style="dim")
    for stack in stacks:
        if lost := terraform.explain_lost_state(stack):
            raise Refused(lost)


def _regions(stacks: Iterable[Stack]) -> list[str]:
    return list(dict.fromkeys(stack.region for stack in stacks))


def _existing(stacks: Sequence[Stack], existing: frozenset[Stack]) -> tuple[Stack, ...]:
    gone = [stack for stack in stacks if stack not in existing]
    if gone:
        errors.print(f"these stacks do not exist: {names(gone)}", style="dim")
    return tuple(stack for stack in stacks if stack in existing)


def names(stacks: Sequence[Stack]) -> str:
    return ", ".join(stack.name for stack in stacks) or "none"
