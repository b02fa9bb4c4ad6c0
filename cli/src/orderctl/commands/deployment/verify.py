"""`orderctl verify`: the preflight alone."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import UNCHANGED, EnvOption, ServiceArgument, announce
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.running import look
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, reported


def verify(
    service: ServiceArgument,
    *,
    env: EnvOption,
    tag: Annotated[
        str | None, typer.Option("--tag", help="The image to look at; the one that is live, if not given.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Look whether an image could be deployed now: OK, SKIP or FAIL for each thing
    that must hold.

    \b
    orderctl verify order-api --env prod --tag sha-5d6e7f8

    Exit codes: 0 it could, 3 something is FAIL.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        image = context.repository.get(tag or context.ref.live_tag)
        announce(context, f"verify {image.digest}")
        look(context, Report(context.record), image, output=output)
