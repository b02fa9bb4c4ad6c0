"""Results of deployment commands on stdout: lines of text, or one JSON document."""

from collections.abc import Mapping, Sequence

from order_operations.deployments.checks import Check, passed
from order_operations.deployments.fleet import Deployment
from order_operations.deployments.freeze import Freeze
from orderctl.deploy.context import DeployContext
from orderctl.deploy.engine import Outcome
from orderctl.terminal import Output, console, print_json

Row = str | int | bool | None


def answer(rows: Mapping[str, Row], output: Output) -> None:
    if output is Output.JSON:
        print_json(rows)
        return
    width = max(map(len, rows))
    for name, value in rows.items():
        console.print(f"  {name:<{width}}  {_shown(value)}")


def of_outcome(context: DeployContext, outcome: Outcome) -> dict[str, Row]:
    deployment = outcome.deployment
    return {
        **_of(context),
        "deployment": deployment.id if deployment else None,
        "status": deployment.state if deployment else None,
        "image": outcome.digest,
        "before": outcome.before,
        "changed": outcome.changed and outcome.is_live,
        "over": outcome.over,
        "unwatched_alarms": ", ".join(deployment.alarms) if deployment and deployment.is_unwatched else None,
    }


def of_deployment(context: DeployContext, deployment: Deployment) -> dict[str, Row]:
    return {
        **_of(context),
        "deployment": deployment.id,
        "status": deployment.state,
        "stage": str(deployment.stage) if deployment.stage else None,
    }


def of_freeze(context: DeployContext, freeze: Freeze | None) -> dict[str, Row]:
    return {**_of(context), "frozen": freeze.reason if freeze else None, "by": freeze.actor if freeze else None}


def of_checks(context: DeployContext, digest: str, checks: Sequence[Check]) -> dict[str, object]:
    """Return the JSON document with the results of a preflight."""
    return {
        **_of(context),
        "image": digest,
        "ready": passed(checks),
        "checks": [
            {"name": check.name, "verdict": check.verdict, "detail": check.detail, "next": check.remedy}
            for check in checks
        ],
    }


def _of(context: DeployContext) -> dict[str, Row]:
    return {"environment": context.ref.environment, "service": str(context.ref.kind)}


def _shown(value: Row) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
