"""`orderctl pause`: nobody deploys the service, until somebody says `orderctl continue`."""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer, of_pause
from orderctl.commands.deployment.options import (
    DryRunOption,
    EnvOption,
    JsonOption,
    ServiceArgument,
    YesOption,
    agreed,
    reported,
)
from orderctl.deploy.site import Site
from orderctl.terminal import errors

LEFT = "it may be paused; `orderctl status` says so"


def pause(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[str, typer.Option("--reason", help="What whoever wants to deploy is told.", show_default=False)],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a service as it is: no deployment begins, and none that waits goes on by itself.

    \b
    orderctl pause order-api --env prod --reason "incident 42"
    orderctl continue order-api --env prod

    What is under way is not stopped: `abort` does that. `rollback` goes on all the same, since it leads back.

    Exit codes: 0 it is paused.
    """
    with reported(LEFT):
        site = Site.open(env, service)
        if not agreed(site, f"pause: {reason}", "keep it from being deployed?", dry_run=dry_run, yes=yes):
            return
        site.audit.record("pause", reason)
        paused = site.pause(reason)
        errors.print("nobody deploys it until `orderctl continue`")
        answer(of_pause(site, paused), as_json=as_json)
