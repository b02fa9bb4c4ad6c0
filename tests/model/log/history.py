"""Events of a recorded history of the log, as the walker reads them. Writes are those of `tests/model/history.py`."""

from dataclasses import dataclass

from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.read import EventFilter, ExpiredReason
from tests.model.history import Write


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Effect on the queue of changes: send, receive, delete, give_back, extend."""

    by: str
    call: str
    message: str
    order: tuple[str, str]
    """Key of the order that has changed."""


@dataclass(frozen=True, kw_only=True)
class Death:
    """Death of a notifier's machine."""

    by: str


@dataclass(frozen=True, kw_only=True)
class Start:
    """Position at which a reader begins: the end of the log, or its oldest event."""

    position: Position
    is_latest: bool


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Result of one read: the events by number, and the position after them. `more` is False at the log's end."""

    before: Position
    next: Position
    events: tuple[tuple[int, OrderEvent], ...]
    matching: EventFilter
    more: bool


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Refusal of a position."""

    before: Position
    reason: ExpiredReason


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """Read that failed, or whose reader died."""


LogEvent = Write | Delivery | Death | Start | Slice | Refusal | Interruption
