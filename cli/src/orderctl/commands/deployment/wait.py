"""`orderctl wait`: until a deployment has come to a stage, or to its end."""

from typing import Annotated

import typer

from orderctl.commands.deployment import pace
from orderctl.commands.deployment.answers import answer, of_deployment
from orderctl.commands.deployment.options import (
    DONE,
    FAILED,
    EnvOption,
    JsonOption,
    ServiceArgument,
    announce,
    reported,
)
from orderctl.commands.deployment.report import Report
from orderctl.deploy.errors import Refused
from orderctl.deploy.fleet import Deployment, Stage, Status
from orderctl.deploy.site import Site


def wait(
    service: ServiceArgument,
    *,
    env: EnvOption,
    until: Annotated[
        Stage | None,
        typer.Option("--for", metavar="STAGE", help="Stop at this stage, such as BAKE_TIME; else at its end."),
    ] = None,
    as_json: JsonOption = False,
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
        site = Site.open(env, service)
        deployment = site.fleet.under_way()
        if deployment is None:
            raise Refused(f"nothing is under way for {site.place}")
        announce(site, f"wait for {deployment.id}")
        report = Report(site.audit, lambda: site.fleet.describe().events)
        with report.live():
            report.saw(deployment)
            while not _arrived(deployment, until):
                pace.poll_sleep()
                deployment = site.fleet.deployment(deployment.arn) or deployment
                report.saw(deployment)
    answer(of_deployment(site, deployment), as_json=as_json)
    raise typer.Exit(DONE if deployment.status in {Status.PENDING, Status.IN_PROGRESS, Status.SUCCESSFUL} else FAILED)


def _arrived(deployment: Deployment, until: Stage | None) -> bool:
    """A deployment that is rolled back keeps the stage from which it is."""
    if deployment.status.is_over:
        return True
    if until is None or deployment.stage is None or deployment.status is not Status.IN_PROGRESS:
        return False
    stages = list(Stage)
    return stages.index(deployment.stage) >= stages.index(until)
