"""What is done about an order: one function per event.

A flow is told an event, not a state. It may be told twice, late, or out of order, so each step is one
conditional write, and what the conditions say decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from order_shared.clock import Clock
from order_shared.exceptions import StorageUnavailable
from order_shared.inventory.repository import InventoryRepository
from order_shared.messaging.delivery import Delivery, Unprocessable
from order_shared.order.events import OrderPlaced
from order_shared.order.exceptions import OrderNotFound, OutOfStock, StaleOrder
from order_shared.order.models import Order, OrderLine, OrderStatus, Reason, ReasonCode
from order_shared.order.repository import OrderRepository

log = structlog.get_logger(__name__)

ROUNDS = 8
"""How often a flow decides anew when others were faster, before the message waits for its next turn."""


@dataclass(frozen=True)
class Workflow:
    """What flows work with."""

    orders: OrderRepository
    inventory: InventoryRepository
    clock: Clock
    on_ended: Callable[[Order, datetime], None]


async def place(event: OrderPlaced, delivery: Delivery, work: Workflow) -> None:
    """Takes the stock and confirms, in one transaction; or rejects, naming what is short.

    The first delivery is tried without a read: the event says how the order was when it was accepted.
    """
    order = event.order()
    if not delivery.is_first:
        order = await _read(order, work)
    for _ in range(ROUNDS):
        if order.status is not OrderStatus.PENDING:
            return  # it has ended, or somebody holds it; the outbox sees to that it ends
        try:
            await _move(order, order.confirm(work.clock()), delivery, work)
        except StaleOrder:
            order = await _read(order, work)
        except OutOfStock as error:
            short = await _cannot_be_gathered(order, error, delivery, work)
            if short is None:
                continue
            try:
                await _move(order, order.reject(work.clock(), _out_of_stock(short)), delivery, work)
            except StaleOrder:
                order = await _read(order, work)
            else:
                return
        else:
            return
    raise StorageUnavailable(f"order {order.order_id} changes too fast")


async def _move(before: Order, after: Order, delivery: Delivery, work: Workflow) -> None:
    delivery.ensure_held()
    await work.orders.move(before, after)
    work.on_ended(after, after.updated_at)
    log.info("order_ended", order_id=after.order_id, tenant=after.customer.tenant, status=after.status)


async def _read(order: Order, work: Workflow) -> Order:
    try:
        return await work.orders.get(order.customer, order.order_id)
    except OrderNotFound as error:
        raise Unprocessable("order_not_found", str(error)) from error


async def _cannot_be_gathered(order: Order, error: OutOfStock, delivery: Delivery, work: Workflow) -> OrderLine | None:
    """The first line whose stock is short over all its shards; None once it was brought together."""
    for line in order.lines:
        if line.sku in error.skus:
            delivery.ensure_held()
            gathered = await work.inventory.gather(
                order.customer.tenant, line.sku, shard=line.shard, quantity=line.quantity
            )
            if not gathered:
                return line
    return None


def _out_of_stock(line: OrderLine) -> Reason:
    return Reason(ReasonCode.OUT_OF_STOCK, f"fewer than {line.quantity} of {line.sku} are in stock", line.sku)
