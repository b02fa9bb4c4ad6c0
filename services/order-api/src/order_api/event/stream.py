"""Stream of events to open connections, as server-sent events.

A stream first reads the log from its own position on. At the end of the log it joins the tail of its tenant: one task
per tenant and process, which polls the log only while a stream listens, reads each event and order once, and passes
them to every stream that wants them. No event is skipped or repeated between the two, because both count in positions.

A stream ends when its token expires, when the process stops, when the client has gone or reads too slowly, and when its
position has expired. In all but the last case the client resumes with the id of the last message.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum

import structlog

from order_api.event.exceptions import PositionGone
from order_api.event.schemas import EventOut
from order_api.event.service import MAX_SLICE, EventService, EventSlice, Feed
from order_api.limits import StreamsFull, TooManyStreams
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer, Order
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.read import ALL_EVENTS, BEFORE_LOG, NumberedEvent

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
"""Pause after which a stream without events sends a heartbeat. Well below the load balancer's idle time-out of 60 s."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Pauses between the polls of a tail: the first after an event, doubled up to the longest while there is none."""
RETRY_MILLISECONDS = 2000
"""Pause of a client before it connects again."""
MAX_BUFFERED = 256
"""Events that may wait for a slow reader. One more ends its stream."""
SHARE = 4
"""A tenant may have at most this many times the free places: streams of one tenant never take all of them."""
HEARTBEAT = b": heartbeat\n\n"


class End(StrEnum):
    """Reason why a stream ends."""

    EXPIRED_POSITION = "expired_position"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a reason
    GONE = "gone"
    SLOW = "slow"
    STOPPING = "stopping"


Problem = Callable[[PositionGone], bytes]
"""Returns the problem document of an error."""


class Stream:
    """One open stream. `position` is the position up to which its events have been passed to it."""

    def __init__(self, feed: Feed, position: Position, *, expires_at: float) -> None:
        self.feed = feed
        self.matching = feed.matching
        self.position = position
        self.expires_at = expires_at
        self.tail: _Tail | None = None
        self.end: End | None = None
        self.error: PositionGone | None = None
        self._waiting: deque[tuple[bytes, Position]] = deque()
        self._changed = asyncio.Event()

    def put(self, message: bytes, after: Position) -> None:
        if len(self._waiting) >= MAX_BUFFERED:
            self.close(End.SLOW)
        elif self.end is None:
            self._waiting.append((message, after))
            self.position = after
            self._changed.set()

    def close(self, end: End, error: PositionGone | None = None) -> None:
        """End the stream. The first reason counts. Events that wait are sent unless the reader is slow or gone."""
        if self.end is None:
            self.end, self.error = end, error
            if end in {End.SLOW, End.GONE}:
                self._waiting.clear()
            self._changed.set()

    def take(self) -> list[bytes]:
        """Return the messages that wait."""
        messages = [message for message, _ in self._waiting]
        self._waiting.clear()
        return messages

    async def wait(self, seconds: float) -> None:
        """Wait until a message waits, or the stream ends, but not longer than `seconds`."""
        if not self._waiting and self.end is None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()


