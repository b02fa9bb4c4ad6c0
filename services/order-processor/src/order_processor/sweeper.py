"""Republish the message of every order that is still open past its due time.

Every processor runs a sweeper. Each sweep reads some of the keys of the index `open_orders` (`storage/outbox.py`) and
finds the overdue orders. For each of them, a conditional write postpones the due time by a delay that doubles with
every sweep of the order, up to 15 minutes. The process whose write succeeds sends the message. A sweep of an order
counts only if SQS acknowledged the message, so an outage of SQS delays messages but does not park orders.

The sweeper avoids a second message for an order. When a flow returns a message to the queue for a later delivery, the
flow also sets the order's due time to a time after that delivery. Orders whose message may be part of a backlog are not
swept, and each sweep adds a limited number of messages: see `order_shared.messaging.backlog`.

Once per minute the sweeper reports the outbox, for metrics and for alarms based on log lines. It counts the messages of
the queue every COUNT_EVERY sweeps.
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
from order_processor.schedule import SweepSchedule
from order_shared.domain.clock import Clock, to_millis, to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.exceptions import StaleOrder
from order_shared.domain.order.messages import message_of
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.publisher import MessagePublisher
from order_shared.messaging.queue import MAX_BATCH, Depth, QueueUnavailable
from order_shared.storage.order_items import to_customer
from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, OrderRepository
from order_shared.storage.outbox import parked_rotation, sweep_rotation
from order_shared.tables import DEFAULT_OPEN_SHARDS

log = structlog.get_logger(__name__)

REPORT_EVERY = timedelta(minutes=1)
"""Interval between two log lines `outbox`, which contain the count of parked orders."""

COUNT_EVERY = 3
"""Sweeps between two counts of the queue's messages."""

COUNT_SECONDS = 2.0
"""Time limit for counting the messages of the queue."""

SHARD_LIMIT = 100
"""Maximum orders of one shard per sweep. The others follow in later sweeps."""


class RepublishResult(Enum):
    """Result of republishing the message of one order."""

    SENT = auto()
    REJECTED = auto()
    SKIPPED = auto()


