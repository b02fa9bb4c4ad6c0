"""`orderctl wait`: until a deployment has come to a stage, or to its end."""

from typing import Annotated

import typer

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, of_deployment
from orderctl.commands.deployment.options import EnvOption, ServiceArgument, announce
from orderctl.commands.deployment.report import Report
from orderctl.deploy.context import DeployContext
from orderctl.deploy.fleet import Deployment, Stage, Status
from orderctl.exceptions import ExitCode, Refused
from orderctl.terminal import Output, OutputOption, reported


def wait(
    service: ServiceArgument,
    *,
    env: EnvOption,
    until: Annotated[
        Stage | None,
        typer.Option("--for", metavar="STAGE", help="Stop at this stage, such as BAKE_TIME; else at its end."),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Follow the deployment that is under way.

    \b
    orderctl wait order-api --env dev --for BAKE_TIME && ./load-test.sh

    Changes nothing, the tag neither: if it ends badly, `orderctl status` tells
    whether the tag has drifted.

    Exit codes: 0 it came there, 1 it was rolled back before, 3 nothing is under
    way, 130 interrupted.
    """
    with reported("the deployment goes on without you"):
        context = DeployContext.open(env, service)
        deployment = context.fleet.under_way()
        if deployment is None:
            raise Refused(f"nothing is under way for {context.ref}")
        announce(context, f"wait for {deployment.id}")
        report = Report(context.record, lambda: context.fleet.describe().events)
        with report.live():
            report.saw(deployment)
            while not _arrived(deployment, until):
                pace.poll_sleep()
                deployment = context.fleet.deployment(deployment.arn) or deployment
                report.saw(deployment)
    answer(of_deployment(context, deployment), output)
    raise typer.Exit(
        ExitCode.DONE
        if deployment.status in {Status.PENDING, Status.IN_PROGRESS, Status.SUCCESSFUL}
        else ExitCode.FAILED
    )


def _arrived(deployment: Deployment, until: Stage | None) -> bool:
    """A deployment that is rolled back keeps the stage from which it is."""
    if deployment.status.is_over:
        return True
    if until is None or deployment.stage is None or deployment.status is not Status.IN_PROGRESS:
        return False
    stages = list(Stage)
    return stages.index(deployment.stage) >= stages.index(until)
