"""The verbs of `orderctl orders` for customers: what the API does for them, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from order_client import Order, OrderClient, OrderStatus
from order_shared.domain.money.currencies import format_amount
from orderctl.commands.connection import Connection, CustomerOption, LocalOption, TenantOption
from orderctl.profile import DEFAULT_STATE, StateOption
from orderctl.terminal import Output, OutputOption, console, errors, print_json, printable

MAX_PAGE = 100
DURATION = re.compile(r"(\d{1,5})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _moment(text: str) -> datetime:
    """Parse `2026-01-31`, `2026-01-31T09:05:00Z` (UTC if no zone is named), or `90m`, `24h`, `7d`: so long ago."""
    if duration := DURATION.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[duration[2]]: int(duration[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a time such as 2026-01-31T09:05 nor a duration as 24h") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


OrderIdArgument = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Such as ord_0197….")]
LinesArgument = Annotated[list[str], typer.Argument(metavar="SKU=QUANTITY…", help="Such as TEA-GREEN-100=2.")]
TimeoutOption = Annotated[float, typer.Option(min=0.0, help="Seconds to wait for the end.")]
StatusOption = Annotated[list[OrderStatus] | None, typer.Option(help="May be repeated: any of them.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        parser=_moment, metavar="TIME", help="Placed since then: a time in UTC (2026-01-31T09:05), or 24h, 7d."
    ),
]
UntilOption = Annotated[datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Placed before then.")]
QueryOption = Annotated[str | None, typer.Option("--q", help="A part of the reference or of a SKU.")]
SortOption = Annotated[str | None, typer.Option(help="created_at: oldest first.")]


@dataclass(frozen=True, kw_only=True)
class OrderQuery:
    """Filter, order and limit of a list of orders."""

    status: Sequence[OrderStatus]
    since: datetime | None
    until: datetime | None
    q: str | None
    sort: str | None
    limit: int


def post(
    lines: LinesArgument,
    *,
    pay: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="What to charge: a token of the payment provider.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Your own name for the order; unique among your orders.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The idempotency key; by default a new one for each run.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the order ends; exit 1 unless it is confirmed.")] = False,
    timeout: TimeoutOption = 60.0,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Place an order. It is durable once this command has printed it.

    Repeated by itself under one idempotency key while the API is in trouble: there is one order. If no answer comes
    at all, the key is printed; run it again with --key to find out, and with the same lines.

    \b
    orderctl orders post TEA-GREEN-100=2 POT-GLASS=1 --wait
    orderctl orders post TEA-GREEN-100=2 --pay pm_card_visa --reference PO-2026-0042
    """
    quantities = _quantities(lines)

    async def placed(client: OrderClient) -> Order:
        order = await client.place_order(quantities, reference=reference, payment_token=pay, idempotency_key=key)
        if order.replayed:
            errors.print("placed before, under the same key", style="dim")
        return await client.wait_for_end(order.id, timeout=timeout) if wait else order

    order = Connection(local=local, state=state, tenant=tenant, customer=customer).run(placed)
    _print(order, output=output)
    if wait and order.status is not OrderStatus.CONFIRMED:
        raise typer.Exit(1)


def get(
    order_id: OrderIdArgument,
    *,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Show one of your orders as it is now."""
    _print(
        Connection(local=local, state=state, tenant=tenant, customer=customer).run(
            lambda client: client.get_order(order_id)
        ),
        output=output,
    )


def list_orders(connection: Connection, query: OrderQuery, *, output: Output) -> None:
    orders = connection.run(lambda client: _listed(client, query))
    if output is Output.JSON:
        print_json([order.model_dump(mode="json") for order in orders])
        return
    table = Table("placed", "order, reference", "status", "total", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for order in orders:
        named = Text.assemble(
            printable(order.id), *([("\n" + printable(order.reference), "dim")] if order.reference else [])
        )
        table.add_row(
            f"{order.created_at:%Y-%m-%d %H:%M}", named, order.status, format_amount(order.total, order.currency)
        )
    console.print(table if orders else "there are no such orders")


def cancel(
    order_id: OrderIdArgument,
    *,
    version: Annotated[int | None, typer.Option(min=1, help="Only if the order is still at this version.")] = None,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Cancel an order: at once while nothing was done; otherwise stock and payment are undone soon.

    Safe to repeat. What is undone shows as `cancelled` in `get`.
    """
    connection = Connection(local=local, state=state, tenant=tenant, customer=customer)
    _print(connection.run(lambda client: client.cancel_order(order_id, version=version)), output=output)


def watch(
    order_id: OrderIdArgument,
    *,
    timeout: TimeoutOption = 60.0,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Print an order's history, and each change as it happens, until it is confirmed, rejected or cancelled."""

    async def watched(client: OrderClient) -> None:
        told = 0
        async for order in client.watch_order(order_id, timeout=timeout):
            if output is Output.JSON:
                print_json(order.model_dump(mode="json"), indent=None)
                continue
            for entry in order.timeline[told:]:
                console.print(f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {entry.status}")
            told = len(order.timeline)
            if order.reason:
                console.print(f"{order.reason.code}: {order.reason.detail}")

    Connection(local=local, state=state, tenant=tenant, customer=customer).run(watched)


async def _listed(client: OrderClient, query: OrderQuery) -> list[Order]:
    orders: list[Order] = []
    async for page in client.order_pages(
        status=query.status,
        created_from=query.since,
        created_before=query.until,
        q=query.q,
        sort=query.sort,
        page_size=min(query.limit, MAX_PAGE),
    ):
        orders += page.items
        if len(orders) >= query.limit:
            break
    return orders[: query.limit]


def _quantities(lines: Sequence[str]) -> Mapping[str, int]:
    """Units by SKU, of `SKU=QUANTITY` each; a SKU that comes twice is added up."""
    quantities: dict[str, int] = {}
    for line in lines:
        sku, equals, quantity = line.rpartition("=")
        if not equals or not sku or not re.fullmatch(r"[0-9]{1,9}", quantity):
            raise typer.BadParameter(f"{line!r} is not SKU=QUANTITY, such as TEA-GREEN-100=2")
        quantities[sku] = quantities.get(sku, 0) + int(quantity)
    return quantities


def _print(order: Order, *, output: Output) -> None:
    if output is Output.JSON:
        print_json(order.model_dump(mode="json"), indent=None)
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in {
        "order": order.id,
        "status": order.status,
        "version": str(order.version),
        "reference": order.reference or "-",
        "total": format_amount(order.total, order.currency),
        "reason": f"{order.reason.code}: {order.reason.detail}" if order.reason else "-",
    }.items():
        grid.add_row(name, value)
    for line in order.lines:
        grid.add_row("line", f"{line.quantity} {line.sku}, {line.name}: {line.amount}")
    for entry in order.timeline:
        grid.add_row("timeline", f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {entry.status}")
    console.print(grid)
