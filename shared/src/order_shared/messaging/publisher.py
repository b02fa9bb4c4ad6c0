"""Publisher of events to the queue, in batches. Callers publish an event after its order has been stored.

A lost send is harmless: the order stays in the index `open_orders`, and the sweeper republishes its event.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from order_shared.domain.order.events import Event
from order_shared.messaging.batcher import Batcher, EntryFailed
from order_shared.messaging.queue import OutgoingMessage, Queue

log = structlog.get_logger(__name__)


Settled = Callable[[str | None], None]
"""Callback for the result of a send: None once SQS has accepted the message, otherwise an error code."""


def ignore(_error: str | None) -> None:
    """Ignore the result of a send."""


class EventPublisher(Protocol):
    """Port for publishing events. `Publisher` implements it; `TracedPublisher` wraps another publisher."""

    def offer(self, event: Event, on_settled: Settled = ignore) -> None:
        """Buffer the event for sending, without waiting. If the buffer is full, the event is not sent."""

    async def send(self, event: Event, on_settled: Settled = ignore) -> bool:
        """Send the event and wait for the result. Return False if SQS may not have accepted the message."""
        ...

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - limit of the shutdown
        """Send the buffered events, for at most `timeout` seconds. The sweeper republishes all others."""


class Publisher:
    def __init__(
        self,
        queue: Queue,
        *,
        capacity: int = 10_000,
        on_batch: Callable[[int], None] = lambda _: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._batcher: Batcher[OutgoingMessage] = Batcher(
            queue.send, size=lambda message: message.size, on_batch=on_batch, capacity=capacity
        )
        self._on_failure = on_failure

    def offer(self, event: Event, on_settled: Settled = ignore) -> None:
        outcome = self._batcher.offer(OutgoingMessage(event.to_json()))
        if outcome is None:
            self._settle(event, on_settled, "buffer_full")
            return

        def check(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            self._settle(event, on_settled, None if error is None else str(error))

        outcome.add_done_callback(check)

    async def send(self, event: Event, on_settled: Settled = ignore) -> bool:
        try:
            await self._batcher.submit(OutgoingMessage(event.to_json()))
        except EntryFailed as error:
            self._settle(event, on_settled, str(error))
            return False
        self._settle(event, on_settled, None)
        return True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - limit of the shutdown
        try:
            async with asyncio.timeout(timeout):
                await self._batcher.close()
        except TimeoutError:
            log.warning("publisher_not_flushed", timeout=timeout)

    def _settle(self, event: Event, on_settled: Settled, error: str | None) -> None:
        on_settled(error)
        if error is not None:
            self._on_failure()
            log.warning("publish_failed", order_id=event.subject, code=error)
