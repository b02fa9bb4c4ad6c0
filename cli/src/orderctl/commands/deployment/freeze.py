"""`orderctl freeze`: block deployments of a service until `orderctl continue`."""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer, of_freeze
from orderctl.commands.deployment.options import EnvOption, ServiceArgument, agreed
from orderctl.deploy.context import DeployContext
from orderctl.terminal import DryRunOption, Output, OutputOption, YesOption, errors, reported

LEFT = "deployments may be frozen: check with `orderctl status`"


def freeze(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, shown to anyone who tries to deploy.", show_default=False)
    ],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Freeze the deployments of a service: none starts, and a paused one needs `orderctl continue`.

    \b
    orderctl freeze order-api --env prod --reason "incident 42"
    orderctl continue order-api --env prod

    A deployment under way is not stopped: use `abort`. `rollback` still works.

    Exit codes: 0 frozen.
    """
    with reported(LEFT):
        context = DeployContext.open(env, service)
        if not agreed(context, f"freeze: {reason}", "Freeze deployments of the service?", dry_run=dry_run, yes=yes):
            return
        context.record("freeze", "-", reason)
        frozen = context.freeze(reason)
        errors.print("deployments are frozen until `orderctl continue`")
        answer(of_freeze(context, frozen), output)
