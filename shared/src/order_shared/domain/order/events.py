"""Events of an order: one for each change that its customer can see, derived from its history.

version 1   placed              ord_019a….1.placed      order.placed.v1
version 2   reserved            ord_019a….2.reserved    order.reserved.v1
version 3   charged, confirmed  ord_019a….3.charged     order.charged.v1
                                ord_019a….3.confirmed   order.confirmed.v1
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from order_shared.domain.order.history import HistoryEntry, OrderChange
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.models import Customer, Order


class EventType(StrEnum):
    """Type of an event, as in CloudEvents."""

    PLACED = "order.placed.v1"
    RESERVED = "order.reserved.v1"
    CONFIRMED = "order.confirmed.v1"
    REJECTED = "order.rejected.v1"
    CANCEL_REQUESTED = "order.cancel_requested.v1"
    CANCELLED = "order.cancelled.v1"
    CHARGED = "order.charged.v1"
    REFUNDED = "order.refunded.v1"


EVENT_TYPES = {change: EventType[change.name] for change in OrderChange}
"""Type of the event of each change."""
EVENT_SOURCE: Final = "/v1/orders"
"""Source of every event, as in CloudEvents. Together with `id` it identifies the event."""
CHANGES = {event_type: change for change, event_type in EVENT_TYPES.items()}
"""Change of each type of event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """One change of an order. `version` is that of the order after the write that made the change."""

    customer: Customer
    order_id: OrderId
    version: int
    change: OrderChange
    at: datetime

    @property
    def id(self) -> str:
        """Return the id, which is the same wherever and whenever the event is read."""
        return f"{self.order_id}.{self.version}.{self.change}"

    @property
    def type(self) -> EventType:
        return EVENT_TYPES[self.change]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvents:
    """Events of successive versions of one order, from `version` on. `history` has one entry per version."""

    customer: Customer
    order_id: OrderId
    version: int
    history: tuple[HistoryEntry, ...]

    @classmethod
    def of(cls, order: Order) -> "OrderEvents":
        """Return all events of an order."""
        return cls(customer=order.customer, order_id=order.order_id, version=1, history=order.history)

    def __len__(self) -> int:
        return sum(len(entry.types) for entry in self.history)

    def __iter__(self) -> Iterator[OrderEvent]:
        for version, entry in enumerate(self.history, self.version):
            for change in entry.types:
                yield OrderEvent(
                    customer=self.customer, order_id=self.order_id, version=version, change=change, at=entry.at
                )
