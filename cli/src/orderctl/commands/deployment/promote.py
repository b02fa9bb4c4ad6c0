"""`orderctl promote`: deploy the digest that one environment runs to the next one."""

from order_operations.deployments.service_ref import ServiceRef
from order_operations.deployments.status import failed_images, state_of
from orderctl.commands.deployment.options import (
    UNCHANGED,
    AutoOption,
    DespiteOption,
    ServiceArgument,
    SourceOption,
    TargetOption,
    TestUrlOption,
    WaitOption,
)
from orderctl.commands.deployment.running import DeployOptions, ship
from orderctl.deploy.context import DeployContext
from orderctl.exceptions import Refused
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, errors, reported


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
    despite: DespiteOption = None,
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
            raise Refused(f"--from and --to are the same environment: {to}. See `orderctl promote --help`")
        context = DeployContext.open(to, service)
        digest = _running_digest(context, source)
        options = DeployOptions(
            auto=auto,
            wait=wait,
            dry_run=dry_run,
            yes=yes,
            reason=reason,
            despite=frozenset(despite or ()),
            test_url=test_url,
            output=output,
        )
        ship(context, digest, options)


def _running_digest(context: DeployContext, source: str) -> str:
    """Return the digest that `source` runs. Raises Refused if it is deploying, has drift, or its image is unknown.

    If ECS reports no digest, because no task runs or the tag could not be resolved, the registry names the live tag's.
    """
    there = DeployContext(
        ref=ServiceRef(environment=source, kind=context.ref.kind),
        session=context.session,
        region=context.region,
        account=context.account,
        actor=context.actor,
    )
    state, place = state_of(there.fleet, there.repository), there.ref.place
    if state.under_way is not None:
        raise Refused(
            f"{source} has a deployment under way: {state.under_way.id}. `orderctl finish {place}` follows it"
        )
    if state.drift:
        raise Refused(f"{source} has drifted: {state.drift}")
    if state.running is not None:
        return state.running
    if state.live is None or state.live in failed_images(there.fleet):
        raise Refused(
            f"ECS reports no image of {source}, and {there.ref.live_tag} names none that was deployed: "
            f"`orderctl deploy {place} --tag …` deploys one"
        )
    errors.print(f"ECS reports no image of {source}: promoting the one that {there.ref.live_tag} points to")
    return state.live
