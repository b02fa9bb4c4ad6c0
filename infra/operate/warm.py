"""`warm`: raises the warm throughput of the tables before a sale. Terraform does not manage it."""

from typing import Annotated, Any

import typer

from infra.operate.aws import account_of_caller
from infra.operate.console import Change, announce, confirm, make_changes
from infra.operate.options import EnvOption, environment_named, require_organisation
from order_shared.tables import OPERATIONS, TABLES
from orderctl.exceptions import Refused, UsageError
from orderctl.terminal import DryRunOption, YesOption, reported, require_answer

NEW_TABLE = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
"""Throughput of a new table. DynamoDB reports these numbers as if none were set."""

WARMED = tuple(table.name for table in TABLES if table is not OPERATIONS)


def warm(
    ctx: typer.Context,
    *,
    env: EnvOption,
    writes: Annotated[
        int, typer.Option("--writes", help="Write units a second that each table and index takes at once.")
    ],
    reads: Annotated[int, typer.Option("--reads", help="Read units a second.")] = NEW_TABLE["ReadUnitsPerSecond"],
    table: Annotated[
        list[str] | None, typer.Option("--table", help=f"One of {', '.join(WARMED)}; all of them if not given.")
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Raise what an environment's tables and their indexes take at once.

    A table that is billed on demand takes 4,000 write units a second when it is
    new, and twice its former peak later. More than that at once, as in a sale,
    is throttled unless it was raised before. It is paid for once, by the units
    that are added, and takes effect within some minutes. It cannot be lowered,
    and DynamoDB raises it by itself with use; so it is nothing that Terraform
    should know. What is as high already stays as it is.

    \b
    orderctl env warm --env prod --writes 20000 --dry-run
    orderctl env warm --env prod --writes 20000 --table orders

    Exit codes: 0 all are as high as asked for, 1 AWS refused something, 2 usage,
    3 refused: without credentials, or not confirmed, 130 interrupted.
    """
    with reported():
        context = ctx.obj
        require_organisation(context)
        environment = environment_named(env)
        names = _names(table)
        _require_more(writes, reads)
        if not dry_run:
            require_answer(yes=yes)
        region = environment.regions[0]
        account = account_of_caller(context, region)
        announce(
            context,
            account,
            what="say what would be raised; change nothing"
            if dry_run
            else "raise what the tables take at once; it is paid",
            whose=environment.name,
            regions=(region,),
        )
        wanted = {"ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes}
        changes = {
            name: _change(account.client("dynamodb", region), environment.table_prefix + name, wanted) for name in names
        }
        if any(changes.values()) and not dry_run:
            confirm(environment, yes=yes)
        named = {environment.table_prefix + name: change for name, change in changes.items()}
        make_changes(named, done="raised", unchanged="was as high", dry_run=dry_run)


def _names(table: list[str] | None) -> list[str]:
    if unknown := sorted({*(table or ())} - {*WARMED}):
        raise UsageError(f"there is no table {unknown[0]!r}: --table takes {', '.join(WARMED)}")
    return table or list(WARMED)


def _require_more(writes: int, reads: int) -> None:
    """Raise UsageError for what a new table takes anyway."""
    least = NEW_TABLE["WriteUnitsPerSecond"], NEW_TABLE["ReadUnitsPerSecond"]
    if writes <= least[0] and reads <= least[1]:
        raise UsageError(
            f"{writes} write units and {reads} read units are what a new table takes as it is: ask for more than "
            f"{least[0]} or {least[1]}"
        )


def _change(dynamodb: Any, name: str, wanted: dict[str, int]) -> Change | None:
    """Return what raises a table and its indexes; None if all are as high.

    Raises:
        Refused: if there is no such table.
    """
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException as error:
        raise Refused(f"there is no table {name}") from error
    request: dict[str, Any] = {}
    if raised := _raised(table, wanted):
        request["WarmThroughput"] = raised
    indexes = {index["IndexName"]: _raised(index, wanted) for index in table.get("GlobalSecondaryIndexes", ())}
    if updates := [
        {"Update": {"IndexName": index, "WarmThroughput": raised}} for index, raised in indexes.items() if raised
    ]:
        request["GlobalSecondaryIndexUpdates"] = updates
    return (lambda: dynamodb.update_table(TableName=name, **request)) if request else None


def _raised(standing: dict[str, Any], wanted: dict[str, int]) -> dict[str, int] | None:
    """Return the numbers to ask for, neither lower than what stands; None if that is as high."""
    now = {unit: standing.get("WarmThroughput", {}).get(unit, NEW_TABLE[unit]) for unit in wanted}
    higher = {unit: max(number, now[unit]) for unit, number in wanted.items()}
    return None if higher == now else higher
