"""Read the log of a tenant from a position on, without skipping an event.

A query is not isolated from transactions: it may return a page, and not yet an earlier one that the same or an earlier
transaction has added. A reader therefore continues only while pages follow without a gap. At a gap it reads the missing
page in a transaction, which shows it if it exists. A page that does not exist has expired, and the reader's position
with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from aiodynamo.expressions import HashKey, RangeKey
from aiodynamo.operations import Get

from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.errors import PlatformError
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import Customer
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.items import (
    LOG_KEY,
    RETENTION,
    Head,
    LogPage,
    head_key,
    page_key,
    to_head,
    to_page,
    to_state,
)
from order_shared.tables import TableNames

PAGE_COUNTS = (8, 64, 256)
"""Pages that successive queries of one read return at most. A query returns up to 1 MB."""
MAX_EXAMINED = 5000
"""Events after which a read ends, although it has found fewer events than it may return."""
BEFORE_LOG = 0
"""Epoch of positions that were returned before the environment's log began: they continue at its first event."""


class ExpiredReason(StrEnum):
    """Reason why no events can be read from a position."""

    EPOCH = "epoch"
    """The log was restored or failed over since the position was returned."""
    RETENTION = "retention"
    """The events at the position have expired."""
    BEYOND_END = "beyond_end"
    """The position is after the end of the log, so it is not one of this log."""


