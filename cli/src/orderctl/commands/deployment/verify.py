"""`orderctl verify`: the preflight alone."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import UNCHANGED, EnvOption, ServiceArgument, announce
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.running import DeployOptions, report_preflight
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, reported


def verify(
    service: ServiceArgument,
    *,
    env: EnvOption,
    tag: Annotated[
        str | None, typer.Option("--tag", help="Tag or digest of the image to check; by default the live image.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check whether an image could be deployed now. Each check prints OK, SKIP or
    FAIL.

    \b
    orderctl verify order-api --env prod --tag sha-5d6e7f8

    Exit codes: 0 no check failed, 3 a check is marked FAIL.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        image = context.repository.get(tag or context.ref.live_tag)
        announce(context, f"verify {image.digest}")
        options = DeployOptions(
            auto=False, wait=False, dry_run=True, yes=True, reason=None, test_url=None, output=output
        )
        report_preflight(context, Report(context.record), image, options)
