"""Errors of requests about events.

PlatformError
├── InvalidPosition   `after` or `Last-Event-ID` is not a position of this feed
└── PositionGone      no events can be read from this position any more
"""

from collections.abc import Mapping

from order_shared.domain.errors import PlatformError
from order_shared.storage.event_log.read import ExpiredReason

_CAUSES: Mapping[ExpiredReason, str] = {
    ExpiredReason.RETENTION: "the events after this position are older than 30 days",
    ExpiredReason.EPOCH: "the log of events was restored, or moved to another region, after this position was issued",
    ExpiredReason.BEYOND_END: "this position is after the end of the log, which was restored since",
}


class InvalidPosition(PlatformError):
    """`pointer` is the place of the position in the request."""

    def __init__(self, pointer: str) -> None:
        super().__init__("send a position that this feed returned to this customer, unchanged, or latest")
        self.pointer = pointer


class PositionGone(PlatformError):
    def __init__(self, reason: ExpiredReason) -> None:
        super().__init__(
            f"{_CAUSES[reason]}; read once with after=latest and keep its next, list your orders to see what changed, "
            "then continue from the kept position"
        )
