"""Says events on the queue: offered after the commit, in batches, without the caller waiting.

A send that is lost is harmless. The order stays in `open_orders`, and the sweeper says it again.
"""

import asyncio
from collections.abc import Callable

import structlog

from order_shared.messaging.batcher import LINGER_SECONDS, Batcher, EntryFailed
from order_shared.messaging.queue import OutgoingMessage, Queue
from order_shared.order.events import Event

log = structlog.get_logger(__name__)


class Publisher:
    def __init__(
        self,
        queue: Queue,
        *,
        linger: float = LINGER_SECONDS,
        capacity: int = 10_000,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._batcher: Batcher[OutgoingMessage] = Batcher(
            queue.send, size=lambda message: message.size, linger=linger, capacity=capacity
        )
        self._on_failure = on_failure

    def offer(self, event: Event) -> None:
        """Sends it soon, if it can; never waits and never fails."""
        outcome = self._batcher.offer(OutgoingMessage(event.to_json()))
        if outcome is None:
            self._failed(event, "buffer_full")
            return

        def check(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and (error := done.exception()):
                self._failed(event, str(error))

        outcome.add_done_callback(check)

    async def send(self, event: Event) -> bool:
        """True once SQS has acknowledged the message; False if it may not have taken it."""
        try:
            await self._batcher.submit(OutgoingMessage(event.to_json()))
        except EntryFailed as error:
            self._failed(event, str(error))
            return False
        return True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of a shutdown, not of a call
        """Flushes what was offered, for at most `timeout` seconds; the sweeper takes the rest."""
        try:
            async with asyncio.timeout(timeout):
                await self._batcher.close()
        except TimeoutError:
            log.warning("publisher_not_flushed", timeout=timeout)

    def _failed(self, event: Event, code: str) -> None:
        self._on_failure()
        log.warning("publish_failed", order_id=event.subject, code=code)
