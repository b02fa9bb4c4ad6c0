"""`orderctl promote`: deploy the digest that one environment runs to the next one."""

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
    """Deploy the image that another environment runs: the same digest, not a new build.

    \b
    orderctl promote order-api --from uat --to prod --reason "release 1.4"

    Refused while the source environment has a deployment under way or drift: only
    a tested image is promoted. Both environments must be in one account and
    region. Options and exit codes are as for `deploy`.
    """
    with reported(UNCHANGED):
        if source == to:
            raise Refused(f"--from and --to are the same environment: {to}")
        context = DeployContext.open(to, service)
        digest = _running_digest(context, source)
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, digest, options)


def _running_digest(context: DeployContext, source: str) -> str:
    """Return the image digest that the environment `source` runs.

    Raises:
        Refused: if that environment has a deployment under way, has drift, or runs no task.
    """
    there = state_of(
        DeployContext(
            ref=ServiceRef(environment=source, kind=context.ref.kind),
            session=context.session,
            account=context.account,
            actor=context.actor,
        )
    )
    if there.under_way is not None:
        raise Refused(f"{source} has a deployment under way: {there.under_way.id}")
    if there.drift:
        raise Refused(f"{source} has drifted: {there.drift}")
    if there.running is None:
        raise Refused(f"{source} runs no task: there is no image to promote")
    return there.running
