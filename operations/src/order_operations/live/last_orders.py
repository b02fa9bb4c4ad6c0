"""Three ways to find the newest orders. No table or index sorts the orders of all customers by time."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from heapq import nlargest
from operator import attrgetter

from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import EPOCH, utc_now
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.orders import OpenOrder, OrderRepository, UnreadableOrder, Window, readable_order

COUNT = 6

LOCAL_ITEMS = 1500
"""Maximum number of orders that a scan reads: about 1 MB, the limit of one request."""

FUTURE = timedelta(days=1)
"""Margin for orders created by a machine whose clock is ahead."""

by_time = attrgetter("created_at")


async def of_customer(orders: OrderRepository, customer: Customer) -> list[Order]:
    """Return the newest orders of a customer, open and ended, with one query. Raises StorageUnavailable."""
    found = await orders.list_orders(
        customer, Window(start=EPOCH, end=utc_now() + FUTURE), limit=COUNT, descending=True
    )
    return _readable(found.orders)


async def of_open(orders: OrderRepository, entries: Iterable[OpenOrder]) -> list[Order]:
    """Return the newest orders among the outbox entries, with one read per order. Raises StorageUnavailable."""
    found = await asyncio.gather(*map(orders.get_entry, nlargest(COUNT, entries, key=by_time)))
    return _readable(found)


async def of_small_table(dynamo: Dynamo, table: str) -> list[Order]:
    """Return the newest of the first LOCAL_ITEMS orders that a scan of the table returns, for a local stack.

    Raises StorageUnavailable.
    """
    page = await dynamo.scan_page(table, limit=LOCAL_ITEMS)
    newest = nlargest(COUNT, page.items, key=lambda item: str(item["created_at"]))
    return _readable(map(readable_order, newest))


def _readable(found: Iterable[Order | UnreadableOrder | None]) -> list[Order]:
    """Return the orders that exist and that this release can read: an order of a newer release hides no other."""
    return [order for order in found if isinstance(order, Order)]
