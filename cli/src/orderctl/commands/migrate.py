"""`orderctl migrate`: rewrite stored items of older versions in the newest form."""

import asyncio
from collections.abc import Coroutine
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from order_operations.migration import Backfill, Tally, open_migrations, record_run
from order_operations.target import Target
from order_shared.storage.migrations import MigratedTable, Migration
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.signals import not_ignored
from orderctl.terminal import DryRunOption, ReasonOption, YesOption, checked_reason, confirm, console, errors


class TableChoice(StrEnum):
    ORDERS = "orders"
    INVENTORY = "inventory"
    ALL = "all"


def migrate(
    *,
    table: Annotated[TableChoice, typer.Option(help="Table to migrate.")] = TableChoice.ALL,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Items read per second. A read uses capacity of the table, a rewrite more.")
    ] = 500.0,
    dry_run: DryRunOption = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--from-start", help="Continue where the last run stopped, or read every item again."),
    ] = True,
    reason: ReasonOption = None,
    yes: YesOption = False,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Rewrite stored items of older versions in the newest form.

    Every release reads older items, so this is not urgent. Run it when no task of
    the older release runs any more: until then, items of the older version may
    still be written. Orders of the older release are missing in the list of their
    tenant until this command adds them. Count before and after:

    \b
    orderctl migrate --dry-run
    orderctl migrate --rate 200 --reason "version 2 of the order item"
    orderctl migrate --dry-run

    When the count shows only the newest version, a later release may stop reading
    the older ones.

    It is safe while orders are placed, safe to interrupt at any point, safe to
    repeat, and safe for two operators at once. Its progress is stored;
    --from-start ignores it.
    """
    tables = [MigratedTable(each) for each in MigratedTable if table in (each.value, TableChoice.ALL)]
    with reported_failures():
        why = None if dry_run else checked_reason(reason, required=True)
        target = make_target(local, state)
        _announce(target, tables, rate)
        confirm(f"Rewrite older items of {' and '.join(tables)}?", yes=yes or dry_run)
        _run_until_signal(_run(target, tables, rate=rate, reason=why, from_start=not resume))


def _run_until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, and cancel it when a signal arrives, as asyncio does on Ctrl-C, so that it can clean up.

    Raises:
        KeyboardInterrupt: if `work` was cancelled.
    """

    async def main() -> None:
        task = asyncio.current_task()
        for sign in not_ignored():
            asyncio.get_running_loop().add_signal_handler(sign, lambda: task and task.cancel())
        await work

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(
    target: Target, tables: list[MigratedTable], *, rate: float, reason: str | None, from_start: bool
) -> None:
    """Migrate the tables. Without a `reason`, only count their items."""
    async with open_migrations(target, tables) as migrations:
        for table in tables:
            with _progress() as progress:
                if reason is not None:
                    await asyncio.to_thread(record_run, target, migrations[table], table, reason)
                tally = await _backfill(
                    migrations[table], table, progress, rate=rate, dry_run=reason is None, from_start=from_start
                )
            _print_result(table, tally, migrations[table], dry_run=reason is None)


async def _backfill(
    migration: Migration, table: MigratedTable, progress: Progress, *, rate: float, dry_run: bool, from_start: bool
) -> Tally:
    bar = progress.add_task(str(table), total=await migration.count_roughly() or None)
    backfill = Backfill(migration, rate=rate, on_progress=lambda tally: progress.update(bar, completed=tally.seen))
    if dry_run:
        return await backfill.count()
    return await backfill.rewrite(from_start=from_start)


def _progress() -> Progress:
    """Return a progress bar on stderr, since stdout is for the result. Its total is DynamoDB's count, hours old."""
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True)


def _announce(target: Target, tables: list[MigratedTable], rate: float) -> None:
    named = ", ".join(target.settings.table_prefix + table for table in tables)
    announce_target(target, target.settings.dynamodb_endpoint, tables=named, rate=f"{rate:g} items per second")


def _print_result(table: MigratedTable, tally: Tally, migration: Migration, *, dry_run: bool) -> None:
    newest = migration.newest
    if dry_run:
        counts = ", ".join(f"{count} of version {version}" for version, count in sorted(tally.versions.items()))
        older = tally.older_than(newest)
        if tally.references:
            counts += f", {tally.references} with a reference to be normalized"
        console.print(f"{table}: {counts or 'no items'}; {older} to be rewritten to version {newest}")
    elif tally.seen:
        console.print(f"{table}: {tally.seen} read, {tally.rewritten} rewritten to version {newest}")
    else:
        console.print(f"{table}: no items are left to read (--from-start reads every item again)")
    if table is MigratedTable.ORDERS and tally.seen:
        console.print(f"{table}: {tally.unlisted} not yet in the lists of their tenants")
    if newer := tally.newer_than(migration.newest):
        errors.print(
            f"{table}: skipped {newer} of a newer version than {migration.newest}: this orderctl is older than the "
            "release that wrote them",
            style="yellow",
        )
