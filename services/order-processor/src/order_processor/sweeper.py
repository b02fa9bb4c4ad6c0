"""Republishes the message of every order that is still open after its due time.

Every processor sweeps. For each of 16 shards of the index `open_orders`, an overdue order's due time is
moved on by a conditional write, with doubling backoff; whoever wins that write sends the message. Only a
message that SQS acknowledged counts as a sweep: an outage postpones, and loses nothing.

It holds back as long as the queue's own delay explains why an order is still open.

Once a minute it says how the outbox and the queue are, for metrics and for alarms made of log lines.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog

from order_processor.metrics import ProcessorMetrics
from order_shared.backoff import doubled
from order_shared.domain.clock import Clock, to_millis, to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.events import event_of
from order_shared.domain.order.exceptions import StaleOrder
from order_shared.messaging.publisher import EventPublisher
from order_shared.messaging.queue import MAX_BATCH, Depth, QueueUnavailable
from order_shared.storage.order_items import to_customer
from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, OrderRepository
from order_shared.storage.outbox import PARKED_SHARDS, SWEPT_SHARDS

log = structlog.get_logger(__name__)

BACKOFF_CAP = timedelta(minutes=15)
MAX_HOLD_BACK = timedelta(minutes=10)
PARK_AFTER = timedelta(hours=24)
"""Age at which an open order is parked, so that an operator decides. Nothing open ever expires."""

REPORT_EVERY = timedelta(minutes=1)
"""Interval of the log line `outbox`, and of the count of parked orders that it contains."""

COUNT_SECONDS = 2.0
"""Time limit for counting the messages of the queue."""

SHARD_LIMIT = 100
"""Orders of one shard per sweep; the rest follow in the next one."""


class RepublishResult(Enum):
    """What became of saying an order again."""

    SENT = auto()
    REJECTED = auto()
    SKIPPED = auto()


@dataclass(eq=False)
class Sweeper:
    orders: OrderRepository
    publisher: EventPublisher
    metrics: ProcessorMetrics
    _: KW_ONLY
    clock: Clock
    lag_ms: Callable[[], int]
    """Tells how long the newest message had waited."""
    depth: Callable[[], Awaitable[Depth]]
    base: timedelta
    """The first backoff."""
    interval: timedelta
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _oldest: float = field(default=0.0, init=False)
    _oldest_unsent: float = field(default=0.0, init=False)
    _reported_at: datetime | None = field(default=None, init=False)

    def stop(self) -> None:
        """End the current sweep after the batch that it is at."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until `stop`. An error ends one sweep, and never the sweeper."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval.total_seconds() * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads load
                    await self._stopping.wait()
                    return
            try:
                await self.sweep()
                await self.report()
            except StorageUnavailable as error:
                log.warning("sweep_failed", error=str(error))
            except Exception:
                log.exception("sweep_crashed")

    async def sweep(self) -> int:
        """Sweep all shards once, and return the number of messages sent. Ends early when SQS takes none."""
        now = to_millis(self.clock())
        hold_back = min(self.lag_ms(), MAX_HOLD_BACK // timedelta(milliseconds=1))
        shards = list(SWEPT_SHARDS)
        random.shuffle(shards)  # several sweepers start at different ones
        sent = 0
        for shard in shards:
            entries = await self.orders.list_due(shard, now - hold_back, SHARD_LIMIT)
            for start in range(0, len(entries), MAX_BATCH):
                said = await asyncio.gather(*map(self._republish, entries[start : start + MAX_BATCH]))
                sent += said.count(RepublishResult.SENT)
                if RepublishResult.REJECTED in said or self._stopping.is_set():
                    return sent
        return sent

    async def report(self) -> None:
        """Measure outbox and queue, and log `outbox`, unless that was less than REPORT_EVERY ago.

        `oldest_open_seconds` is the age of the oldest order that any look since the last line found overdue: the one
        that finds it makes it wait again, so the next one would not see it. A gauge of each look would be back at 0
        before it is scraped.
        """
        now = self.clock()
        if self._reported_at is not None and now - self._reported_at < REPORT_EVERY:
            return
        self.metrics.open_oldest.set(self._oldest)
        self.metrics.unsent_oldest.set(self._oldest_unsent)
        log.info("outbox", parked=await self.count_parked(), oldest_open_seconds=round(self._oldest, 1))
        self._oldest = self._oldest_unsent = 0.0
        self._reported_at = now
        self.metrics.reported.set(now.timestamp())
        await self._count_messages()

    async def _count_messages(self) -> None:
        """Count the messages for the metrics. If SQS does not respond in time, the last count stays."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                depth = await self.depth()
        except (QueueUnavailable, TimeoutError) as error:
            log.info("queue_not_counted", error=repr(error))
            return
        self.metrics.queues_counted(depth)

    async def count_parked(self) -> int:
        """Count the orders that wait for an operator, and set the metric."""
        entries = [await self.orders.list_due(shard, MAX_DUE_AT, SHARD_LIMIT) for shard in PARKED_SHARDS]
        parked = sum(map(len, entries))
        self.metrics.parked.set(parked)
        return parked

    async def _republish(self, entry: OpenOrder) -> RepublishResult:
        """Sweep one order. If that fails, the others go on."""
        try:
            return await self._try_to_republish(entry)
        except StaleOrder:
            pass  # somebody is at work on it
        except StorageUnavailable as error:
            self._oldest = max(self._oldest, self._age(entry.created_at))
            log.warning("order_not_swept", **_named(entry), error=str(error))
        except Exception:
            self._oldest = max(self._oldest, self._age(entry.created_at))
            log.exception("order_not_swept", **_named(entry))
        return RepublishResult.SKIPPED

    async def _try_to_republish(self, entry: OpenOrder) -> RepublishResult:
        now = to_millis(self.clock())
        due_at = now + self._backoff_ms(entry.sweeps)
        order = await self.orders.postpone(entry, due_at, sweeps=entry.sweeps + 1)
        if order is None:
            return RepublishResult.SKIPPED  # ended, or another sweeper's
        self._oldest = max(self._oldest, self._age(order.open_since))
        if self.clock() - order.open_since > PARK_AFTER:
            await self.orders.move(order, order.park(self.clock(), "overdue"))
            log.error("order_parked", order_id=order.order_id, reason="overdue")
            return RepublishResult.SKIPPED
        if await self.publisher.send(event_of(order)):
            self.metrics.sweeps.inc()
            log.info("order_swept", order_id=order.order_id, sweeps=entry.sweeps + 1)
            return RepublishResult.SENT
        moved = replace(entry, due_at=due_at, sweeps=entry.sweeps + 1)
        self._oldest_unsent = max(self._oldest_unsent, self._age(order.open_since))
        await self.orders.postpone(moved, to_millis(self.clock() + self.base), sweeps=entry.sweeps)
        return RepublishResult.REJECTED

    def _age(self, since: datetime) -> float:
        """Return the age in seconds."""
        return (self.clock() - since).total_seconds()

    def _backoff_ms(self, sweeps: int) -> int:
        seconds = doubled(sweeps, base=self.base.total_seconds(), cap=BACKOFF_CAP.total_seconds())
        return int(seconds * 1000)


def _named(entry: OpenOrder) -> dict[str, str]:
    """Return what the log may say of an order whose id is not known. It never names the customer."""
    return {"tenant": to_customer(entry.customer_key).tenant, "created_at": to_text(entry.created_at)}
