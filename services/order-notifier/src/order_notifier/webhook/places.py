"""Places for deliveries in one process: one lane for endpoints that respond fast, and one for all others.

A delivery to an endpoint that does not respond within `SLOW_SECONDS` leaves its fast place at once, and needs a slow
place before it continues. However many endpoints are slow or dead, each holds a fast place for that long at most, and
its next delivery begins in the slow lane.
"""

import asyncio
from collections import deque

SLOW_SECONDS = 1.0
"""Time after which an endpoint that has not responded counts as slow."""


class Lane:
    """A limited number of places, given in the order of the requests."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    def enter_at_once(self) -> bool:
        """Take a place if one is free. Return whether it was."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """Take a place, as soon as one is free."""
        if self.enter_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place was given in the same moment
            raise

    def leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Place:
    """Place of one delivery. It is in a lane from its creation to `leave`, except between `slow_down` and `resume`."""

    def __init__(self, lane: Lane, slow: Lane) -> None:
        self._lane: Lane | None = lane
        self._slow = slow
        self.is_slow = lane is slow
        """True if the endpoint was slow in its last batch. Its next delivery begins in the slow lane."""

    def slow_down(self) -> None:
        """Leave the fast lane: the endpoint has not responded in time."""
        self.is_slow = True
        if self._lane is not self._slow:
            self.leave()

    def keep_pace(self) -> None:
        """Note that the endpoint has responded in time."""
        self.is_slow = False

    async def resume(self) -> None:
        """Wait for a place in the slow lane, after `slow_down`."""
        if self._lane is None:
            await self._slow.enter()
            self._lane = self._slow

    def leave(self) -> None:
        if self._lane is not None:
            self._lane.leave()
            self._lane = None
