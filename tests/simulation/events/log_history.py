"""States that the log of a tenant has had, with their times."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.items import Head, LogState
from order_shared.storage.event_log.read import BEFORE_LOG


@dataclass(frozen=True)
class _Known:
    """State since a time: the epoch of the environment's log, and the head of the tenant's log."""

    at: float
    epoch: int
    head: Head | None


class LogHistory:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known = [_Known(0.0, BEFORE_LOG, None)]

    def state_changed(self, state: LogState) -> None:
        self._known.append(_Known(self._now(), state.epoch, self._known[-1].head))

    def head_changed(self, head: Head) -> None:
        self._known.append(_Known(self._now(), self._known[-1].epoch, head))

    def epochs_since(self, start: float) -> set[int]:
        """Return every epoch that a request since `start` may have read.

        A request reads the head, and then the state of the environment's log if it has found no head.
        """
        known = self._since(start)
        heads = {each.head.epoch for each in known if each.head is not None}
        return heads if known[0].head is not None else heads | {each.epoch for each in known}

    def was_end(self, position: Position, start: float) -> bool:
        """Return whether the log may have ended at a position at some time since `start`."""
        known = self._since(start)
        ends = {1 if each.head is None else each.head.next for each in (known[0], known[-1])}
        return min(ends) <= position.sequence <= max(ends) and position.epoch in self.epochs_since(start)

    def _since(self, start: float) -> list[_Known]:
        first = bisect_right(self._known, start, key=lambda each: each.at)
        return self._known[max(0, first - 1) :]
