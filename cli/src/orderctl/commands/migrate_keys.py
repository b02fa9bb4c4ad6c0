"""`orderctl migrate-keys`: move open and parked orders to the outbox keys that every release reads."""

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from order_operations.key_migration import KeyMigrationRun, open_key_migration, record_key_migration
from order_operations.target import Target
from order_shared.tables import DEFAULT_OPEN_SHARDS
from orderctl.exceptions import Refused
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.terminal import DryRunOption, ReasonOption, YesOption, checked_reason, confirm, console, errors


def migrate_keys(
    *,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Orders moved per second. Each costs three write units.")
    ] = 500.0,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Move open and parked orders to the 16 outbox keys that every release reads.

    A release that knows 16 keys only never sweeps orders under the other 112. So
    after ORDER_OPEN_SHARDS was 128, run this before you roll back to such a
    release:

    \b
    1. set ORDER_OPEN_SHARDS to 16 for every service, and deploy that
    2. when no older task runs: orderctl migrate-keys --reason "roll back"
    3. orderctl migrate-keys --dry-run        counts none
    4. roll back

    It is safe while orders are placed, safe to interrupt at any point, safe to
    repeat, and safe for two operators at once.
    """
    with reported_failures():
        why = None if dry_run else checked_reason(reason, required=True)
        target = make_target(local, state)
        table = f"{target.settings.table_prefix}orders"
        announce_target(target, target.settings.dynamodb_endpoint, table=table, rate=f"{rate:g} orders per second")
        if why is None:
            console.print(f"{asyncio.run(_count(target))} orders to be moved to the {DEFAULT_OPEN_SHARDS} keys")
            return
        if target.settings.open_shards != DEFAULT_OPEN_SHARDS:
            raise Refused(
                f"ORDER_OPEN_SHARDS is {target.settings.open_shards}: new orders would have other keys again. Set it "
                f"to {DEFAULT_OPEN_SHARDS} for every service first"
            )
        confirm(f"Move open orders of {table} to {DEFAULT_OPEN_SHARDS} keys?", yes=yes)
        moved = asyncio.run(_move(target, rate=rate, reason=why))
        console.print(f"{moved} orders moved to the {DEFAULT_OPEN_SHARDS} keys; none is left under other keys")


async def _count(target: Target) -> int:
    async with open_key_migration(target) as migration:
        return await KeyMigrationRun(migration, rate=1).count()


async def _move(target: Target, *, rate: float, reason: str) -> int:
    await asyncio.to_thread(record_key_migration, target, reason)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with open_key_migration(target) as migration:
        with Progress(*columns, console=errors, transient=True) as progress:
            bar = progress.add_task("orders", total=await KeyMigrationRun(migration, rate=rate).count())
            run = KeyMigrationRun(migration, rate=rate, on_progress=lambda moved: progress.update(bar, completed=moved))
            return await run.run()