class PositionExpired(PlatformError):
    """Events may be missing after the position: the reader has to start again."""

    def __init__(self, reason: ExpiredReason) -> None:
        super().__init__(f"no events can be read from this position: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Events of interest: those of `customer`, if given, and of the changes `changes`, unless it is empty."""

    customer: Customer | None = None
    changes: frozenset[OrderChange] = frozenset()

    def matches(self, event: OrderEvent) -> bool:
        return (self.customer is None or event.customer == self.customer) and (
            not self.changes or event.change in self.changes
        )


ALL_EVENTS = EventFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedEvent:
    """Event and the position after it."""

    event: OrderEvent
    after: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Events found in one read. `next` is the position after the last event examined.

    `more` is True if the log has further events after it, whether or not they match the filter.
    """

    events: Sequence[NumberedEvent]
    next: Position
    more: bool


class EventLogReader(Protocol):
    """Port for reading the logs. Any method may raise StorageUnavailable."""

    async def latest(self, tenant: str) -> Position:
        """Return the position at the end of the tenant's log."""
        ...

    async def earliest(self, tenant: str) -> Position:
        """Return the position of the oldest event that has not expired, or the end of the log."""
        ...

    async def since(self, tenant: str, at: datetime) -> Position:
        """Return the position of the first event that was appended at `at` or later and has not expired.

        If there is none, it is the end of the log.
        """
        ...

    async def read(self, tenant: str, position: Position, *, limit: int, matching: EventFilter) -> LogSlice:
        """Return up to `limit` events from the position on. Raises PositionExpired.

        The number of events examined is limited, so there may be fewer events, or none, although `more` is True.
        """
        ...


class DynamoEventLogReader:
    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._table = tables.events
        self._clock = clock

    async def latest(self, tenant: str) -> Position:
        head = await self._head(tenant)
        return await self._start() if head is None else Position(epoch=head.epoch, sequence=head.next)

    async def earliest(self, tenant: str) -> Position:
        head = await self._head(tenant)
        if head is None:
            return await self._start()
        oldest = await self._oldest_page(tenant, head)
        return Position(epoch=head.epoch, sequence=head.next if oldest is None else oldest.sequence)

    async def since(self, tenant: str, at: datetime) -> Position:
        head = await self._head(tenant)
        if head is None:
            return await self._start()
        oldest = await self._oldest_page(tenant, head)
        low, high = head.next if oldest is None else oldest.sequence, head.next
        wanted = to_seconds(at + RETENTION)
        while low < high:
            middle = (low + high) // 2
            below = await self._query(tenant, low, middle, 1, descending=True)
            if below and below[0].expires_at >= wanted:
                high = below[0].sequence
            else:
                low = below[0].end if below else middle + 1
        return Position(epoch=head.epoch, sequence=low)

    async def read(self, tenant: str, position: Position, *, limit: int, matching: EventFilter) -> LogSlice:
        head = await self._head(tenant)
        if head is None:
            start = await self._start()
            _check(position, epoch=start.epoch, end=start.sequence)
            return LogSlice(events=(), next=position, more=False)
        _check(position, epoch=head.epoch, end=head.next)
        found: list[NumberedEvent] = []
        first = at = position.sequence
        for count in PAGE_COUNTS:
            if at >= head.next or at - first >= MAX_EXAMINED:
                break
            for page in await self._pages(tenant, at, head.next, count):
                for number, event in _events_from(page, at):
                    if not matching.matches(event):
                        continue
                    if len(found) == limit:
                        return LogSlice(events=found, next=Position(epoch=head.epoch, sequence=number), more=True)
                    found.append(NumberedEvent(event=event, after=Position(epoch=head.epoch, sequence=number + 1)))
                at = page.end
        return LogSlice(events=found, next=Position(epoch=head.epoch, sequence=at), more=at < head.next)

    async def _head(self, tenant: str) -> Head | None:
        item = await self._dynamo.get(self._table, head_key(tenant))
        return None if item is None else to_head(item)

    async def _start(self) -> Position:
        """Return the position before the first event of a log without events."""
        item = await self._dynamo.get(self._table, dict(LOG_KEY))
        return Position(epoch=BEFORE_LOG if item is None else to_state(item).epoch, sequence=1)

    async def _pages(self, tenant: str, at: int, end: int, count: int) -> list[LogPage]:
        """Return pages that follow without a gap, from the one with the event `at` on. Raises PositionExpired."""
        pages = await self._query(tenant, at, end - 1, count)
        if not pages or pages[0].sequence != at:  # in the middle of a page, or at a gap
            pages = [*await self._query(tenant, 1, at, 1, descending=True), *pages]
        following: list[LogPage] = []
        expected, now = at, self._clock()
        for page in pages:
            if not page.sequence <= expected < page.end or (following and page.sequence != expected):
                break
            if page.is_expired(now):
                break
            following.append(page)
            expected = page.end
        return following or [await self._page_at_gap(tenant, at)]

    async def _page_at_gap(self, tenant: str, at: int) -> LogPage:
        page = await self._committed(tenant, at)
        if page is None:
            raise PositionExpired(ExpiredReason.RETENTION)
        return page

    async def _committed(self, tenant: str, sequence: int) -> LogPage | None:
        return await committed_page(self._dynamo, self._table, tenant, sequence, self._clock())

    async def _oldest_page(self, tenant: str, head: Head) -> LogPage | None:
        """Return the oldest page that has not expired, in a number of reads that grows with the log's logarithm.

        DynamoDB deletes expired pages some days late, and in no particular order.
        """
        low, high = 1, head.next  # the oldest page has a number from `low` to below `high`
        now = self._clock()
        first = await self._query(tenant, 1, head.next - 1, 1)
        if first and not first[0].is_expired(now):
            low = high = first[0].sequence
        while low < high:
            middle = (low + high) // 2
            below = await self._query(tenant, 1, middle, 1, descending=True)
            if below and not below[0].is_expired(now):
                high = below[0].sequence
            else:
                low = middle + 1
        found = await self._query(tenant, low, head.next - 1, 1)
        oldest = found[0] if found else await self._committed(tenant, head.last)
        while oldest is not None and oldest.previous:  # the queries may have missed pages before it
            before = await self._committed(tenant, oldest.previous)
            if before is None:
                break
            oldest = before
        return oldest

    async def _query(
        self, tenant: str, first: int, last: int, count: int, *, descending: bool = False
    ) -> list[LogPage]:
        if first > last:
            return []
        condition = HashKey("feed", tenant) & RangeKey("sequence").between(first, last)
        page = await self._dynamo.query_page(self._table, condition, limit=count, descending=descending)
        return list(map(to_page, page.items))


async def committed_page(dynamo: Dynamo, table: str, tenant: str, sequence: int, now: datetime) -> LogPage | None:
    """Return the page with this number, or None if it is absent or expired. Isolated from transactions."""
    (item,) = await dynamo.transact_get([Get(table, page_key(tenant, sequence))])
    page = None if item is None else to_page(item)
    return None if page is None or page.is_expired(now) else page


def _check(position: Position, *, epoch: int, end: int) -> None:
    """Raise PositionExpired unless the position is one of a log with this epoch and end."""
    if position.epoch != epoch and position != Position(epoch=BEFORE_LOG, sequence=1):
        raise PositionExpired(ExpiredReason.EPOCH)
    if position.sequence > end:
        raise PositionExpired(ExpiredReason.BEYOND_END)


def _events_from(page: LogPage, at: int) -> list[tuple[int, OrderEvent]]:
    """Return the events of a page from the number `at` on, each with its number."""
    events = [event for entry in page.entries for event in entry]
    return [(number, event) for number, event in enumerate(events, page.sequence) if number >= at]
