"""`orderctl events`: the logs of order events, for operators."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from order_operations.event_logs import GRACE, Scope, open_event_logs, record_run
from order_operations.target import Target
from order_shared.domain.clock import to_text
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import Customer
from order_shared.storage.event_log.comparison import Comparison
from order_shared.storage.event_log.read import EventFilter
from orderctl.commands.customer_orders import moment
from orderctl.exceptions import Failed
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.terminal import (
    DryRunOption,
    Output,
    OutputOption,
    ReasonOption,
    YesOption,
    checked_reason,
    confirm,
    console,
    errors,
    print_json,
    printable,
)

GRACE_SECONDS = GRACE.total_seconds()
SHOWN = 20
"""Orders with missing events that are printed as text."""

app = typer.Typer(
    no_args_is_help=True,
    help="""Show, check and repair the logs of order events.

    Each tenant has a log with an event for every change of its orders. Events are kept for 30 days.
    """,
)

TenantOption = Annotated[str | None, typer.Option(help="Only orders of this tenant; by default those of all tenants.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        parser=moment,
        metavar="TIME",
        help="Only changes since this time: UTC (2026-01-31T09:05), or a duration before now (24h, 7d). By default all "
        "of the last 30 days.",
    ),
]
GraceOption = Annotated[
    float,
    typer.Option(
        "--grace", min=0.0, help="Seconds. Changes younger than this are left out: their events may be on their way."
    ),
]
RateOption = Annotated[float, typer.Option(min=0.1, help="Orders read per second.")]


@app.command("list")
def list_events(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant whose log is read.")],
    customer: Annotated[str | None, typer.Option(help="Only events of this customer.")] = None,
    change: Annotated[
        list[OrderChange] | None, typer.Option("--type", help="Only events of this kind; repeat it for more than one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Number of events, the latest ones.")] = 20,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """List the latest events of a tenant, oldest first.

    \b
    orderctl events list --tenant acme
    orderctl events list --tenant acme --type rejected --limit 100 --output json
    """
    matching = EventFilter(
        customer=None if customer is None else Customer(tenant=tenant, id=customer), changes=frozenset(change or ())
    )

    async def read(target: Target) -> list[OrderEvent]:
        async with open_event_logs(target) as logs:
            return await logs.list_events(tenant, limit, matching=matching)

    with reported_failures():
        events = asyncio.run(read(make_target(local, state)))
        if output is Output.JSON:
            print_json(list(map(_summary, events)))
            return
        table = Table(*_columns("time", "event", "order", "customer"), box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for event in events:
            table.add_row(
                f"{event.at:%Y-%m-%d %H:%M:%S}", event.change, printable(event.order_id), printable(event.customer.id)
            )
        console.print(table if events else "no events found")


@app.command()
def verify(
    *,
    tenant: TenantOption = None,
    since: SinceOption = None,
    grace: GraceOption = GRACE_SECONDS,
    rate: RateOption = 500.0,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Check that every change of an order has its event. Fails if one is missing.

    It reads all orders, so run it with --since once a day:

    \b
    orderctl events verify --since 48h
    orderctl events rebuild --since 48h --dry-run      what a repair would append
    """
    with reported_failures():
        target = make_target(local, state)
        _announce(target, tenant, since, rate)
        scope = Scope(tenant=tenant, since=since, grace=timedelta(seconds=grace), rate=rate)
        found = asyncio.run(_compare(target, scope))
        _print(found, output)
        if found.gaps:
            raise Failed("events are missing: `orderctl events rebuild` appends them")
        if found.unreadable:
            raise Failed(f"{len(found.unreadable)} orders cannot be read by this release, and were not checked")


