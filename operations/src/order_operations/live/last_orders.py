"""The last orders, the newest first. No table sorts all customers' orders by time, so there are three ways."""

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
"""About 1 MB of orders, which is what one request reads at most."""

FUTURE = timedelta(days=1)
"""Another machine's clock may be ahead."""

by_time = attrgetter("created_at")


async def of_customer(orders: OrderRepository, customer: Customer) -> list[Order]:
    """A customer's, whatever became of them: one query. Raises StorageUnavailable."""
    found = await orders.list_orders(
        customer, Window(start=EPOCH, end=utc_now() + FUTURE), limit=COUNT, descending=True
    )
    return found.orders


async def of_open(orders: OrderRepository, entries: Iterable[OpenOrder]) -> list[Order]:
    """Of everybody's orders those that are open: one read each. Raises StorageUnavailable."""
    found = await asyncio.gather(*map(orders.get_entry, nlargest(COUNT, entries, key=by_time)))
    return [order for order in found if order is not None]


async def of_small_table(dynamo: Dynamo, table: str) -> list[Order]:
    """Everybody's, whatever became of them, among the first LOCAL_ITEMS of the table; for a stack on one machine.

    Raises StorageUnavailable.
    """
    page = await dynamo.scan_page(table, limit=LOCAL_ITEMS)
    newest = nlargest(COUNT, page.items, key=lambda item: str(item["created_at"]))
    return [to_order(item) for item in newest]
