"""Publisher of messages to the queue, in batches. Callers publish a message after its order has been stored.

A lost send is harmless: the order stays in the index `open_orders`, and the sweeper republishes its message.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from order_shared.domain.order.messages import WorkMessage
from order_shared.messaging.batcher import Batcher, EntryFailed
from order_shared.messaging.queue import OutgoingMessage, Queue

log = structlog.get_logger(__name__)


Settled = Callable[[str | None], None]
"""Callback for the result of a send: None once SQS has accepted the message, otherwise an error code."""


def ignore(_error: str | None) -> None:
    """Ignore the result of a send."""


class MessagePublisher(Protocol):
    """Port for publishing messages. `Publisher` implements it; `TracedPublisher` wraps another publisher."""

    def offer(self, message: WorkMessage, on_settled: Settled = ignore) -> None:
        """Buffer the message for sending, without waiting. If the buffer is full, the message is not sent."""

    async def send(self, message: WorkMessage, on_settled: Settled = ignore) -> bool:
        """Send the message and wait for the result. Return False if SQS may not have accepted the message."""
        ...

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - limit of the shutdown
        """Send the buffered messages, for at most `timeout` seconds. The sweeper republishes all others."""


class Publisher:
    def __init__(
        self,
        queue: Queue,
        *,
        former_types: bool = False,
        capacity: int = 10_000,
        on_batch: Callable[[int], None] = lambda _: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Create a publisher. With `former_types` its messages have the types that the last release reads."""
        self._batcher: Batcher[OutgoingMessage] = Batcher(
            queue.send, size=lambda message: message.size, on_batch=on_batch, capacity=capacity
        )
        self._former_types = former_types
        self._on_failure = on_failure

    def offer(self, message: WorkMessage, on_settled: Settled = ignore) -> None:
        outcome = self._batcher.offer(OutgoingMessage(message.to_json(former_type=self._former_types)))
        if outcome is None:
            self._settle(message, on_settled, "buffer_full")
            return

        def check(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            self._settle(message, on_settled, None if error is None else str(error))

        outcome.add_done_callback(check)

    async def send(self, message: WorkMessage, on_settled: Settled = ignore) -> bool:
        try:
            await self._batcher.submit(OutgoingMessage(message.to_json(former_type=self._former_types)))
        except EntryFailed as error:
            self._settle(message, on_settled, str(error))
            return False
        self._settle(message, on_settled, None)
        return True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - limit of the shutdown
        try:
            async with asyncio.timeout(timeout):
                await self._batcher.close()
        except TimeoutError:
            log.warning("publisher_not_flushed", timeout=timeout)

    def _settle(self, message: WorkMessage, on_settled: Settled, error: str | None) -> None:
        on_settled(error)
        if error is not None:
            self._on_failure()
            log.warning("publish_failed", order_id=message.subject, code=error)
