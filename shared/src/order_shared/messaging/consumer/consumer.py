"""Consumer: receives messages, handles each one and settles it.

    poll ─► handle ─► acknowledge
              ├─ Unprocessable ─► dead-letter
              ├─ LeaseLost ─► drop           another consumer may have the message
              ├─ Deferred ─► defer           its order waits in the outbox
              └─ other error ─► back off

A poll never requests more messages than there are free permits, so that the handling of each received message starts
at once. A message keeps its permit while it is handled. The permit is released before the message is settled, unless
too many messages wait for settlement.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from order_shared.backoff import full_jitter
from order_shared.domain.errors import PlatformError
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.consumer.heartbeat import Heartbeat
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.consumer.settlement import Settle, Settlement, drop
from order_shared.messaging.delivery import Deferred, Delivery, Handler, LeaseLost, Unprocessable
from order_shared.messaging.queue import MAX_BATCH, Queue, QueueUnavailable, ReceivedMessage

log = structlog.get_logger(__name__)

HELD_SHARE = 0.9
"""Share of the visibility timeout for which a received message counts as held. SQS starts the timeout before its
response arrives."""

UNSETTLED_SHARE = 10
"""Limit of unsettled messages, as a multiple of `concurrency`. Above the limit, messages keep their permits until they
are settled, so that no more messages are received while the queue is unreachable."""

RELEASE_SECONDS = 3.0
"""Time limit for releasing unfinished messages after the drain time."""

CRASHED = "crashed"
"""Failure cause of an unexpected error in the handler, for metrics."""

ERROR_SLEEP_CAP = 5.0  # seconds between polls of an unreachable queue

FINISHED = frozenset({"acknowledged", "deferred", "dead_lettered"})
"""Outcomes of a message that has left the queue."""

OnHandled = Callable[[str | None], None]
"""Callback after each handling, unless the lease was lost. Its argument is the cause of the failure; None if the
handling succeeded."""


class Consumer:
    """Consumer of the work queue.

    After `stop`, it waits for started handlings until the drain time ends, then cancels them and releases their
    messages.
    """

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        options: ConsumerOptions,
        metrics: ConsumerMetrics,
        on_handled: OnHandled = lambda _: None,
        backlog: Backlog | None = None,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._options = options
        self._metrics = metrics
        self._on_handled = on_handled
        self._backlog = backlog or Backlog()
        self._permits = asyncio.Semaphore(options.concurrency)
        self._settlement = Settlement(queue, metrics)
        self._in_flight: dict[Delivery, None] = {}  # a set in the order of arrival, so that a run can be repeated
        self._heartbeat = Heartbeat(queue, self._in_flight, metrics, visibility=options.visibility)
        metrics.in_flight.set_function(lambda: len(self._in_flight))
        self._stopping = asyncio.Event()
        self._stopped_at = 0.0
        self._last_loops = [time.monotonic()] * options.pollers

    @property
    def idle_seconds(self) -> float:
        """Seconds since the slowest poller last started an iteration, for the liveness check."""
        return time.monotonic() - min(self._last_loops)

    def stop(self) -> None:
        if not self._stopping.is_set():
            self._stopped_at = time.monotonic()
            self._stopping.set()
            for _ in range(self._options.pollers):
                self._permits.release()  # wakes a poller that waits for a permit, so that it ends

    async def run(self) -> None:
        """Consume until `stop` is called. Any error of a poller or the heartbeat except QueueUnavailable is raised."""
        async with asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._heartbeat.run())
            pollers = [group.create_task(self._poll(number)) for number in range(self._options.pollers)]
            await self._stopping.wait()
            await asyncio.wait(pollers, timeout=self._drain_left())
            for poller in pollers:
                poller.cancel()
            unfinished = await self._finish()
            heartbeat.cancel()
            await asyncio.wait([heartbeat])  # a late beat would hide the released messages again
            await self._release(unfinished)

    async def _poll(self, number: int) -> None:
        errors = 0
        while not self._stopping.is_set():
            self._last_loops[number] = time.monotonic()
            permits = await self._take_permits()
            messages: list[ReceivedMessage] = []
            try:
                if not self._stopping.is_set():
                    messages = await self._receive(permits)
                    self._observe(messages)
                errors = 0
            except QueueUnavailable as error:
                log.warning("receive_failed", error=str(error))
                await self._sleep(full_jitter(errors, base=0.2, cap=ERROR_SLEEP_CAP))
                errors += 1
            for _ in range(permits - len(messages)):
                self._permits.release()
            held_until = time.monotonic() + HELD_SHARE * self._options.visibility
            deliveries = [Delivery(message, held_until, delay=self._options.retry_in) for message in messages]
            if self._stopping.is_set():
                await self._settlement.release(deliveries)
                for _ in deliveries:
                    self._permits.release()
            else:
                for delivery in deliveries:
                    self._start(delivery)

    async def _receive(self, limit: int) -> list[ReceivedMessage]:
        """Poll once. Raises QueueUnavailable, also after a time limit: an endless poll would stop its poller."""
        try:
            async with asyncio.timeout(self._options.wait + self._options.poll_grace):
                return await self._queue.receive(limit, self._options.wait, self._options.visibility)
        except TimeoutError:
            raise QueueUnavailable("no_end_of_poll") from None

    async def _take_permits(self) -> int:
        """Wait for one permit, and acquire up to nine more that are free. Return the number of acquired permits."""
        await self._permits.acquire()
        taken = 1
        while taken < MAX_BATCH and not self._permits.locked():
            await self._permits.acquire()
            taken += 1
        return taken

    def _observe(self, messages: Sequence[ReceivedMessage]) -> None:
        self._metrics.received.observe(len(messages))
        now_ms = time.time_ns() // 1_000_000
        first_sent = [message.sent_at for message in messages if message.receive_count == 1]
        for sent_at in first_sent:
            self._metrics.wait_seconds.observe(max(0, now_ms - sent_at) / 1000)
        if first_sent:
            self._backlog.received(first_sent, now_ms)

    async def _sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `stop` is called."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _start(self, delivery: Delivery) -> None:
        self._in_flight[delivery] = None
        delivery.task = asyncio.create_task(self._process(delivery))

    async def _process(self, delivery: Delivery) -> None:
        keeps_permit = True
        try:
            settle = await self._handle(delivery)
            keeps_permit = len(self._in_flight) > UNSETTLED_SHARE * self._options.concurrency
            if not keeps_permit:
                self._permits.release()
            outcome = await settle(delivery)
            self._metrics.outcomes[outcome].inc()
            if outcome in FINISHED:
                self._backlog.finished()
        finally:
            self._in_flight.pop(delivery, None)
            if keeps_permit:
                self._permits.release()

    async def _handle(self, delivery: Delivery) -> Settle:
        """Handle the message, and return the function that settles it."""
        started = time.perf_counter()
        settlement = self._settlement
        try:
            await self._handler(delivery)
        except Deferred as error:
            self._on_handled(error.cause)
            return partial(settlement.defer, cause=error.cause)
        except Unprocessable as error:
            self._on_handled("unprocessable")
            return partial(settlement.dead_letter, error=error)
        except LeaseLost:
            log.warning("lease_lost", message_id=delivery.message.message_id)
            return drop
        except PlatformError as error:
            log.warning("handler_failed", message_id=delivery.message.message_id, error=str(error))
            self._on_handled(error.cause)
            return partial(settlement.back_off, reason=error.cause)
        except Exception:
            log.exception("handler_crashed", message_id=delivery.message.message_id)
            self._on_handled(CRASHED)
            return partial(settlement.back_off, reason=CRASHED)
        finally:
            self._metrics.handle_seconds.observe(time.perf_counter() - started)
        self._on_handled(None)
        return settlement.acknowledge

    def _drain_left(self) -> float:
        return max(0.0, self._options.drain - (time.monotonic() - self._stopped_at))

    async def _finish(self) -> list[Delivery]:
        """Wait for the started handlings until the drain time ends. Cancel the unfinished ones and return them."""
        tasks = {delivery.task: delivery for delivery in self._in_flight if delivery.task}
        if not tasks:
            return []
        _, unfinished = await asyncio.wait(tasks, timeout=self._drain_left())
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return [tasks[task] for task in unfinished]

    async def _release(self, deliveries: Sequence[Delivery]) -> None:
        """Release unfinished messages. Stop after RELEASE_SECONDS, because the queue may be unreachable."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._settlement.release(deliveries)
                await self._settlement.close()
        except TimeoutError:
            log.warning("drain_cut_short", messages=len(deliveries))  # redelivered after their visibility timeout
