"""`orderctl trigger`: make an event happen in the local stack."""

from typing import Annotated

import typer

from order_client import EventType, Order, OrderClient, OrderStatus
from orderctl.commands.connection import Connection
from orderctl.exceptions import Failed
from orderctl.profile import DEFAULT_STATE, StateOption
from orderctl.terminal import console, printable

CARD = "pm_card_visa"
"""Payment token that the payment sandbox charges."""
SECONDS = 60.0
SHORT = {str(each).removesuffix(".v1"): each for each in EventType}
PAID = frozenset({EventType.RESERVED, EventType.CHARGED})
CANCELLED = frozenset({EventType.CANCEL_REQUESTED, EventType.REFUNDED, EventType.CANCELLED})


def event_type(text: str) -> EventType:
    """Parse the type of an event, with or without its version."""
    found = SHORT.get(text.removesuffix(".v1"))
    if found is None:
        raise typer.BadParameter(f"{text!r} is no type; use one of {', '.join(SHORT)}")
    return found


def trigger(
    kind: Annotated[
        EventType,
        typer.Argument(parser=event_type, metavar="TYPE", help="Type of the event, such as order.rejected."),
    ],
    *,
    tenant: Annotated[str, typer.Option(help="Tenant of the order.")] = "acme",
    customer: Annotated[str, typer.Option(help="Customer of the order.")] = "ada",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Place an order in the local stack that leads to an event of this type, and print the order.

    \b
    orderctl trigger order.confirmed
    orderctl trigger order.rejected
    """

    async def happen(client: OrderClient) -> Order:
        return await _lead_to(client, kind)

    order = Connection(local=True, state=state, tenant=tenant, customer=customer).run(happen)
    console.print(f"{order.id}  {printable(order.status)}")


async def _lead_to(client: OrderClient, kind: EventType) -> Order:
    """Place an order with which an event of this type happens, and return it at its end. Raises Failed."""
    products = [product async for product in client.products()]
    stocked = [await client.get_product(product.sku) for product in products]
    product = max(stocked, key=lambda each: each.available, default=None)
    if product is None or product.available == 0:
        raise Failed("the tenant has no product in stock: run `orderctl local seed`")
    if kind is EventType.REJECTED:
        short = min(stocked, key=lambda each: each.available)
        placed = await client.place_order({short.sku: short.available + 1})
        return await client.wait_for_end(placed.id, timeout=SECONDS)
    token = CARD if kind in PAID | CANCELLED else None
    placed = await client.place_order({product.sku: 1}, payment_token=token)
    order = await client.wait_for_end(placed.id, timeout=SECONDS)
    if kind not in CANCELLED:
        return order
    if order.status is not OrderStatus.CONFIRMED:
        raise Failed(f"the order {order.id} became {order.status} and cannot be cancelled")
    await client.cancel_order(order.id)
    return await client.wait_for_end(order.id, timeout=SECONDS, until={OrderStatus.CANCELLED})
