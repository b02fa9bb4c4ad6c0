"""Settlement of handled messages. Each method returns the outcome, a label of the metric `order_messages`.

acknowledge   delete the message, in batches
defer         delete the message, because its order waits in the outbox
back off      make the message visible again after a jittered delay
dead-letter   send the message to the dead-letter queue with a reason, then delete it
release       make the message visible at once
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from order_shared.backoff import full_jitter
from order_shared.messaging.batcher import Batcher, EntryFailed
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.delivery import Delivery, Unprocessable
from order_shared.messaging.queue import OutgoingMessage, Queue, QueueUnavailable, Visibility

log = structlog.get_logger(__name__)

DELETE_ATTEMPTS = 3
DELETE_LINGER = 0.05
"""Seconds that the delete of a handled message may wait for other deletes, which are sent in the same request."""

Settle = Callable[[Delivery], Awaitable[str]]
"""Function that settles a message and returns the outcome."""


class Settlement:
    def __init__(self, queue: Queue, metrics: ConsumerMetrics) -> None:
        self._queue = queue
        self._metrics = metrics
        self._deletes: Batcher[str] = Batcher(queue.delete, linger=DELETE_LINGER)
        self._visibility_changes: Batcher[Visibility] = Batcher(queue.change_visibility)

    async def acknowledge(self, delivery: Delivery) -> str:
        for attempt in range(DELETE_ATTEMPTS):
            try:
                await self._deletes.submit(delivery.message.receipt)
            except EntryFailed as error:
                if error.failure and error.failure.gone:
                    break
                await asyncio.sleep(full_jitter(attempt, base=0.1, cap=1.0))
            else:
                break
        else:
            log.warning("delete_failed", message_id=delivery.message.message_id)
            return "delete_failed"  # the message is delivered again, and handling it again changes nothing
        return "acknowledged"

    async def defer(self, delivery: Delivery, cause: str) -> str:
        self._metrics.retries.labels(cause).inc()
        outcome = await self.acknowledge(delivery)
        return "deferred" if outcome == "acknowledged" else outcome

    async def back_off(self, delivery: Delivery, reason: str) -> str:
        self._metrics.retries.labels(reason).inc()
        await self._hide(delivery, delivery.retry_in)
        return "retried"

    async def dead_letter(self, delivery: Delivery, error: Unprocessable) -> str:
        message = delivery.message
        letter = OutgoingMessage(
            message.body,
            {"reason": error.reason, "detail": _plain(error.detail), "message_id": message.message_id},
        )
        try:
            failures = await self._queue.dead_letter([letter])
        except QueueUnavailable as unavailable:
            failures = None
            log.warning("dead_letter_failed", message_id=message.message_id, error=str(unavailable))
        if failures != []:
            return await self.back_off(delivery, "not_dead_lettered")
        log.error("message_dead_lettered", message_id=message.message_id, reason=error.reason, detail=error.detail)
        await self.acknowledge(delivery)
        return "dead_lettered"

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """Make messages visible at once, so that no consumer has to wait for their visibility timeout."""
        await asyncio.gather(*(self._hide(delivery, 0) for delivery in deliveries))

    async def close(self) -> None:
        """Send the deletes and visibility changes that still wait in batches."""
        await asyncio.gather(self._deletes.close(), self._visibility_changes.close())

    async def _hide(self, delivery: Delivery, seconds: int) -> None:
        delivery.settled = True
        try:
            await self._visibility_changes.submit(Visibility(delivery.message.receipt, seconds))
        except EntryFailed as error:
            log.info("visibility_unchanged", message_id=delivery.message.message_id, error=str(error))


async def drop(_delivery: Delivery) -> str:
    """Leave a lost delivery unsettled, because another consumer may have the message."""
    return "lease_lost"


def _plain(detail: str) -> str:
    """Return the first 500 characters of the text as a message attribute, which must be ASCII and not empty.

    Other characters are escaped with backslashes, so the result may be longer.
    """
    return detail[:500].encode("ascii", "backslashreplace").decode() or "-"
