"""Takes messages off the queue and sees each one through: acknowledged, tried again, or buried with a reason.

    poll ─► handle ─► acknowledge            deleted, in batches
              ├─ Unprocessable ─► bury       to the dead letters with a reason, then deleted
              ├─ LeaseLost ─► let go         it is somebody else's by now
              ├─ Deferred ─► acknowledge     deleted: its order waits in the outbox
              └─ any other ─► back off       visible again after a jittered wait
    a heartbeat extends whatever takes longer than half its visibility

A poll never asks for more messages than there are free permits, so nothing received waits for its turn while
its visibility runs out. A message holds its permit while it is handled, and not while the queue is told what became
of it, unless very many wait for that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from order_shared.backoff import full_jitter
from order_shared.exceptions import PlatformError
from order_shared.messaging.batcher import Batcher, EntryFailed
from order_shared.messaging.delivery import Deferred, Delivery, Handler, LeaseLost, Unprocessable
from order_shared.messaging.queue import (
    MAX_BATCH,
    OutgoingMessage,
    Queue,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from order_shared.telemetry import ConsumerMetrics

log = structlog.get_logger(__name__)

DELETE_ATTEMPTS = 3
DELETE_LINGER = 0.05
"""Seconds that a message which is done may wait for nine others, to be deleted with them in one request."""

HELD_SHARE = 0.9
"""Of a new message's visibility: SQS began to count before its answer came."""

UNSETTLED_SHARE = 10
"""So many times the messages that are handled at once may wait for the queue to be told. Beyond, they hold their
permits, and a queue that cannot be told brings no more."""

RELEASE_SECONDS = 3.0
"""For giving back what did not finish, after the drain time."""

CRASHED = "crashed"
"""The cause of a failure by an unexpected error."""

ERROR_PAUSE_CAP = 5.0  # seconds between polls of a queue that cannot be reached


@dataclass(frozen=True, kw_only=True)
class ConsumerOptions:
    """`concurrency` messages are handled at once. Times are in seconds.

    A poll is broken off `poll_grace` after its `wait`; what was begun at `stop` has `drain` to finish.
    """

    concurrency: int = 64
    pollers: int = 1
    wait: int = 20
    visibility: int = 30
    retry_base: float = 1.0
    retry_cap: float = 300.0
    drain: float = 60.0
    poll_grace: float = 10.0


OnHandled = Callable[[str | None], None]
"""Called after each handling of a message that was still ours: with the cause of its failure, or None."""


def ignore_outcome(_cause: str | None) -> None:
    """Count nothing."""


Settle = Callable[[Delivery], Awaitable[str]]
"""Tells the queue what became of a message; the outcome, as the metrics name it."""


