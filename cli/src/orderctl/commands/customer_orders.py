"""Commands of `orderctl orders` for customers, which access the platform only through the API."""

import os
import re
import uuid
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
from orderctl.commands.payment_text import payment_text
from orderctl.exceptions import Failed
from orderctl.profile import DEFAULT_STATE, StateOption
from orderctl.terminal import Output, OutputOption, console, errors, print_json, printable

MAX_PAGE = 100
DURATION = re.compile(r"(\d{1,5})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """Parse a time (`2026-01-31`, `2026-01-31T09:05:00Z`; UTC by default) or a duration before now (`90m`, `7d`)."""
    if duration := DURATION.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[duration[2]]: int(duration[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-01-31T09:05, and no duration such as 24h") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


OrderIdArgument = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Order id, such as ord_0197….")]
LinesArgument = Annotated[
    list[str], typer.Argument(metavar="SKU=QUANTITY…", help="SKU and units of each line, such as TEA-GREEN-100=2.")
]
TimeoutOption = Annotated[float, typer.Option(min=0.0, help="Seconds to wait until the order ends.")]
StatusOption = Annotated[
    list[OrderStatus] | None, typer.Option(help="Only orders with this status; repeat it for more than one.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        parser=moment,
        metavar="TIME",
        help="Only orders placed since this time: UTC (2026-01-31T09:05), or a duration before now (24h, 7d).",
    ),
]
UntilOption = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only orders placed before this time.")
]
QueryOption = Annotated[
    str | None, typer.Option("--q", help="Only orders with this text in the reference or in a SKU.")
]
SortOption = Annotated[str | None, typer.Option(help="Order of the list; created_at is oldest first.")]


@dataclass(frozen=True, kw_only=True)
class OrderQuery:
    """Filter, sort order and maximum length of a list of orders."""

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
        str | None, typer.Option(metavar="TOKEN", help="Payment token to charge, from the payment provider.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Your own reference for the order; unique among your orders.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Your own data, returned with the order; repeat it for more than one."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; by default a new one for each run.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the order ends; exit 1 unless it is confirmed.")
    ] = False,
    timeout: TimeoutOption = 60.0,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Place an order. Once the order is printed, it is stored durably.

    The idempotency key is printed on stderr before the request is sent: run the command again with the same arguments
    and --key, and at most one order is placed, whatever happened to the response. While the API fails, the request is
    repeated with that key.

    \b
    orderctl orders post TEA-GREEN-100=2 POT-GLASS=1 --wait
    orderctl orders post TEA-GREEN-100=2 --pay pm_card_visa --reference PO-2026-0042 --metadata cart=c-4711
    """
    quantities, own_data = _quantities(lines), _metadata(metadata or ())

    async def placed(client: OrderClient) -> Order:
        used = key if key is not None else str(uuid.uuid4())
        if key is None:
            _print_key(used)
        order = await client.place_order(
            quantities, reference=reference, payment_token=pay, metadata=own_data or None, idempotency_key=used
        )
        if order.replayed:
            errors.print("this order was placed before, with the same idempotency key", style="dim")
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
    """Show one of your orders in its current state."""
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
    console.print(table if orders else "no orders found")


def cancel(
    order_id: OrderIdArgument,
    *,
    version: Annotated[int | None, typer.Option(min=1, help="Cancel only if the order still has this version.")] = None,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """Cancel an order: at once while it is pending; otherwise its stock and payment are undone first.

    Safe to repeat. `get` shows the status `cancelled` when everything is undone.
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
        printed = 0
        async for order in client.watch_order(order_id, timeout=timeout):
            if output is Output.JSON:
                print_json(order.model_dump(mode="json"), indent=None)
                continue
            for entry in order.timeline[printed:]:
                console.print(f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {entry.status}")
            printed = len(order.timeline)
            if order.reason:
                console.print(f"{order.reason.code}: {order.reason.detail}")

    Connection(local=local, state=state, tenant=tenant, customer=customer).run(watched)


def _print_key(key: str) -> None:
    """Print the idempotency key on stderr. Raises Failed if that fails: a repetition would place a second order."""
    failure = Failed("nothing was sent, because the idempotency key cannot be printed: choose one with --key")
    if errors.file.name == os.devnull:  # it replaces a closed stream
        raise failure
    try:
        errors.print_or_raise(f"to repeat this command safely, add --key {key}", style="dim")
    except OSError as error:
        raise failure from error


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
    """Return the quantity of each SKU from `SKU=QUANTITY` arguments. Quantities of a repeated SKU are added up.

    Raises:
        BadParameter: if an argument has another form.
    """
    quantities: dict[str, int] = {}
    for line in lines:
        sku, equals, quantity = line.rpartition("=")
        if not equals or not sku or not re.fullmatch(r"[0-9]{1,9}", quantity):
            raise typer.BadParameter(f"{line!r} is not SKU=QUANTITY, such as TEA-GREEN-100=2")
        quantities[sku] = quantities.get(sku, 0) + int(quantity)
    return quantities


def _metadata(pairs: Sequence[str]) -> Mapping[str, str]:
    """Return metadata from `KEY=VALUE` arguments. A value may be empty, and may contain `=`.

    Raises:
        BadParameter: if an argument has another form, or a key is repeated.
    """
    metadata: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE, such as cart=c-4711", param_hint="--metadata")
        if key in metadata:
            raise typer.BadParameter(f"the key {key!r} is given twice", param_hint="--metadata")
        metadata[key] = value
    return metadata


def _print(order: Order, *, output: Output) -> None:
    if output is Output.JSON:
        print_json(order.model_dump(mode="json"), indent=None)
    else:
        console.print(order_grid(order))


def order_grid(order: Order) -> Table:
    """Return an order as its customer sees it."""
    grid = Table.grid(padding=(0, 2))
    for name, value in {
        "order": order.id,
        "status": order.status,
        "version": str(order.version),
        "reference": order.reference or "-",
        "placed by": order.placed_by or "-",
        "total": format_amount(order.total, order.currency),
        "payment": payment_text(order.payment, order.currency),
        "reason": f"{order.reason.code}: {order.reason.detail}" if order.reason else "-",
    }.items():
        grid.add_row(name, value)
    for line in order.lines:
        grid.add_row("line", f"{line.quantity} {line.sku}, {line.name}: {format_amount(line.amount, order.currency)}")
    for name, value in order.metadata.items():
        grid.add_row("metadata", f"{name}={value}")
    for movement in order.payment.history if order.payment else ():
        amount = format_amount(movement.amount, order.currency)
        grid.add_row("movement", f"{movement.at:%Y-%m-%d %H:%M:%S.%f}  {movement.type} {amount}")
    for entry in order.timeline:
        grid.add_row("timeline", f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {entry.status}")
    return grid
