"""`orderctl history`: the latest deployments and operator actions."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.table import Table

from orderctl.commands.deployment.options import UNCHANGED, EnvOption, ServiceArgument
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, console, print_json, reported

MAX_LIMIT = 20  # ECS's limit for DescribeServiceDeployments


def history(
    service: ServiceArgument,
    *,
    env: EnvOption,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="Deployments and actions to list.")] = 10,
    output: OutputOption = Output.TEXT,
) -> None:
    """List a service's deployments and operator actions, newest first.

    \b
    orderctl history order-api --env prod
    orderctl history order-api --env prod --limit 3 --output json

    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        deployments = [
            {
                "id": deployment.id,
                "began": deployment.created_at.isoformat(timespec="seconds"),
                "ended": deployment.finished_at.isoformat(timespec="seconds") if deployment.finished_at else None,
                "status": deployment.state,
                "digest": context.fleet.digest_of(deployment.target.arn),
            }
            for deployment in context.fleet.history(limit)
        ]
        acts = [
            {
                "at": entry.at.isoformat(timespec="seconds"),
                "actor": entry.actor,
                "verb": entry.verb,
                "reason": entry.reason,
                "detail": entry.detail,
            }
            for entry in context.audit.of(context.ref.subject, limit, newest_first=True)
        ]
    if output is Output.JSON:
        print_json({"deployments": deployments, "acts": acts})
        return
    _print("Deployments", deployments)
    _print("Operator actions", acts)


def _print(title: str, rows: Sequence[Mapping[str, str | None]]) -> None:
    table = Table(title=title, title_justify="left", box=None)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(value or "-" for value in row.values()))
    console.print(table if rows else f"{title}: none")
