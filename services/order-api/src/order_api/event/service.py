"""Use case of customers and shops: read the events of orders, oldest first, from a position on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from order_api.cursors import CursorCodec, InvalidCursor
from order_api.event.exceptions import InvalidPosition, PositionGone
from order_api.event.schemas import LATEST, EventOut, TenantEventOut
from order_api.limits import TenantBuckets
from order_shared.domain.order.events import CHANGES, EventType, OrderEvent
from order_shared.domain.order.models import Customer, Order
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.orders import orders_of
from order_shared.storage.event_log.read import EventFilter, EventLogReader, LogSlice, PositionExpired
from order_shared.storage.orders import OrderRepository

EVENTS_PER_TOKEN = 100
"""Events examined for one token of the tenant's bucket. They take about ten kilobytes of the log."""
MAX_SLICE = 100
"""Maximum events of one read: as many orders as one batch reads."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Events that a caller reads: those of `customer`, or of every customer of the tenant if it is None.

    `types` are the wanted types; empty for all.
    """

    tenant: str
    customer: Customer | None = None
    types: frozenset[EventType] = frozenset()

    @property
    def matching(self) -> EventFilter:
        return EventFilter(customer=self.customer, changes=frozenset(CHANGES[each] for each in self.types))

    def scope(self) -> Mapping[str, str]:
        """Return what a position is valid for. Types may change from one read to the next."""
        if self.customer is None:
            return {"list": "tenant_events", "tenant": self.tenant}
        return {"list": "events", "customer": self.customer.key}

    def render(self, event: OrderEvent, order: Order | None) -> EventOut:
        """Return the event with its order, unless the order as read is older: a replica may be late."""
        is_late = order is not None and order.version < event.version
        return (TenantEventOut if self.customer is None else EventOut).of(event, None if is_late else order)


@dataclass(frozen=True, kw_only=True)
class EventSlice:
    """Events of one read, each with the position after it. `more` is True if the feed has further events now."""

    events: Sequence[tuple[EventOut, Position]]
    next: Position
    more: bool
    pause: float
    """Seconds until the tenant's bucket has paid for the read."""


class EventService:
    def __init__(
        self,
        event_reader: EventLogReader,
        orders: OrderRepository,
        cursors: CursorCodec,
        buckets: TenantBuckets,
        *,
        on_unreadable: Callable[..., None],
    ) -> None:
        """Create the service. `on_unreadable` is called with `order` and the reason for each order left out."""
        self._event_reader = event_reader
        self._orders = orders
        self._cursors = cursors
        self._buckets = buckets
        self._on_unreadable = on_unreadable

    async def position(self, feed: Feed, after: str | None, pointer: str = "query:after") -> Position:
        """Return the position that `after` names. Raises InvalidPosition with the pointer."""
        if after is None:
            return await self._event_reader.earliest(feed.tenant)
        if after == LATEST:
            return await self._event_reader.latest(feed.tenant)
        try:
            epoch, _, sequence = self._cursors.decode(after, feed.scope()).partition(".")
            return Position(epoch=int(epoch), sequence=int(sequence))
        except (InvalidCursor, ValueError) as error:
            raise InvalidPosition(pointer) from error

    def token(self, feed: Feed, position: Position) -> str:
        """Return the signed form of a position, which `position` reads."""
        return self._cursors.encode(f"{position.epoch}.{position.sequence}", feed.scope())

    async def read(self, feed: Feed, position: Position, *, limit: int, paid: int = 0) -> EventSlice:
        """Return up to `limit` events after the position. Raises PositionGone.

        The tenant's bucket pays for the events examined; `paid` tokens are paid already.
        """
        part, pause = await self.examine(feed.tenant, position, limit=limit, matching=feed.matching, paid=paid)
        orders = await self.orders_of([each.event for each in part.events])
        events = [(feed.render(each.event, orders.get(each.event.order_id)), each.after) for each in part.events]
        return EventSlice(events=events, next=part.next, more=part.more, pause=pause)

    async def examine(
        self, tenant: str, position: Position, *, limit: int, matching: EventFilter, paid: int = 0
    ) -> tuple[LogSlice, float]:
        """Read the log without the orders. Also return the seconds until the bucket has paid. Raises PositionGone."""
        try:
            part = await self._event_reader.read(tenant, position, limit=limit, matching=matching)
        except PositionExpired as error:
            raise PositionGone(error.reason) from error
        tokens = math.ceil((part.next.sequence - position.sequence) / EVENTS_PER_TOKEN)
        return part, self._buckets.charge(tenant, tokens - paid)

    async def orders_of(self, events: Sequence[OrderEvent]) -> Mapping[str, Order]:
        """Return the orders of up to MAX_SLICE events as they are now, by id. Unreadable orders are left out."""
        return await orders_of(self._orders, events, on_unreadable=self._on_unreadable)
