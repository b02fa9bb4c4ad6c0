"""Batching of single requests to SQS: sends, deletes and visibility changes.

A batch is sent when it is full or has waited for `linger` seconds, as soon as fewer than `concurrency` batches are
being sent. Each entry has its own result. If the request for a batch fails, all of its entries fail.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

import structlog

from order_shared.messaging.queue import MAX_BATCH, MAX_BATCH_BYTES, EntryFailure, QueueUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

LINGER_SECONDS = 0.004


class EntryFailed(Exception):
    """An entry failed. `failure` is SQS's error for it.

    `failure` is None if the whole batch failed, or the entry was not accepted because the buffer is full or closed.
    """

    def __init__(self, failure: EntryFailure | None) -> None:
        super().__init__(failure.code if failure else "batch_failed")
        self.failure = failure


class Batcher(Generic[T]):
    """Buffer that combines entries of one kind into batched calls.

    `flush` sends 1 to 10 entries, returns the failed ones and may raise QueueUnavailable. `size` returns the bytes of
    an entry that count towards the size limit of a batch. `on_batch` receives the number of entries of each batch. At
    most `capacity` entries wait, and at most `concurrency` batches are sent at the same time.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[list[EntryFailure]]],
        *,
        size: Callable[[T], int] = lambda _: 0,
        on_batch: Callable[[int], None] = lambda _: None,
        linger: float = LINGER_SECONDS,
        capacity: int = 10_000,
        concurrency: int = 4,
    ) -> None:
        self._flush = flush
        self._size = size
        self._on_batch = on_batch
        self._linger = linger
        self._capacity = capacity
        self._slots = asyncio.Semaphore(concurrency)
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False
        self._dispatcher: asyncio.Task[None] | None = None
        self._flights: set[asyncio.Task[None]] = set()

    def offer(self, entry: T) -> asyncio.Future[None] | None:
        """Add the entry without waiting. Return None if the buffer is full or the batcher is closed.

        The future raises EntryFailed if the entry fails.
        """
        outcome = self._put(entry)
        if outcome is not None:
            outcome.add_done_callback(_retrieve)
        return outcome

    def _put(self, entry: T) -> asyncio.Future[None] | None:
        if self._closing or len(self._waiting) >= self._capacity:
            return None
        if self._dispatcher is None:
            # In a separate context: the log context of the first entry must not apply to all others.
            self._dispatcher = asyncio.create_task(self._dispatch(), context=Context())
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, outcome))
        self._arrived.set()
        if len(self._waiting) >= MAX_BATCH:
            self._full.set()
        return outcome

    async def submit(self, entry: T) -> None:
        """Send the entry and wait until it has succeeded. Raises EntryFailed."""
        outcome = self._put(entry)
        if outcome is None:
            raise EntryFailed(None)
        await outcome

    async def close(self) -> None:
        """Send all waiting entries and wait for their results."""
        self._closing = True
        self._arrived.set()
        self._full.set()
        if self._dispatcher is not None:
            await self._dispatcher

    async def _dispatch(self) -> None:
        while True:
            await self._arrived.wait()
            if not self._waiting:
                if self._closing:
                    break
                self._arrived.clear()
                continue
            if len(self._waiting) < MAX_BATCH and not self._closing:
                self._full.clear()
                try:
                    async with asyncio.timeout(self._linger):
                        await self._full.wait()
                except TimeoutError:
                    pass
            await self._slots.acquire()
            flight = asyncio.create_task(self._send(self._take()))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        await asyncio.gather(*self._flights)

    def _take(self) -> list[tuple[T, asyncio.Future[None]]]:
        batch: list[tuple[T, asyncio.Future[None]]] = []
        room = MAX_BATCH_BYTES
        while self._waiting and len(batch) < MAX_BATCH:
            size = self._size(self._waiting[0][0])
            if batch and size > room:
                break
            room -= size
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: list[tuple[T, asyncio.Future[None]]]) -> None:
        self._on_batch(len(batch))
        try:
            failures = {failure.index: failure for failure in await self._flush([entry for entry, _ in batch])}
        except Exception as error:
            if isinstance(error, QueueUnavailable):
                log.warning("flush_failed", entries=len(batch), error=str(error))
            else:
                log.exception("flush_crashed")
            for _, outcome in batch:
                _settle(outcome, EntryFailed(None))  # otherwise callers would wait forever
        else:
            for index, (_, outcome) in enumerate(batch):
                _settle(outcome, EntryFailed(failures[index]) if index in failures else None)
        finally:
            self._slots.release()


def _settle(outcome: asyncio.Future[None], error: EntryFailed | None) -> None:
    if outcome.done():  # the caller was cancelled
        return
    if error is None:
        outcome.set_result(None)
    else:
        outcome.set_exception(error)


def _retrieve(outcome: asyncio.Future[None]) -> None:
    """Mark the error of an offered entry as retrieved: asyncio logs an error that no caller retrieves."""
    if not outcome.cancelled():
        outcome.exception()
