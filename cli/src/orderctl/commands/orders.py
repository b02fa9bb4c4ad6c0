"""`orderctl orders`: a customer's verbs, which speak to the API, and an operator's, which speak to storage."""

from typing import Annotated

import typer

from orderctl.commands import customer_orders, parked_orders
from orderctl.commands.connection import Connection, CustomerOption, LocalOption, TenantOption
from orderctl.commands.customer_orders import QueryOption, SinceOption, SortOption, StatusOption, UntilOption
from orderctl.profile import DEFAULT_STATE, StateOption, make_target, reported_failures
from orderctl.terminal import Output, OutputOption

CUSTOMERS, OPERATORS = "As a customer", "As an operator"
DEFAULT_LIMIT = 20
DEFAULT_PARKED_LIMIT = 100

app = typer.Typer(
    no_args_is_help=True,
    help="""Place and follow orders as a customer; see to parked ones as an operator.

    As a customer, the API is asked: the one of ORDER_API_URL with the token of ORDER_TOKEN; or, with --local, the
    one that `orderctl local up` runs, as --customer of --tenant. Parked orders are those that the platform has
    stopped trying by itself.
    """,
)
app.command(rich_help_panel=CUSTOMERS)(customer_orders.post)
app.command(rich_help_panel=CUSTOMERS)(customer_orders.get)


@app.command("list", rich_help_panel=CUSTOMERS)
def list_orders(
    *,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    q: QueryOption = None,
    sort: SortOption = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="As an operator: all customers' parked orders, as `show` finds them.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help=f"{DEFAULT_LIMIT} by default, {DEFAULT_PARKED_LIMIT} parked ones."),
    ] = None,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: TenantOption = None,
    customer: CustomerOption = None,
) -> None:
    """List your orders, newest first.

    \b
    orderctl orders list --status pending --status reserved --since 24h
    orderctl orders list --q PO-2026 --since 2026-01-01 --until 2026-02-01 --output json
    """
    if not parked:
        connection = Connection(local=local, state=state, tenant=tenant, customer=customer)
        query = customer_orders.OrderQuery(
            status=status or (), since=since, until=until, q=q, sort=sort, limit=limit or DEFAULT_LIMIT
        )
        customer_orders.list_orders(connection, query, output=output)
        return
    if any(option is not None for option in (status, since, until, q, sort, tenant, customer)):
        raise typer.BadParameter(
            "of the parked orders all are listed: it takes --limit and --output", param_hint="--parked"
        )
    with reported_failures():
        parked_orders.list_parked(make_target(local, state), limit or DEFAULT_PARKED_LIMIT, output)


app.command(rich_help_panel=CUSTOMERS)(customer_orders.cancel)
app.command(rich_help_panel=CUSTOMERS)(customer_orders.watch)
app.command(rich_help_panel=OPERATORS)(parked_orders.show)
app.command(rich_help_panel=OPERATORS)(parked_orders.retry)
app.command(rich_help_panel=OPERATORS)(parked_orders.reject)
