"""`orderctl wait`: follow a deployment to a stage, or to its end."""

from typing import Annotated

import typer

from order_operations.deployments.fleet import Deployment, Stage, Status
from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, of_deployment
from orderctl.commands.deployment.options import EnvOption, ServiceArgument, announce
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.running import under_way
from orderctl.deploy.context import DeployContext
from orderctl.exceptions import ExitCode
from orderctl.terminal import Output, OutputOption, reported


def wait(
    service: ServiceArgument,
    *,
    env: EnvOption,
    until: Annotated[
        Stage | None,
        typer.Option("--for", metavar="STAGE", help="Stop at this stage, such as BAKE_TIME; by default at the end."),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Follow the deployment under way.

    \b
    orderctl wait order-api --env dev --for BAKE_TIME && ./load-test.sh

    This command changes nothing, not even the tags: `orderctl finish` follows a
    deployment and moves them.

    Exit codes: 0 stage reached, 1 rolled back before it, 3 no deployment is under
    way, 130 interrupted.
    """
    with reported("ECS continues the deployment"):
        context = DeployContext.open(env, service)
        deployment = under_way(context)
        announce(context, f"wait for {deployment.id}")
        report = Report(context.record, lambda: context.fleet.describe().events)
        with report.live():
            report.observed(deployment)
            while not _arrived(deployment, until):
                pace.poll_sleep()
                deployment = context.fleet.deployment(deployment.arn) or deployment
                report.observed(deployment)
    answer(of_deployment(context, deployment), output)
    raise typer.Exit(
        ExitCode.DONE
        if deployment.status in {Status.PENDING, Status.IN_PROGRESS, Status.SUCCESSFUL}
        else ExitCode.FAILED
    )


def _arrived(deployment: Deployment, until: Stage | None) -> bool:
    """Return whether the deployment has ended or reached the stage `until`.

    During a rollback the stage no longer changes, so only the end counts.
    """
    if deployment.status.is_over:
        return True
    if until is None or deployment.stage is None or deployment.status is not Status.IN_PROGRESS:
        return False
    stages = list(Stage)
    return stages.index(deployment.stage) >= stages.index(until)
