"""Estimate of the messages in the queue, from the deliveries that this process observed and SQS's message counts.

The sweeper uses the estimate to decide which orders may still have a message in the queue, and how many messages to
add. The estimate does not assume that messages are delivered in order, because SQS does not guarantee it.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from order_shared.messaging.queue import Depth

MEMORY_SECONDS = 60
"""Age up to which observations and SQS's counts are used; with visible messages, older deliveries are used too."""

IN_FLIGHT_QUOTA = 120_000
"""SQS's limit of in-flight messages in a standard queue. At the limit, polls return no messages and no error."""

TURNOVERS = 10
"""An old message counts as delivered once this many times the number of visible messages have been received."""

MARGIN = 10
"""Factor of the safety margin below the oldest send time of `n` samples: MARGIN * (newest - oldest) / n."""

BURST = 1_000
"""Number of messages that the sweeper may add at once while the queue is known to be empty."""


@dataclass(slots=True, kw_only=True)
class _Second:
    """Observations in one second of the monotonic clock.

    `oldest` and `newest` are send times of received messages in epoch milliseconds; `longest_wait` is in milliseconds.
    """

    at: int
    deliveries: int = 0
    oldest: int = 0
    newest: int = 0
    longest_wait: int = 0
    finished: int = 0
    added: int = 0


class Backlog:
    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic or time.monotonic
        self._started = self._asked = self._monotonic()
        self._seconds: deque[_Second] = deque()
        self._counts: deque[tuple[float, Depth]] = deque()
        self._finished = 0

    def received(self, sent_at: Sequence[int], now: int) -> None:
        """Record first deliveries, at `now`, of at least one message. `sent_at` are their send times.

        All times are in epoch milliseconds.
        """
        second = self._this_second()
        oldest, newest = min(sent_at), max(sent_at)
        if second.deliveries == 0:
            second.oldest = second.newest = oldest
        second.deliveries += len(sent_at)
        second.oldest = min(second.oldest, oldest)
        second.newest = max(second.newest, newest)
        second.longest_wait = max(second.longest_wait, now - oldest)

    def finished(self) -> None:
        """Record that a message left the queue."""
        self._finished += 1
        self._this_second().finished += 1

    def added(self) -> None:
        """Record that the sweeper sent a message."""
        self._this_second().added += 1

    def counted(self, depth: Depth) -> None:
        """Record SQS's current message counts."""
        self._counts.append((self._monotonic(), depth))
        self._forget_counts()

    def sweep_before(self, now: int) -> int | None:
        """Return the due time, in epoch milliseconds, before which an open order has no message in the queue.

        Return None if there is no recent count or delivery to estimate it from. Return 0 in the first minute of the
        process, unless the queue is empty.

        If the queue is empty, the result is `now` minus the longest wait of a message in the last minute. Otherwise the
        result is also at most the send time of the oldest recently received message, less a safety margin, because the
        queue may contain others of that age.
        """
        recent = self._within(MEMORY_SECONDS)
        deliveries = sum(each.deliveries for each in recent)
        wait = max((each.longest_wait for each in recent), default=0)
        if self._is_empty():
            self._forget(MEMORY_SECONDS)
            return now - wait
        if self._monotonic() - self._started < MEMORY_SECONDS:
            return 0
        visible = self._visible()
        if visible is None or deliveries == 0:
            return None
        memory = TURNOVERS * MEMORY_SECONDS * visible / deliveries
        self._forget(max(memory, MEMORY_SECONDS))
        samples = [each for each in self._within(memory) if each.deliveries] or recent
        oldest = min(each.oldest for each in samples if each.deliveries)
        newest = max(each.newest for each in samples)
        margin = MARGIN * (newest - oldest) // sum(each.deliveries for each in samples)
        return min(now - wait, oldest - margin)

    def allowance(self) -> int:
        """Return how many messages the sweeper may add now, at least 1.

        The sweeper may add as many messages as left the queue since the last call, or one per second if that is more.
        If the queue is empty, it may add up to BURST, minus the messages added in the last minute that have not left.
        """
        now = self._monotonic()
        elapsed, self._asked = now - self._asked, now
        finished, self._finished = self._finished, 0
        allowed = max(1, round(elapsed), finished)
        if self._is_empty():
            recent = self._within(MEMORY_SECONDS)
            waiting = sum(each.added - each.finished for each in recent)
            allowed = max(allowed, BURST - max(0, waiting))
        return allowed

    def _is_empty(self) -> bool:
        """Return whether SQS's latest count is recent and shows no visible message.

        The number of in-flight messages must also be below half of the quota: at the quota, polls return no messages
        even if some are visible.
        """
        if not self._counts:
            return False
        at, depth = self._counts[-1]
        fresh = self._monotonic() - at < MEMORY_SECONDS
        return fresh and depth.work == 0 and depth.in_flight < IN_FLIGHT_QUOTA // 2

    def _visible(self) -> int | None:
        """Return the highest count of visible messages in the last minute, or None if there is no count."""
        self._forget_counts()
        return max((depth.work for _, depth in self._counts), default=None)

    def _forget_counts(self) -> None:
        since = self._monotonic() - MEMORY_SECONDS
        while self._counts and self._counts[0][0] < since:
            self._counts.popleft()

    def _this_second(self) -> _Second:
        at = int(self._monotonic())
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at=at))
        return self._seconds[-1]

    def _within(self, seconds: float) -> Sequence[_Second]:
        since = self._monotonic() - seconds - 1
        return [each for each in self._seconds if each.at >= since]

    def _forget(self, seconds: float) -> None:
        since = self._monotonic() - seconds - 1
        while self._seconds and self._seconds[0].at < since:
            self._seconds.popleft()