@dataclass(eq=False)
class Sweeper:
    orders: OrderRepository
    publisher: MessagePublisher
    metrics: ProcessorMetrics
    _: KW_ONLY
    clock: Clock
    backlog: Backlog
    depth: Callable[[], Awaitable[Depth]]
    schedule: SweepSchedule
    interval: timedelta
    open_shards: int = DEFAULT_OPEN_SHARDS
    """Number of keys of the outbox to which orders are written."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _oldest: float = field(default=0.0, init=False)
    _oldest_unsent: float = field(default=0.0, init=False)
    _reported_at: datetime | None = field(default=None, init=False)
    _sweeps: int = field(default=0, init=False)
    _parked: dict[str, int] = field(default_factory=dict, init=False)
    """Number of parked orders by key, as of the last read of the key."""

    def __post_init__(self) -> None:
        self._swept_keys = sweep_rotation(self.open_shards)
        self._parked_keys = parked_rotation(self.open_shards)

    def stop(self) -> None:
        """Stop sweeping after the current batch. No further key of the outbox is read."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep at intervals until `stop` is called. An error ends one sweep, but not the sweeper."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval.total_seconds() * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads load
                    await self._stopping.wait()
                    return
            try:
                await self.sweep()
                if not self._stopping.is_set():
                    await self.report()
            except StorageUnavailable as error:
                log.warning("sweep_failed", error=str(error))
            except Exception:
                log.exception("sweep_crashed")

    async def sweep(self) -> int:
        """Sweep the next keys of the rotation, and return the number of messages sent.

        Stop early if SQS rejects a message, if the backlog allows no more messages, or after `stop`.
        """
        if self._sweeps % COUNT_EVERY == 0:
            await self._count_messages()
        self._sweeps += 1
        now = to_millis(self.clock())
        before = self.backlog.sweep_before(now)
        allowed = self.backlog.allowance()
        if before == 0:
            return 0
        sent = 0
        for shard in self._swept_keys.look():
            if self._stopping.is_set():
                break
            entries = await self.orders.list_due(shard, now if before is None else before, SHARD_LIMIT)
            self._swept_keys.was_read(shard, found=bool(entries))
            for start in range(0, len(entries), MAX_BATCH):
                batch = entries[start : min(start + MAX_BATCH, start + allowed - sent)]
                results = await asyncio.gather(*map(self._republish, batch))
                sent += results.count(RepublishResult.SENT)
                if RepublishResult.REJECTED in results or self._stopping.is_set() or sent >= allowed:
                    return sent
        return sent

    async def report(self) -> None:
        """Set the outbox metrics and log `outbox`, unless the last report is less than REPORT_EVERY ago.

        `oldest_open_seconds` is the age of the oldest order that any sweep since the last report found overdue. A sweep
        postpones the orders that it finds, so the next sweep does not see them: a gauge set by each sweep would be 0
        again before it is scraped.
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

    async def _count_messages(self) -> None:
        """Count the messages of the queue. Keep the last count if SQS does not respond in time."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                depth = await self.depth()
        except (QueueUnavailable, TimeoutError) as error:
            log.info("queue_not_counted", error=repr(error))
            return
        self.metrics.queues_counted(depth)
        self.backlog.counted(depth)

    async def count_parked(self) -> int:
        """Count the parked orders of the next keys. Return the sum of the latest counts of all keys.

        Set the metric to this sum. At most SHARD_LIMIT orders are counted per key. No key is read after `stop`.
        """
        for shard in self._parked_keys.look():
            if self._stopping.is_set():
                break
            found = len(await self.orders.list_due(shard, MAX_DUE_AT, SHARD_LIMIT))
            self._parked_keys.was_read(shard, found=found > 0)
            self._parked[shard] = found
        parked = sum(self._parked.values())
        self.metrics.parked.set(parked)
        return parked

    async def _republish(self, entry: OpenOrder) -> RepublishResult:
        """Republish the message of one order. A failure is logged and does not affect other orders."""
        try:
            return await self._try_to_republish(entry)
        except StaleOrder:
            pass  # another worker is processing the order
        except StorageUnavailable as error:
            self._oldest = max(self._oldest, self._age(entry.created_at))
            log.warning("order_not_swept", **_log_fields(entry), error=str(error))
        except Exception:
            self._oldest = max(self._oldest, self._age(entry.created_at))
            log.exception("order_not_swept", **_log_fields(entry))
        return RepublishResult.SKIPPED

    async def _try_to_republish(self, entry: OpenOrder) -> RepublishResult:
        sweeps = entry.sweeps + 1
        due_at = to_millis(self.clock() + self.schedule.jittered_wait(entry.sweeps))
        order = await self.orders.postpone(entry, due_at, sweeps=sweeps)
        if order is None:
            return RepublishResult.SKIPPED  # the order ended, or another sweeper has postponed it
        self._oldest = max(self._oldest, self._age(order.open_since))
        if self.schedule.is_overdue(entry.sweeps):
            await self.orders.move(order, order.park(self.clock(), "overdue"))
            log.error("order_parked", order_id=order.order_id, reason="overdue")
            return RepublishResult.SKIPPED
        if await self.publisher.send(message_of(order)):
            self.backlog.added()
            self.metrics.sweeps.inc()
            log.info("order_swept", order_id=order.order_id, sweeps=sweeps)
            return RepublishResult.SENT
        moved = replace(entry, due_at=due_at, sweeps=sweeps)
        self._oldest_unsent = max(self._oldest_unsent, self._age(order.open_since))
        await self.orders.postpone(moved, to_millis(self.clock() + self.schedule.base), sweeps=entry.sweeps)
        return RepublishResult.REJECTED

    def _age(self, since: datetime) -> float:
        """Return the age in seconds."""
        return (self.clock() - since).total_seconds()


def _log_fields(entry: OpenOrder) -> dict[str, str]:
    """Return the log fields for an order whose id is not known. They never contain the customer id."""
    return {"tenant": to_customer(entry.customer_key).tenant, "created_at": to_text(entry.created_at)}
