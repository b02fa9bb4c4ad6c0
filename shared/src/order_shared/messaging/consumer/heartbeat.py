"""Heartbeat: extends the visibility timeout of each message in flight when less than half of it is left."""

import asyncio
import time
from collections.abc import Collection, Sequence

import structlog

from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.queue import MAX_BATCH, Queue, QueueUnavailable, Visibility

log = structlog.get_logger(__name__)


class Heartbeat:
    def __init__(
        self, queue: Queue, in_flight: Collection[Delivery], metrics: ConsumerMetrics, *, visibility: int
    ) -> None:
        """Create a heartbeat. `in_flight` may change while it runs. `visibility` is in seconds."""
        self._queue = queue
        self._in_flight = in_flight
        self._metrics = metrics
        self._visibility = visibility

    async def run(self) -> None:
        """Extend visibility timeouts until cancelled. An error other than QueueUnavailable ends the heartbeat."""
        while True:
            await asyncio.sleep(self._visibility / 6)
            now = time.monotonic()
            due = [each for each in self._in_flight if each.is_ours and each.held_until - now < self._visibility / 2]
            batches = [due[start : start + MAX_BATCH] for start in range(0, len(due), MAX_BATCH)]
            await asyncio.gather(*(self._extend(batch) for batch in batches))

    async def _extend(self, deliveries: Sequence[Delivery]) -> None:
        asked_at = time.monotonic()
        changes = [Visibility(each.message.receipt, self._visibility) for each in deliveries]
        self._metrics.heartbeats.inc(len(deliveries))
        try:
            failures = {failure.index: failure for failure in await self._queue.change_visibility(changes)}
        except QueueUnavailable as error:
            self._metrics.heartbeat_failures.inc(len(deliveries))
            log.warning("heartbeat_failed", error=str(error))  # the next beat retries
            return
        for index, delivery in enumerate(deliveries):
            failure = failures.get(index)
            if failure is None:
                delivery.held_until = asked_at + self._visibility
            else:
                self._metrics.heartbeat_failures.inc()
                delivery.lost = delivery.lost or failure.gone