class _Tail:
    """Reader at the end of the log of one tenant, for all its streams."""

    def __init__(self, tenant: str, position: Position, events: EventService) -> None:
        self._tenant = tenant
        self._events = events
        self._position = position
        self._streams: dict[Customer | None, set[Stream]] = {}
        self._task: asyncio.Task[None] | None = None

    def join(self, stream: Stream) -> bool:
        """Add a stream, and return True, unless the tail has already passed its position."""
        if self._is_behind(stream.position):
            return False
        self._streams.setdefault(stream.feed.customer, set()).add(stream)
        stream.tail = self
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"events of {self._tenant}")
        return True

    @property
    def has_ended(self) -> bool:
        """Return whether the tail has failed, and passes on no more events."""
        return self._task is not None and self._task.done()

    def leave(self, stream: Stream) -> bool:
        """Remove a stream. Return True if it was the last one; the tail has then stopped."""
        streams = self._streams.get(stream.feed.customer, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(stream.feed.customer, None)
        if not self._streams and self._task is not None:
            self._task.cancel()
        return not self._streams

    def _is_behind(self, position: Position) -> bool:
        epochs = {position.epoch, self._position.epoch}
        is_same_log = len(epochs) == 1 or BEFORE_LOG in epochs
        return not is_same_log or position.sequence < self._position.sequence

    async def _run(self) -> None:
        try:
            await self._follow()
        except PositionGone as error:
            for stream in self._all():
                stream.close(End.EXPIRED_POSITION, error)
        except Exception:
            log.exception("event_tail_failed", tenant=self._tenant)
            for stream in self._all():
                stream.close(End.STOPPING)

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                part, debt = await self._events.examine(
                    self._tenant, self._position, limit=MAX_SLICE, matching=ALL_EVENTS
                )
            except StorageUnavailable as error:
                log.warning("event_tail_unavailable", tenant=self._tenant, error=str(error))
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            self._position = part.next
            if part.events:
                pause = FIRST_PAUSE
                await self._pass_on(part.events, part.next)
            if not part.more:
                await asyncio.sleep(max(pause, debt))
                pause = min(2 * pause, LONGEST_PAUSE)
            elif debt:
                await asyncio.sleep(debt)

    async def _pass_on(self, events: Sequence[NumberedEvent], end: Position) -> None:
        """Pass events to the streams that listen now. A stream that joins meanwhile is at `end` or after it."""
        streams = self._all()
        wanted = [(each, found) for each in events if (found := self._wanted_by(each))]
        orders = await self._orders(wanted)
        for each, listening in wanted:
            order = orders.get(each.event.order_id)
            messages: dict[bool, bytes] = {}  # all streams of a customer get the same one, and all of the tenant
            for stream in listening:
                key = stream.feed.customer is None
                if key not in messages:
                    messages[key] = message(
                        stream.feed.render(each.event, order), self._events.token(stream.feed, each.after)
                    )
                stream.put(messages[key], each.after)
        for stream in streams:
            if stream.position.sequence < end.sequence:
                stream.position = end

    def _wanted_by(self, each: NumberedEvent) -> list[Stream]:
        listening = (self._streams.get(customer, ()) for customer in (None, each.event.customer))
        return [
            stream
            for streams in listening
            for stream in streams
            if each.after.sequence > stream.position.sequence and stream.matching.matches(each.event)
        ]

    async def _orders(self, wanted: Sequence[tuple[NumberedEvent, list[Stream]]]) -> Mapping[str, Order]:
        while True:
            try:
                return await self._events.orders_of([each.event for each, _ in wanted])
            except StorageUnavailable as error:
                log.warning("event_tail_unavailable", tenant=self._tenant, error=str(error))
                await asyncio.sleep(LONGEST_PAUSE)

    def _all(self) -> list[Stream]:
        return [stream for streams in self._streams.values() for stream in streams]


class EventStreams:
    """The open streams of a process, and the tails that serve them."""

    def __init__(
        self,
        events: EventService,
        *,
        max_streams: int,
        max_per_tenant: int,
        on_refused: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create it in the running event loop. `clock` returns epoch seconds, as the expiry of tokens is.

        `on_refused` is called with the limit that refuses a stream.
        """
        self._events = events
        self._max_streams = max_streams
        self._max_per_tenant = max_per_tenant
        self._on_refused = on_refused
        self._heartbeat = HEARTBEAT_SECONDS
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._open: set[Stream] = set()
        self._of_tenant: Counter[str] = Counter()
        self._tails: dict[str, _Tail] = {}
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def stop(self) -> None:
        """End all streams, and open no other. Safe to call from a signal handler."""
        self._is_stopping = True
        self._loop.call_soon_threadsafe(self._end_all)

    async def aclose(self) -> None:
        """End all streams and wait until their tails have stopped."""
        self._is_stopping = True
        self._end_all()
        for stream in list(self._open):
            self.release(stream)

    def open(self, feed: Feed, position: Position, *, expires_at: float) -> Stream:
        """Return a new stream, which has a place until `release`. Raises StreamsFull, TooManyStreams."""
        free = self._max_streams - len(self._open)
        if free <= 0 or self._is_stopping:
            self._on_refused(StreamsFull.limit)
            raise StreamsFull
        if self._of_tenant[feed.tenant] >= min(self._max_per_tenant, SHARE * free):
            self._on_refused(TooManyStreams.limit)
            raise TooManyStreams(self._of_tenant[feed.tenant])
        stream = Stream(feed, position, expires_at=expires_at)
        self._open.add(stream)
        self._of_tenant[feed.tenant] += 1
        return stream

    def release(self, stream: Stream) -> None:
        """Free the place of a stream. Repeated calls have no effect."""
        if stream not in self._open:
            return
        stream.close(End.GONE)
        self._open.remove(stream)
        tenant = stream.feed.tenant
        self._of_tenant[tenant] -= 1
        if not self._of_tenant[tenant]:
            del self._of_tenant[tenant]
        if stream.tail is not None and stream.tail.leave(stream) and self._tails.get(tenant) is stream.tail:
            del self._tails[tenant]

    async def messages(self, stream: Stream, first: EventSlice, problem: Problem) -> AsyncGenerator[bytes]:
        """Yield the messages of a stream until it ends. `first` is the first read from its position."""
        yield b"retry: %d\n" % RETRY_MILLISECONDS + self._progress(stream)
        part = first
        while True:
            for event, after in part.events:
                yield message(event, self._events.token(stream.feed, after))
            stream.position = part.next
            if self._has_ended(stream) or (not part.more and self._join(stream)):
                break
            if not part.events:
                yield self._progress(stream)
            await stream.wait(part.pause if part.more else FIRST_PAUSE)
            part = await self._read(stream)
        async for each in self._live(stream):
            yield each
        if stream.error is not None:
            yield b"event: error\ndata: " + problem(stream.error) + b"\n\n"

    async def _read(self, stream: Stream) -> EventSlice:
        """Read the log for a stream that has not joined the tail. Without storage the slice is empty."""
        nothing = EventSlice(events=(), next=stream.position, more=True, pause=LONGEST_PAUSE)
        try:
            return await self._events.read(stream.feed, stream.position, limit=MAX_SLICE)
        except StorageUnavailable:
            return nothing
        except PositionGone as error:
            stream.close(End.EXPIRED_POSITION, error)
            return nothing

    async def _live(self, stream: Stream) -> AsyncGenerator[bytes]:
        told = stream.position
        while True:
            left = max(0.0, stream.expires_at - self._clock())
            await stream.wait(min(self._heartbeat, left))
            if messages := stream.take():
                told = stream.position
                for each in messages:
                    yield each
            elif stream.end is None:
                yield HEARTBEAT if stream.position == told else self._progress(stream)
                told = stream.position
            if self._has_ended(stream):
                return

    def _progress(self, stream: Stream) -> bytes:
        """Return a message with the position only, from which the client resumes. It is no event for the client."""
        return b"id: %s\n\n" % self._events.token(stream.feed, stream.position).encode()

    def _join(self, stream: Stream) -> bool:
        tenant = stream.feed.tenant
        tail = self._tails.get(tenant)
        if tail is None or tail.has_ended:
            tail = self._tails[tenant] = _Tail(tenant, stream.position, self._events)
        return tail.join(stream)

    def _has_ended(self, stream: Stream) -> bool:
        """Return whether the stream has ended, and end it if its token has expired."""
        if self._clock() >= stream.expires_at:
            stream.close(End.EXPIRED_TOKEN)
        return stream.end is not None

    def _end_all(self) -> None:
        for stream in self._open:
            stream.close(End.STOPPING)


def message(event: EventOut, position: str) -> bytes:
    """Return the message of an event. `position` is the position after it."""
    data = event.model_dump_json(ensure_ascii=True)  # clients differ in which other characters end a line
    return f"id: {position}\nevent: {event.type}\ndata: {data}\n\n".encode()