@app.command()
def rebuild(
    *,
    tenant: TenantOption = None,
    since: SinceOption = None,
    grace: GraceOption = GRACE_SECONDS,
    rate: RateOption = 500.0,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Append the events that are missing, at the end of the logs.

    \b
    orderctl events rebuild --since 48h --dry-run
    orderctl events rebuild --since 48h --reason "the pipe was stopped"

    An event that the log has never had follows the order's earlier events. One
    that the log has lost comes after the order's later events. A reader that has
    not passed the place of a lost event gets 410 there, and starts again.

    It is safe while orders are placed, and safe to repeat.
    """
    with reported_failures():
        why = None if dry_run else checked_reason(reason, required=True)
        target = make_target(local, state)
        _announce(target, tenant, since, rate)
        scope = Scope(tenant=tenant, since=since, grace=timedelta(seconds=grace), rate=rate)
        found = asyncio.run(_compare(target, scope))
        if why is None or not found.gaps:
            _print(found, output)
            return
        missing = _count(found)
        confirm(f"Append {missing} events of {len(found.gaps)} orders?", yes=yes)
        record_run(target, "events.rebuild", why, f"{missing} events of {len(found.gaps)} orders")
        appended = asyncio.run(_rebuild(target, found))
        if output is Output.JSON:
            print_json({"missing": missing, "appended": appended})
        else:
            console.print(f"{appended} events appended, of {missing} that were missing")
        if appended < missing:
            raise Failed("orders changed meanwhile: run the command again")


@app.command("raise-epoch")
def raise_epoch(
    *,
    reason: ReasonOption = None,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Make the positions of all readers invalid, after the tables were restored or another region took over.

    Every reader then gets 410 and starts again: without this, readers could skip
    events that were appended since. Run it before the services start.

    \b
    orderctl events raise-epoch --reason "restored to 2026-01-31 09:05"
    """
    with reported_failures():
        why = checked_reason(reason, required=True)
        target = make_target(local, state)
        announce_target(target, target.settings.dynamodb_endpoint, table=target.settings.tables.events)
        confirm("Make the positions of all readers of events invalid?", yes=yes)
        record_run(target, "events.raise-epoch", why, "positions of readers are invalid")
        epoch, logs = asyncio.run(_raise_epoch(target))
        if output is Output.JSON:
            print_json({"epoch": epoch, "logs": logs})
        else:
            console.print(f"the epoch of {logs} logs is {epoch} now; older positions are answered with 410")


async def _compare(target: Target, scope: Scope) -> Comparison:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=errors, transient=True) if errors.is_terminal else None
    with progress or nullcontext():
        bar = progress.add_task("orders read") if progress else None

        def show(orders: int) -> None:
            if progress and bar is not None:
                progress.update(bar, description=f"{orders} orders read")

        async with open_event_logs(target, on_progress=show) as logs:
            return await logs.compare(scope)


async def _rebuild(target: Target, found: Comparison) -> int:
    async with open_event_logs(target) as logs:
        return await logs.rebuild(found)


async def _raise_epoch(target: Target) -> tuple[int, int]:
    async with open_event_logs(target) as logs:
        return await logs.raise_epoch()


def _announce(target: Target, tenant: str | None, since: datetime | None, rate: float) -> None:
    announce_target(
        target,
        target.settings.dynamodb_endpoint,
        orders="all tenants" if tenant is None else printable(tenant),
        changes="the last 30 days" if since is None else f"since {to_text(since)}",
        rate=f"{rate:g} orders per second",
    )


def _print(found: Comparison, output: Output) -> None:
    if output is Output.JSON:
        print_json(
            {
                "orders": found.orders,
                "events": found.events,
                "missing": [{**_summary(event), "late": gap.is_late} for gap in found.gaps for event in gap.events],
                "unreadable": len(found.unreadable),
            }
        )
        return
    console.print(f"{found.events} events of {found.orders} changed orders compared, {_count(found)} missing")
    for gap in found.gaps[:SHOWN]:
        kind = "not appended yet" if gap.is_late else "lost"
        changes = ", ".join(event.change for event in gap.events)
        console.print(f"  {printable(gap.order.order_id)}  {printable(str(gap.order.customer))}  {kind}: {changes}")
    if len(found.gaps) > SHOWN:
        console.print(f"  and {len(found.gaps) - SHOWN} orders more; --output json has all of them")


def _count(found: Comparison) -> int:
    return sum(len(gap.events) for gap in found.gaps)


def _summary(event: OrderEvent) -> dict[str, str | int]:
    return {
        "id": event.id,
        "type": event.type,
        "order": event.order_id,
        "tenant": event.customer.tenant,
        "customer": event.customer.id,
        "version": event.version,
        "at": to_text(event.at),
    }


def _columns(*names: str) -> Sequence[Column]:
    return [Column(name, overflow="fold") for name in names]
