"""Says events on the queue: offered after the commit, in batches, without the caller waiting.

A send that is lost is harmless. The order stays in `open_orders`, and the sweeper says it again.
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
"""Called once it is known whether SQS took a message: with None, or with a code that says why not."""


def ignore(_error: str | None) -> None:
    """Do nothing about a message that is settled."""


class EventPublisher(Protocol):
    """Publishes events. `Publisher` is the real one, and decorators wrap it."""

    def offer(self, event: Event, on_settled: Settled = ignore) -> None:
        """Send the event soon, if possible. Never waits and never fails."""

    async def send(self, event: Event, on_settled: Settled = ignore) -> bool:
        """Return True once SQS has acknowledged the message, and False if it may not have taken it."""
        ...

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of a shutdown, not of a call
        """Send what was offered, for at most `timeout` seconds; the sweeper sends the rest."""


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

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of a shutdown, not of a call
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
