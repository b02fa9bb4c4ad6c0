"""`orderctl orders`: commands for customers, which call the API, and for operators, which access the tables."""

from typing import Annotated

import typer

from orderctl.commands import customer_orders, parked_orders, tenant_orders
from orderctl.commands.connection import Connection, LocalOption
from orderctl.commands.customer_orders import QueryOption, SinceOption, SortOption, StatusOption, UntilOption
from orderctl.profile import DEFAULT_STATE, StateOption, make_target, reported_failures
from orderctl.terminal import Output, OutputOption

CUSTOMERS, OPERATORS = "As a customer", "As an operator"
DEFAULT_LIMIT = 20
DEFAULT_PARKED_LIMIT = 100

app = typer.Typer(
    no_args_is_help=True,
    help="""Place and follow orders as a customer; handle parked orders as an operator.

    Customer commands use the API at ORDER_API_URL with the token in ORDER_TOKEN; with --local, the API that
    `orderctl local up` runs, as --customer of --tenant. A parked order is one that the platform no longer retries
    by itself.
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
    reference: Annotated[
        str | None, typer.Option(help="As an operator, with --tenant: only orders with exactly this reference.")
    ] = None,
    sort: SortOption = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="As an operator: list the parked orders of all customers.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help=f"Orders to list; by default {DEFAULT_LIMIT}, with --parked {DEFAULT_PARKED_LIMIT}."
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
    tenant: Annotated[
        str | None,
        typer.Option(
            help="As an operator: list the orders of all customers of this tenant, read from the tables. With --local "
            "and --customer: the orders of that customer, read through the API."
        ),
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option(
            help="The customer for whom you act; your token needs the scope orders:act. With --tenant: only orders of "
            "this customer."
        ),
    ] = None,
) -> None:
    """List your orders, newest first; as an operator, those of all customers of a tenant, or all parked orders.

    \b
    orderctl orders list --status pending --status reserved --since 24h
    orderctl orders list --q PO-2026 --since 2026-01-01 --until 2026-02-01 --output json
    orderctl orders list --tenant acme --status rejected --since 7d
    orderctl orders list --tenant acme --customer ada --reference PO-2026-0042
    """
    is_customer = local and customer is not None and reference is None
    if tenant is not None and not is_customer and not parked:
        if q is not None:
            raise typer.BadParameter("with --tenant, use --reference with a whole reference", param_hint="--q")
        search = tenant_orders.search_of(
            tenant,
            status=status or (),
            since=since,
            until=until,
            customer=customer,
            reference=reference,
            oldest_first=_is_oldest_first(sort),
        )
        with reported_failures():
            tenant_orders.list_tenant(make_target(local, state), search, limit or DEFAULT_LIMIT, output)
        return
    if reference is not None and not parked:
        raise typer.BadParameter("it needs --tenant; as a customer, use --q", param_hint="--reference")
    if not parked:
        connection = Connection(local=local, state=state, tenant=tenant, customer=customer)
        query = customer_orders.OrderQuery(
            status=status or (), since=since, until=until, q=q, sort=sort, limit=limit or DEFAULT_LIMIT
        )
        customer_orders.list_orders(connection, query, output=output)
        return
    if any(option is not None for option in (status, since, until, q, reference, sort, tenant, customer)):
        raise typer.BadParameter(
            "it lists all parked orders; only --limit and --output may be given with it", param_hint="--parked"
        )
    with reported_failures():
        parked_orders.list_parked(make_target(local, state), limit or DEFAULT_PARKED_LIMIT, output)


def _is_oldest_first(sort: str | None) -> bool:
    if sort not in {None, "created_at", "-created_at"}:
        raise typer.BadParameter(f"{sort!r} is neither -created_at nor created_at", param_hint="--sort")
    return sort == "created_at"


app.command(rich_help_panel=CUSTOMERS)(customer_orders.cancel)
app.command(rich_help_panel=CUSTOMERS)(customer_orders.watch)
app.command(rich_help_panel=OPERATORS)(parked_orders.show)
app.command(rich_help_panel=OPERATORS)(parked_orders.retry)
app.command(rich_help_panel=OPERATORS)(parked_orders.reject)