class Consumer:
    """Runs until `stop`; then finishes what it has begun, gives the rest back, and returns."""

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        options: ConsumerOptions,
        metrics: ConsumerMetrics,
        on_handled: OnHandled = ignore_outcome,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._options = options
        self._metrics = metrics
        self._on_handled = on_handled
        self._permits = asyncio.Semaphore(options.concurrency)
        self._deletes: Batcher[str] = Batcher(queue.delete, linger=DELETE_LINGER)
        self._visibility_changes: Batcher[Visibility] = Batcher(queue.change_visibility)
        self._in_flight: set[Delivery] = set()
        metrics.in_flight.set_function(lambda: len(self._in_flight))
        self._stopping = asyncio.Event()
        self._stopped_at = 0.0
        self._last_loops = [time.monotonic()] * options.pollers
        self._lag_ms = 0

    @property
    def idle_seconds(self) -> float:
        """Age of the last turn of the poller that has been silent longest: the process's health."""
        return time.monotonic() - min(self._last_loops)

    @property
    def lag_ms(self) -> int:
        """How long the newest first delivery had waited in the queue; 0 when the queue ran empty."""
        return self._lag_ms

    def stop(self) -> None:
        if not self._stopping.is_set():
            self._stopped_at = time.monotonic()
            self._stopping.set()
            for _ in range(self._options.pollers):
                self._permits.release()  # a poller that waits for one shall come round and end

    async def run(self) -> None:
        """Any failure of a poller or of the heartbeat that is not the queue's ends this with an error."""
        async with asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._heartbeat())
            pollers = [group.create_task(self._poll(number)) for number in range(self._options.pollers)]
            await self._stopping.wait()
            await asyncio.wait(pollers, timeout=self._drain_left())
            for poller in pollers:
                poller.cancel()
            unfinished = await self._finish()
            heartbeat.cancel()
            await asyncio.wait([heartbeat])  # a late beat would hide again what is given back
            await self._give_back(unfinished)

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
                await self._pause(full_jitter(errors, base=0.2, cap=ERROR_PAUSE_CAP))
                errors += 1
            for _ in range(permits - len(messages)):
                self._permits.release()
            held_until = time.monotonic() + HELD_SHARE * self._options.visibility
            deliveries = [Delivery(message, held_until) for message in messages]
            if self._stopping.is_set():
                await self._release(deliveries)
            else:
                for delivery in deliveries:
                    self._start(delivery)

    async def _receive(self, limit: int) -> list[ReceivedMessage]:
        """One poll, with a watchdog: a poll that never ends would be a poller that silently died."""
        try:
            async with asyncio.timeout(self._options.wait + self._options.poll_grace):
                return await self._queue.receive(limit, self._options.wait, self._options.visibility)
        except TimeoutError:
            raise QueueUnavailable("no_end_of_poll") from None

    async def _take_permits(self) -> int:
        """Waits for one permit and takes up to ten of those that are free."""
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
            self._lag_ms = max(0, now_ms - max(first_sent))
        elif not messages:
            self._lag_ms = 0

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _start(self, delivery: Delivery) -> None:
        self._in_flight.add(delivery)
        delivery.task = asyncio.create_task(self._process(delivery))

    async def _process(self, delivery: Delivery) -> None:
        keeps_permit = True
        try:
            settle = await self._handle(delivery)
            keeps_permit = len(self._in_flight) > UNSETTLED_SHARE * self._options.concurrency
            if not keeps_permit:
                self._permits.release()
            self._metrics.outcomes[await settle(delivery)].inc()
        finally:
            self._in_flight.discard(delivery)
            if keeps_permit:
                self._permits.release()

    async def _handle(self, delivery: Delivery) -> Settle:
        """What is to be done about the message now that it was handled."""
        started = time.perf_counter()
        try:
            await self._handler(delivery)
        except Deferred as error:
            self._on_handled(error.cause)
            return partial(self._defer, cause=error.cause)
        except Unprocessable as error:
            self._on_handled("unprocessable")
            return partial(self._bury, error=error)
        except LeaseLost:
            log.warning("lease_lost", message_id=delivery.message.message_id)
            return _let_go
        except PlatformError as error:
            log.warning("handler_failed", message_id=delivery.message.message_id, error=str(error))
            self._on_handled(error.cause)
            return partial(self._back_off, reason=error.cause)
        except Exception:
            log.exception("handler_crashed", message_id=delivery.message.message_id)
            self._on_handled(CRASHED)
            return partial(self._back_off, reason=CRASHED)
        finally:
            self._metrics.handle_seconds.observe(time.perf_counter() - started)
        self._on_handled(None)
        return self._acknowledge

    async def _acknowledge(self, delivery: Delivery) -> str:
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
            return "delete_failed"  # it comes again, and its effect is found to be done
        return "acknowledged"

    async def _defer(self, delivery: Delivery, cause: str) -> str:
        self._metrics.retries.labels(cause).inc()
        outcome = await self._acknowledge(delivery)
        return "deferred" if outcome == "acknowledged" else outcome

    async def _back_off(self, delivery: Delivery, reason: str) -> str:
        self._metrics.retries.labels(reason).inc()
        wait = full_jitter(
            delivery.message.receive_count - 1, base=self._options.retry_base, cap=self._options.retry_cap
        )
        await self._hide(delivery, round(wait))
        return "retried"

    async def _bury(self, delivery: Delivery, error: Unprocessable) -> str:
        message = delivery.message
        letter = OutgoingMessage(
            message.body,
            {"reason": error.reason, "detail": _plain(error.detail), "message_id": message.message_id},
        )
        try:
            failures = await self._queue.dead_letter([letter])
        except QueueUnavailable as unavailable:
            failures = None
            log.warning("bury_failed", message_id=message.message_id, error=str(unavailable))
        if failures != []:
            return await self._back_off(delivery, "not_buried")
        log.error("message_buried", message_id=message.message_id, reason=error.reason, detail=error.detail)
        await self._acknowledge(delivery)
        return "buried"

    async def _hide(self, delivery: Delivery, seconds: int) -> None:
        delivery.settled = True
        try:
            await self._visibility_changes.submit(Visibility(delivery.message.receipt, seconds))
        except EntryFailed as error:
            log.info("visibility_unchanged", message_id=delivery.message.message_id, error=str(error))

    async def _release(self, deliveries: Sequence[Delivery]) -> None:
        """Gives back what has not begun, so that nobody has to wait for its visibility time-out."""
        await asyncio.gather(*(self._hide(delivery, 0) for delivery in deliveries))
        for _ in deliveries:
            self._permits.release()

    async def _heartbeat(self) -> None:
        visibility = self._options.visibility
        while True:
            await asyncio.sleep(visibility / 6)
            now = time.monotonic()
            due = [each for each in self._in_flight if each.is_ours and each.held_until - now < visibility / 2]
            batches = [due[start : start + MAX_BATCH] for start in range(0, len(due), MAX_BATCH)]
            await asyncio.gather(*(self._extend(batch) for batch in batches))

    async def _extend(self, deliveries: Sequence[Delivery]) -> None:
        asked_at = time.monotonic()
        changes = [Visibility(each.message.receipt, self._options.visibility) for each in deliveries]
        self._metrics.heartbeats.inc(len(deliveries))
        try:
            failures = {failure.index: failure for failure in await self._queue.change_visibility(changes)}
        except QueueUnavailable as error:
            self._metrics.heartbeat_failures.inc(len(deliveries))
            log.warning("heartbeat_failed", error=str(error))  # the next beat tries again
            return
        for index, delivery in enumerate(deliveries):
            failure = failures.get(index)
            if failure is None:
                delivery.held_until = asked_at + self._options.visibility
            else:
                self._metrics.heartbeat_failures.inc()
                delivery.lost = delivery.lost or failure.gone

    def _drain_left(self) -> float:
        return max(0.0, self._options.drain - (time.monotonic() - self._stopped_at))

    async def _finish(self) -> list[Delivery]:
        """Lets what was begun finish until the drain time is over; what did not, is broken off."""
        tasks = {delivery.task: delivery for delivery in self._in_flight if delivery.task}
        if not tasks:
            return []
        _, unfinished = await asyncio.wait(tasks, timeout=self._drain_left())
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return [tasks[task] for task in unfinished]

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Never takes much longer than the drain time: the queue may be what does not answer."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await asyncio.gather(*(self._hide(delivery, 0) for delivery in deliveries))
                await asyncio.gather(self._deletes.close(), self._visibility_changes.close())
        except TimeoutError:
            log.warning("drain_cut_short", messages=len(deliveries))  # they come again after their visibility


async def _let_go(_delivery: Delivery) -> str:
    return "lease_lost"


def _plain(detail: str) -> str:
    """As an attribute of a message: not empty, not long, and without characters that SQS refuses."""
    return detail[:500].encode("ascii", "backslashreplace").decode() or "-"
