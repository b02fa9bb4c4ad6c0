"""Commands of `orderctl orders` for operators: show a stored order, and list, retry or reject parked orders."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table

from order_operations import parked_orders
from order_operations.target import Target
from order_shared.domain.clock import to_text, utc_now
from order_shared.domain.money.currencies import format_amount
from order_shared.domain.order.models import Order
from order_shared.domain.order.payments import PaymentCall
from order_shared.storage.audit_trail import Operation
from order_shared.storage.orders import UnreadableOrder
from orderctl.commands.payment_text import payment_text
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.terminal import DryRunOption, Output, YesOption, checked_reason, confirm, console, errors, print_json

T = TypeVar("T")

ORDER_ID_LENGTH = 36

OrderIdArgument = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Order id, such as ord_0197….")]
TenantOption = Annotated[str, typer.Option(help="Tenant of the order.")]
ReasonOption = Annotated[str, typer.Option(help="Reason, kept in the audit trail with your name.")]


def list_parked(target: Target, limit: int, output: Output) -> None:
    """Print up to `limit` parked orders, those parked longest first."""
    orders = target.run(lambda adapters: parked_orders.list_parked(adapters, limit))
    if output is Output.JSON:
        print_json([summary(order) for order in orders])
        return
    console.print(parked_table(orders) if orders else "no order is parked")
    if unreadable := sum(isinstance(order, UnreadableOrder) for order in orders):
        errors.print(
            f"{unreadable} of them cannot be read: this orderctl is older than the release that wrote them",
            style="yellow",
        )


def show(
    order_id: OrderIdArgument,
    tenant: TenantOption,
    *,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show an order as stored, and the operators' actions on it. Payment tokens are never shown."""
    with reported_failures():
        target = make_target(local, state)
        order = target.run(lambda adapters: adapters.orders.get_by_id(tenant, order_id))
        console.print(order_grid(order, target.audit.of(order_id)))


def retry(
    order_id: OrderIdArgument,
    tenant: TenantOption,
    reason: ReasonOption,
    *,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Process a parked order again, with its attempts counted from zero."""
    with reported_failures():
        target = make_target(local, state)
        sent = _act(parked_orders.retry, target, tenant, order_id, reason, dry_run=dry_run, yes=yes)
        if sent is not None:
            console.print(
                "retried: " + ("its message was sent" if sent else "SQS rejected its message; the sweeper will send it")
            )


def reject(
    order_id: OrderIdArgument,
    tenant: TenantOption,
    reason: ReasonOption,
    *,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """End a parked order. If it holds stock, the processor undoes payment and stock and then cancels the order."""
    with reported_failures():
        target = make_target(local, state)
        after = _act(parked_orders.reject, target, tenant, order_id, reason, dry_run=dry_run, yes=yes)
        if after is not None:
            outcome = "the processor undoes its payment and stock" if after.is_open else str(after.status)
            console.print(f"{order_id}: {outcome}")


def _act(
    verb: Callable[..., Awaitable[T]],
    target: Target,
    tenant: str,
    order_id: str,
    reason: str,
    *,
    dry_run: bool,
    yes: bool,
) -> T | None:
    """Announce the target, ask for confirmation, run `verb` on the order, and return its result; None for a dry run.

    Raises:
        UsageError: if the reason is blank.
        OrderNotFound: if the tenant has no such order.
        Refused, Interrupted: if the operator does not confirm.
    """
    checked_reason(reason, required=True)
    order = target.run(lambda adapters: adapters.orders.get_by_id(tenant, order_id))
    announce_target(target, target.settings.dynamodb_endpoint, tables=f"{target.settings.table_prefix}*")
    if dry_run:
        console.print(f"would {verb.__name__} {_line(order)}")
        return None
    confirm(f"{verb.__name__.capitalize()} {_line(order)}?", yes=yes)
    facts = {"actor": target.actor, "reason": reason, "at": utc_now()}
    return target.run(lambda adapters: verb(adapters, target.audit, order, **facts))


def _line(order: Order) -> str:
    return f"{order.order_id} of {order.customer}, {order.status}, {format_amount(order.total, order.currency)}"


def parked_table(orders: Iterable[Order | UnreadableOrder]) -> Table:
    """Return the list of parked orders, with several lines for each, so that it fits into 80 columns."""
    table = Table(
        Column("order, customer", overflow="fold", min_width=ORDER_ID_LENGTH),
        Column("status", overflow="fold"),
        Column("reason, since, last error", overflow="fold"),
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for order in orders:
        shown = summary(order)
        table.add_row(
            f"{shown['order']}\n{order.customer}",
            f"{shown['status']}\nattempts {shown['attempts']}",
            f"{shown['parked_for']}\n{shown['since']}\n{shown['last_error']}",
        )
    return table


def order_grid(order: Order, operations: Iterable[Operation]) -> Table:
    """Return an order as stored, with the operators' actions on it."""
    grid = Table.grid(padding=(0, 2))
    for name, value in _details(order).items():
        grid.add_row(name, value)
    for name, value in order.metadata.items():
        grid.add_row("metadata", f"{name}={value}")
    for entry in order.history:
        grid.add_row("history", f"{to_text(entry.at)}  {', '.join(entry.types)}")
    for operation in operations:
        done = f"{to_text(operation.at)}  {operation.verb} by {operation.actor}: {operation.reason}"
        grid.add_row("operation", done)
    return grid


def summary(order: Order | UnreadableOrder) -> dict[str, str | int]:
    """Return what the list shows of a parked order, by name."""
    if isinstance(order, UnreadableOrder):
        return {
            "order": "-",
            "tenant": order.customer.tenant,
            "customer": order.customer.id,
            "status": "unreadable",
            "parked_for": order.error,
            "since": to_text(order.created_at),
            "attempts": "-",
            "last_error": "-",
        }
    parked, error = order.parking.parked, order.parking.last_error
    return {
        "order": order.order_id,
        "tenant": order.customer.tenant,
        "customer": order.customer.id,
        "status": str(order.status),
        "parked_for": parked.reason if parked else "-",
        "since": to_text(parked.at) if parked else "-",
        "attempts": order.parking.attempts,
        "last_error": error.type if error else "-",
    }


def _payment_attempts(order: Order) -> str:
    """Return the payment calls that needed another idempotency key, each with its number of keys used up before."""
    spent = {call: getattr(order.payment.attempts, call) for call in PaymentCall}
    return ", ".join(f"{call} {number}" for call, number in spent.items() if number) or "-"


def _details(order: Order) -> dict[str, str]:
    parked, error, undo = order.parking.parked, order.parking.last_error, order.payment.undo
    return {
        "order": order.order_id,
        "customer": str(order.customer),
        "placed by": order.placed_by or "-",
        "status": str(order.status),
        "version, fence": f"{order.version}, {order.fence}",
        "total": format_amount(order.total, order.currency),
        "lines": ", ".join(f"{line.quantity} {line.sku} (shard {line.shard})" for line in order.lines),
        "reference": order.reference or "-",
        "reason": order.reason.detail if order.reason else "-",
        "payment": payment_text(order.payment_summary, order.currency),
        "payment id": order.payment.id or "-",
        "payment attempts": _payment_attempts(order),
        "undo": " ".join(filter(None, (undo.kind, undo.code))) if undo else "-",
        "parked": f"{parked.reason}, {to_text(parked.at)}" if parked else "-",
        "sweeps, attempts": f"{order.schedule.sweeps}, {order.parking.attempts}",
        "last error": f"{to_text(error.at)}  {error.type}: {error.text}" if error else "-",
    }
