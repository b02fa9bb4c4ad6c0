"""Append the events of changed orders, with one transaction per tenant at a time.

Changes of a tenant that arrive during a transaction wait for the next one, which appends them together. At low load a
change is appended at once; at high load a transaction appends up to MAX_ORDERS orders.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from order_notifier.changes import Change
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.append import MAX_ORDERS, EventLogWriter
from order_shared.storage.orders import OrderRepository, UnreadableOrder


class ChangedOrderUnreadable(PlatformError):
    """This release cannot read the changed order, usually because a newer release wrote it."""


Waiting = dict[Change, "asyncio.Future[None]"]


class Appender:
    def __init__(
        self,
        orders: OrderRepository,
        log: EventLogWriter,
        *,
        on_appended: Callable[[str, int], None],
        on_timelines: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Create an appender. `on_appended` is called with the tenant and the number of events of each append.

        `on_timelines` is called with the number of orders whose history is derived from a timeline.
        """
        self._orders = orders
        self._log = log
        self._on_appended = on_appended
        self._on_timelines = on_timelines
        self._waiting: defaultdict[str, Waiting] = defaultdict(dict)
        self._running: dict[str, asyncio.Task[None]] = {}

    async def append(self, change: Change) -> None:
        """Append the events of a changed order that the log lacks. The order is read after this call.

        Raises StorageUnavailable and ChangedOrderUnreadable.
        """
        tenant = change.customer.tenant
        waiting = self._waiting[tenant]
        outcome = waiting.get(change)
        if outcome is None:
            outcome = waiting[change] = asyncio.get_running_loop().create_future()
            outcome.add_done_callback(_retrieve)
        if tenant not in self._running:
            self._running[tenant] = asyncio.create_task(self._run(tenant))
        await asyncio.shield(outcome)  # messages of one order share it, and one of them may be cancelled

    async def close(self) -> None:
        """Wait until nothing is appended any more."""
        while self._running:
            await asyncio.gather(*self._running.values())

    async def _run(self, tenant: str) -> None:
        try:
            while waiting := self._waiting.pop(tenant, None):
                batch = dict(list(waiting.items())[:MAX_ORDERS])
                if len(batch) < len(waiting):
                    self._waiting[tenant] = {change: waiting[change] for change in waiting if change not in batch}
                await self._append(tenant, batch)
        finally:
            del self._running[tenant]

    async def _append(self, tenant: str, batch: Waiting) -> None:
        """Append the events of a batch of orders, and set the result of each.

        If a batch fails other than by an outage, each order is tried alone, so that only the faulty one fails.
        """
        try:
            found = await self._orders.get_many([(each.customer, each.created_at) for each in batch])
            orders = [order for order in found if isinstance(order, Order)]
            if orders:
                self._on_appended(tenant, await self._log.append(tenant, orders))
                self._on_timelines(sum(not order.stores_history for order in orders))
        except Exception as error:  # noqa: BLE001 - the waiting messages get it
            if len(batch) > 1 and not isinstance(error, StorageUnavailable):
                for change, outcome in batch.items():
                    await self._append(tenant, {change: outcome})
                return
            for outcome in batch.values():
                outcome.set_exception(error)
            return
        for order in found:
            if isinstance(order, UnreadableOrder):
                batch[Change(order.customer, order.created_at)].set_exception(ChangedOrderUnreadable(order.error))
        for outcome in batch.values():
            if not outcome.done():
                outcome.set_result(None)


def _retrieve(outcome: "asyncio.Future[None]") -> None:
    """Mark the error of an outcome as retrieved: asyncio logs an error that no message retrieves."""
    if not outcome.cancelled():
        outcome.exception()
