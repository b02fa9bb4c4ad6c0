"""`orderctl freeze`: allow no deployment of a service until `orderctl continue`."""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer, of_freeze
from orderctl.commands.deployment.options import EnvOption, ServiceArgument, agreed
from orderctl.deploy.context import DeployContext
from orderctl.terminal import DryRunOption, Output, OutputOption, YesOption, errors, reported

LEFT = "it may be frozen; `orderctl status` says so"


def freeze(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to whoever wants to deploy.", show_default=False)],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Freeze the deployments of a service: none begins, and no paused one continues by itself.

    \b
    orderctl freeze order-api --env prod --reason "incident 42"
    orderctl continue order-api --env prod

    It stops no deployment that is under way: `abort` does. `rollback` still works.

    Exit codes: 0 it is frozen.
    """
    with reported(LEFT):
        context = DeployContext.open(env, service)
        if not agreed(context, f"freeze: {reason}", "Freeze deployments of the service?", dry_run=dry_run, yes=yes):
            return
        context.record("freeze", "-", reason)
        frozen = context.freeze(reason)
        errors.print("deployments are frozen until `orderctl continue`")
        answer(of_freeze(context, frozen), output)
