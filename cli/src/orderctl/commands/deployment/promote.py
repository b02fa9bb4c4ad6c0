"""`orderctl promote`: what one environment runs becomes what the next runs, by the same digest."""

from orderctl.commands.deployment.options import (
    UNCHANGED,
    AutoOption,
    ServiceArgument,
    SourceOption,
    TargetOption,
    TestUrlOption,
    WaitOption,
)
from orderctl.commands.deployment.running import DeployOptions, ship
from orderctl.deploy.context import DeployContext
from orderctl.deploy.service_ref import ServiceRef
from orderctl.deploy.status import state_of
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, reported


def promote(
    service: ServiceArgument,
    *,
    source: SourceOption,
    to: TargetOption,
    auto: AutoOption = False,
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reason: ReasonOption = None,
    test_url: TestUrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Deploy what another environment runs: the same digest, never built again.

    \b
    orderctl promote order-api --from uat --to prod --reason "release 1.4"

    Refused while the first one deploys, or runs another image than its tag
    means: only what was tested goes on. Both environments are of one account
    and region. Otherwise it is `deploy`, exit codes too.
    """
    with reported(UNCHANGED):
        if source == to:
            raise Refused(f"{to} runs what {to} runs")
        context = DeployContext.open(to, service)
        digest = _running(context, source)
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, digest, options)


def _running(context: DeployContext, source: str) -> str:
    """Return the running digest. Raises Refused if there are two, or the tag means another."""
    there = state_of(
        DeployContext(
            ref=ServiceRef(environment=source, kind=context.ref.kind),
            session=context.session,
            account=context.account,
            actor=context.actor,
        )
    )
    if there.under_way is not None:
        raise Refused(f"{source} is being deployed: {there.under_way.id}")
    if there.drift:
        raise Refused(f"{source} has drifted: {there.drift}")
    if there.running is None:
        raise Refused(f"{source} runs nothing that could be promoted")
    return there.running
