"""`warm`: raise the warm throughput of the tables before a sale. Terraform does not manage it."""

from typing import Annotated, Any

import typer

from infra.operate.aws import account_of_caller
from infra.operate.console import Change, announce, confirm, make_changes
from infra.operate.options import EnvOption, environment_named, require_organisation
from order_shared.tables import OPERATIONS, TABLES
from orderctl.exceptions import Refused, UsageError
from orderctl.terminal import DryRunOption, YesOption, reported, require_answer

NEW_TABLE = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
"""Warm throughput of a new table, and of a table for which DynamoDB reports none."""

WARMED = tuple(table.name for table in TABLES if table is not OPERATIONS)


def warm(
    ctx: typer.Context,
    *,
    env: EnvOption,
    writes: Annotated[
        int, typer.Option("--writes", help="Write units per second that each table and index accepts at once.")
    ],
    reads: Annotated[
        int, typer.Option("--reads", help="Read units per second that each table and index accepts at once.")
    ] = NEW_TABLE["ReadUnitsPerSecond"],
    table: Annotated[
        list[str] | None, typer.Option("--table", help=f"One of {', '.join(WARMED)}; by default all of them.")
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Raise the warm throughput of an environment's tables and their indexes.

    A table that is billed on demand accepts 4,000 write units per second when it is
    new, and twice its former peak later. More at once, as in a sale, is throttled
    unless the warm throughput is raised before. That is paid once, for the added
    units, and takes effect within some minutes. It cannot be lowered, and DynamoDB
    raises it by itself with use, so Terraform does not manage it. Tables that are
    as high already are not changed.

    \b
    orderctl env warm --env prod --writes 20000 --dry-run
    orderctl env warm --env prod --writes 20000 --table orders

    Exit codes: 0 all are as high as requested, 1 AWS refused a call, 2 usage, 3
    refused: no credentials, or not confirmed, 130 interrupted.
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
            what="show what would be raised; change nothing"
            if dry_run
            else "raise the warm throughput of the tables, which costs money",
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
        make_changes(named, done="raised", unchanged="already as high", dry_run=dry_run)


def _names(table: list[str] | None) -> list[str]:
    if unknown := sorted({*(table or ())} - {*WARMED}):
        raise UsageError(f"there is no table {unknown[0]!r}: --table takes {', '.join(WARMED)}")
    return table or list(WARMED)


def _require_more(writes: int, reads: int) -> None:
    """Raise UsageError if the requested throughput is not above that of a new table."""
    least = NEW_TABLE["WriteUnitsPerSecond"], NEW_TABLE["ReadUnitsPerSecond"]
    if writes <= least[0] and reads <= least[1]:
        raise UsageError(
            f"a new table accepts {writes} write units and {reads} read units already: request more than "
            f"{least[0]} or {least[1]}"
        )


def _change(dynamodb: Any, name: str, wanted: dict[str, int]) -> Change | None:
    """Return the change that raises the throughput of a table and its indexes; None if all are high enough.

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


def _raised(existing: dict[str, Any], wanted: dict[str, int]) -> dict[str, int] | None:
    """Return the throughput to request, which is never lower than the current one; None if that is high enough."""
    now = {unit: existing.get("WarmThroughput", {}).get(unit, NEW_TABLE[unit]) for unit in wanted}
    higher = {unit: max(number, now[unit]) for unit, number in wanted.items()}
    return None if higher == now else higher
