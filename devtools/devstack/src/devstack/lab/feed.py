"""Feed of a view: one reader for all viewers, who receive the newest state on connect and at each reading."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

State = TypeVar("State")

PAUSE_SECONDS = 0.7
LOAD = 2.0
"""The pause after a reading is at least so many times as long as the reading took."""


class Feed(Generic[State]):
    """Feed of the states that `read` returns. It reads only while there is a viewer."""

    def __init__(
        self,
        read: Callable[[], Awaitable[State]],
        *,
        pause: float = PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._pause = pause
        self._monotonic = monotonic
        self._viewers = 0
        self._reading: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._state: State | None = None
        self._number = 0
        self._read_at = float("-inf")
        self._pending: set[asyncio.Task[State]] = set()

    async def latest(self, max_age: float = 1.0) -> State:
        """Return a state that is not older than `max_age` seconds."""
        async with self._lock:
            if self._state is None or self._monotonic() - self._read_at > max_age:
                began = self._monotonic()
                self._state = await self._read()
                self._read_at = began
                self._number += 1
                async with self._changed:
                    self._changed.notify_all()
            return self._state

    async def soon(self, seconds: float) -> State:
        """Return a new state if it is read within so many seconds, otherwise the last one. The reading continues."""
        reading = asyncio.create_task(self.latest())
        self._pending.add(reading)
        reading.add_done_callback(self._pending.discard)
        await asyncio.wait({reading}, timeout=seconds)
        return await reading if reading.done() or self._state is None else self._state

    def outdate(self) -> None:
        """Make the next call of `latest` read."""
        self._read_at = float("-inf")

    async def follow(self) -> AsyncGenerator[tuple[int, State], None]:
        """Yield the state and its number now, and again after each reading."""
        self._viewers += 1
        if self._reading is None:
            self._reading = asyncio.create_task(self._keep_reading())
        try:
            seen = -1
            while True:
                state = await self.latest() if seen == -1 else self._state
                assert state is not None  # noqa: S101 - read before
                seen = self._number
                yield seen, state
                async with self._changed:
                    await self._changed.wait_for(lambda seen=seen: self._number != seen)  # type: ignore[misc]
        finally:
            self._viewers -= 1
            if self._viewers == 0 and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    async def _keep_reading(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                began = self._monotonic()
                try:
                    await self.latest(self._pause / 2)
                except (
                    Exception
                ):  # the viewers keep their last state, whose time they see, and the next reading may succeed
                    log.exception("reading_failed")
                await asyncio.sleep(max(self._pause, LOAD * (self._monotonic() - began)))
