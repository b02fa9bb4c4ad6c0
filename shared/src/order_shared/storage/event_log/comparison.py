"""Comparison of orders with the logs: which events are missing.

The cursor of each order is read before the logs. A cursor moves in the transaction that appends, so every event up to
the cursor was in the log before, and is missing if the later read does not find it. Such events are *lost*: the writers
of the log never append them again. Events after the cursor are *late*: their message has not been processed yet, or was
lost.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.items import NO_CURSOR, Cursor, LogPage
from order_shared.storage.orders import UnreadableOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGap:
    """Events of one order that its log lacks. `is_late` if the log's writers have not appended them yet."""

    order: Order
    events: tuple[OrderEvent, ...]
    is_late: bool
    rebuilds: int = 0
    """Number of times that lost events of the order were appended again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Result of comparing some orders with the logs. `unreadable` orders could not be compared."""

    orders: int
    events: int
    gaps: Sequence[OrderGap]
    unreadable: Sequence[UnreadableOrder]


@dataclass(slots=True)
class Expected:
    """Events of an order that must be in its log, as its cursor says."""

    order: Order
    events: dict[str, OrderEvent]
    rebuilds: int


class Comparing:
    """State of a comparison: first of the orders and cursors read, then of the events that are expected in the logs."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since = since
        self.expected: defaultdict[str, dict[str, Expected]] = defaultdict(dict)
        """By tenant and order id."""
        self._until = until
        self._late: list[OrderGap] = []
        self._unreadable: list[UnreadableOrder] = []
        self._orders = self._events = 0

    def read(self, order: Order | UnreadableOrder, cursors: Mapping[str, Cursor]) -> None:
        """Note an order and its cursor."""
        self._orders += 1
        if isinstance(order, UnreadableOrder):
            self._unreadable.append(order)
            return
        cursor = cursors.get(order.order_id, NO_CURSOR)
        changes = [event for event in OrderEvents.of(order) if self.since <= event.at < self._until]
        self._events += len(changes)
        late = tuple(event for event in changes if event.version > cursor.version)
        if late:
            self._late.append(OrderGap(order=order, events=late, is_late=True))
        present = {event.id: event for event in changes if event.version <= cursor.version}
        if present:
            expected = Expected(order, present, cursor.rebuilds)
            self.expected[order.customer.tenant][order.order_id] = expected

    def found(self, tenant: str, page: LogPage) -> None:
        """Note the events of a page."""
        for entry in page.entries:
            if (expected := self.expected[tenant].get(entry.order_id)) is not None:
                for event in entry:
                    expected.events.pop(event.id, None)

    def result(self) -> Comparison:
        lost = [
            OrderGap(order=each.order, events=tuple(each.events.values()), is_late=False, rebuilds=each.rebuilds)
            for of_tenant in self.expected.values()
            for each in of_tenant.values()
            if each.events
        ]
        return Comparison(
            orders=self._orders, events=self._events, gaps=[*self._late, *lost], unreadable=self._unreadable
        )
