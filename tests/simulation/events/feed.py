"""The change feed: each write of an order becomes a message, sooner or later, once or more often.

Like the pipe, it loses no change. The messages of one order may arrive in any order.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from order_shared.messaging.queue import OutgoingMessage
from order_shared.tables import ORDERS
from tests.memory_dynamo import Change
from tests.simulation.history import Border
from tests.simulation.queue import StandardQueue

PIPE = "pipe"
DELAYED_SHARE = 0.2
"""Share of the messages that take longer than a tenth of the longest delay."""


class FeedQueue(StandardQueue):
    """Queue of changes, whose effects are those of another border than the queue of orders."""

    def _record(self, call: str, message: Any, after: object, *, by: str) -> None:
        self.history.record(
            Border.FEED, call, by=by, subject=message.message_id, before=message.receive_count, after=after
        )


class ChangeFeed:
    def __init__(
        self,
        queue: StandardQueue,
        dice: Random,
        start: Callable[[Coroutine[Any, Any, None]], object],
        *,
        seconds: float,
        duplicates: float,
    ) -> None:
        """Create a feed. `seconds` is its longest delay, and `duplicates` the share of changes that arrive twice."""
        self._queue = queue
        self._dice = dice
        self._start = start
        self._seconds = seconds
        self._duplicates = duplicates
        self.changes = 0
        """Changes so far."""
        self.pending = 0
        """Messages that are on their way to the queue."""

    def committed(self, changes: list[Change]) -> None:
        """Take the changes of a request. An update that changes nothing has no record."""
        for key, before, after in changes:
            if key.table == ORDERS.name and before != after:
                self.changes += 1
                keys = {"customer_key": {"S": key.hash}, "created_at": {"S": key.range}}
                event = "INSERT" if before is None else "MODIFY"
                body = json.dumps({"eventName": event, "dynamodb": {"Keys": keys}})
                for _ in range(2 if self._dice.random() < self._duplicates else 1):
                    self.pending += 1
                    self._start(self._send(body, self._delay()))

    def hurry(self) -> None:
        """Delay and repeat what is changed from now on no more than a pipe that works."""
        self._seconds = min(self._seconds, 1.0)
        self._duplicates = 0.0

    def _delay(self) -> float:
        longest = self._seconds if self._dice.random() < DELAYED_SHARE else 0.1 * self._seconds
        return self._dice.uniform(0.0, longest)

    async def _send(self, body: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._queue.put(OutgoingMessage(body), by=PIPE, sweeps=False, is_order=False)
        self.pending -= 1
