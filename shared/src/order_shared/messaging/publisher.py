"""Says events on the queue: offered after the commit, in batches, without the caller waiting.

A send that is lost is harmless. The order stays in `open_orders`, and the sweeper says it again.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from order_shared.messaging.batcher import LINGER_SECONDS, Batcher, EntryFailed
from order_shared.messaging.queue import OutgoingMessage, Queue
from order_shared.order.events import Event

if TYPE_CHECKING:
    from order_shared.tracing.spans import Sent, Tracing

log = structlog.get_logger(__name__)


class Publisher:
    def __init__(
        self,
        queue: Queue,
        *,
        linger: float = LINGER_SECONDS,
        capacity: int = 10_000,
        on_batch: Callable[[int], None] = lambda _: None,
        on_failure: Callable[[], None] = lambda: None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._batcher: Batcher[OutgoingMessage] = Batcher(
            queue.send, size=lambda message: message.size, on_batch=on_batch, linger=linger, capacity=capacity
        )
        self._on_failure = on_failure
        self._tracing = tracing

    def offer(self, event: Event) -> None:
        """Sends it soon, if it can; never waits and never fails."""
        message, sent = self._message(event)
        outcome = self._batcher.offer(message)
        if outcome is None:
            sent("buffer_full")
            return

        def check(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            sent(None if error is None else str(error))

        outcome.add_done_callback(check)

    async def send(self, event: Event) -> bool:
        """True once SQS has acknowledged the message; False if it may not have taken it."""
        message, sent = self._message(event)
        try:
            await self._batcher.submit(message)
        except EntryFailed as error:
            sent(str(error))
            return False
        sent(None)
        return True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of a shutdown, not of a call
        """Flushes what was offered, for at most `timeout` seconds; the sweeper takes the rest."""
        try:
            async with asyncio.timeout(timeout):
                await self._batcher.close()
        except TimeoutError:
            log.warning("publisher_not_flushed", timeout=timeout)

    def _message(self, event: Event) -> tuple[OutgoingMessage, "Sent"]:
        """What is sent, and who is to be told whether SQS took it."""
        if self._tracing is None:
            return OutgoingMessage(event.to_json()), partial(self._check, event)
        event, span_sent = self._tracing.sending(event)

        def sent(error: str | None) -> None:
            span_sent(error)
            self._check(event, error)

        return OutgoingMessage(event.to_json()), sent

    def _check(self, event: Event, error: str | None) -> None:
        if error is not None:
            self._on_failure()
            log.warning("publish_failed", order_id=event.subject, code=error)
