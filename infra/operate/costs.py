"""`costs`: show the monthly costs of the environments."""

from typing import Annotated

import typer

from infra.costs import Load, bill_table, monthly, total
from infra.environments import ENVIRONMENTS
from infra.operate.options import environment_named
from orderctl.terminal import Output, OutputOption, console, print_json, reported


def costs(
    *,
    env: Annotated[str | None, typer.Option("--env", help="Only this environment: dev, uat, prod or feat-….")] = None,
    orders: Annotated[float, typer.Option("--orders", min=0, help="Orders per month.")] = 0.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the monthly costs of the environments, part by part. Needs no AWS account.

    \b
    orderctl env costs --env prod --orders 1000000
    orderctl env costs --output json | jq .prod.total

    Exit codes: 0 done, 2 usage.
    """
    with reported():
        environments = [environment_named(env)] if env else [*ENVIRONMENTS.values()]
        bills = {each.name: monthly(each, Load(orders=orders)) for each in environments}
    if output is Output.JSON:
        print_json(
            {
                name: {"total": round(total(parts), 2), "parts": {part.name: round(part.usd, 2) for part in parts}}
                for name, parts in bills.items()
            }
        )
        return
    for name, parts in bills.items():
        console.print(f"{name}, US dollars per month\n\n{bill_table(parts)}\n")
