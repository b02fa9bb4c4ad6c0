"""The newest orders. No table sorts all customers' orders by time, so there are three ways to find them."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from heapq import nlargest
from operator import attrgetter

from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import EPOCH, utc_now
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.order_items import to_order
from order_shared.storage.orders import OpenOrder, OrderRepository, Window

COUNT = 6

LOCAL_ITEMS = 1500
"""Number of orders in about 1 MB, the limit of one request."""

FUTURE = timedelta(days=1)
"""Margin for the clock of another machine, which may be ahead."""

by_time = attrgetter("created_at")


async def of_customer(orders: OrderRepository, customer: Customer) -> list[Order]:
    """Return a customer's newest orders, open and ended: one query. Raises StorageUnavailable."""
    found = await orders.list_orders(
        customer, Window(start=EPOCH, end=utc_now() + FUTURE), limit=COUNT, descending=True
    )
    return found.orders


async def of_open(orders: OrderRepository, entries: Iterable[OpenOrder]) -> list[Order]:
    """Return the newest open orders of all customers: one read each. Raises StorageUnavailable."""
    found = await asyncio.gather(*map(orders.get_entry, nlargest(COUNT, entries, key=by_time)))
    return [order for order in found if order is not None]


async def of_small_table(dynamo: Dynamo, table: str) -> list[Order]:
    """Return the newest orders of all customers among the first LOCAL_ITEMS of the table, for a local stack.

    Raises StorageUnavailable.
    """
    page = await dynamo.scan_page(table, limit=LOCAL_ITEMS)
    newest = nlargest(COUNT, page.items, key=lambda item: str(item["created_at"]))
    return [to_order(item) for item in newest]
