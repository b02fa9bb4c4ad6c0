"""`orderctl orders list --tenant` for operators: the orders of all customers of a tenant, read from the tables."""

from collections.abc import Sequence
from datetime import datetime

from rich.table import Column, Table
from rich.text import Text

from order_operations.target import Target
from order_operations.tenant_orders import list_orders
from order_shared.domain.clock import to_text
from order_shared.domain.money.currencies import format_amount
from order_shared.domain.order.models import Order, OrderStatus
from order_shared.storage.orders import Window
from order_shared.storage.tenant_orders import TenantSearch
from orderctl.terminal import Output, console, errors, print_json, printable


def search_of(
    tenant: str,
    *,
    status: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    customer: str | None,
    reference: str | None,
    oldest_first: bool,
) -> TenantSearch:
    return TenantSearch(
        tenant=tenant,
        window=Window.between(since, until),
        statuses=frozenset(map(OrderStatus, status)),
        customer=customer,
        reference=reference,
        descending=not oldest_first,
    )


def list_tenant(target: Target, search: TenantSearch, limit: int, output: Output) -> None:
    """Print up to `limit` orders that match."""
    listed = target.run(lambda adapters: list_orders(adapters, search, limit))
    if output is Output.JSON:
        print_json(list(map(_summary, listed.orders)))
    else:
        columns = [Column(name, overflow="fold") for name in ("placed", "order, reference", "customer", "status")]
        table = Table(*columns, "total", box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for order in listed.orders:
            reference = [("\n" + printable(order.reference), "dim")] if order.reference else []
            table.add_row(
                f"{order.created_at:%Y-%m-%d %H:%M}",
                Text.assemble(printable(order.order_id), *reference),
                order.customer.id,
                order.status,
                format_amount(order.total, order.currency),
            )
        console.print(table if listed.orders else "no orders found")
    if listed.unreadable:
        errors.print(
            f"{len(listed.unreadable)} more cannot be read: this orderctl is older than the release that wrote them",
            style="yellow",
        )
    if listed.more:
        errors.print(f"there may be more than these {limit}: raise --limit, or narrow --since and --until", style="dim")


def _summary(order: Order) -> dict[str, str | int | None]:
    return {
        "order": order.order_id,
        "tenant": order.customer.tenant,
        "customer": order.customer.id,
        "status": str(order.status),
        "created_at": to_text(order.created_at),
        "reference": order.reference,
        "total": order.total,
        "currency": order.currency,
    }
