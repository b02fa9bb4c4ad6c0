"""Compare the logs with the orders, append missing events, and raise the epoch. For operators.

The comparison reads the cursor of each order before it reads the logs. A cursor moves in the transaction that appends,
so every event up to the cursor was in the log before, and is missing if the later read does not find it. Such events
are *lost*: the writers of the log never append them again. Events after the cursor are *late*: their message has not
been processed yet, or was lost.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import Condition, F, HashKey, RangeKey
from aiodynamo.operations import Put

from order_shared.aws.dynamodb import Dynamo, Item, failed_conditions
from order_shared.domain.clock import Clock, to_text, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.history import HistoryEntry
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.append import ATTEMPTS, DynamoEventLogWriter
from order_shared.storage.event_log.items import (
    ABSENT,
    LOG_KEY,
    RETENTION,
    LogPage,
    LogState,
    cursor_item,
    cursor_key,
    head_item,
    head_key,
    next_page,
    page_item,
    to_head,
    to_page,
    to_state,
)
from order_shared.storage.orders import UnreadableOrder, readable_order
from order_shared.tables import TableNames

SCAN_LIMIT = 99
"""Items of one page of a scan: the cursors of a page's orders are read in one request."""
MAX_REBUILT = 98
"""Maximum orders of one transaction that appends lost events."""


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
class _Expected:
    """Events of an order that must be in its log, as its cursor says."""

    order: Order
    events: dict[str, OrderEvent]
    rebuilds: int


class _Comparing:
    """State of a comparison: first of the orders and cursors read, then of the events that are expected in the logs."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since = since
        self.expected: defaultdict[str, dict[str, _Expected]] = defaultdict(dict)
        """By tenant and order id."""
        self._until = until
        self._late: list[OrderGap] = []
        self._unreadable: list[UnreadableOrder] = []
        self._orders = self._events = 0

    def read(self, order: Order | UnreadableOrder, cursors: Mapping[str, Item]) -> None:
        """Note an order and its cursor."""
        self._orders += 1
        if isinstance(order, UnreadableOrder):
            self._unreadable.append(order)
            return
        cursor = cursors.get(order.order_id, {"version": 0})
        changes = [event for event in OrderEvents.of(order) if self.since <= event.at < self._until]
        self._events += len(changes)
        late = tuple(event for event in changes if event.version > cursor["version"])
        if late:
            self._late.append(OrderGap(order=order, events=late, is_late=True))
        present = {event.id: event for event in changes if event.version <= cursor["version"]}
        if present:
            expected = _Expected(order, present, cursor.get("rebuilds", 0))
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


class EventLogRepair:
    """All methods raise StorageUnavailable."""

    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._tables = tables
        self._clock = clock
        self._writer = DynamoEventLogWriter(dynamo, tables, clock)

    async def pages_of_orders(self, tenant: str | None = None) -> AsyncIterator[list[Item]]:
        """Return the stored orders page by page: all of them, or those of a tenant."""
        start: Item | None = None
        while True:
            page = await self._dynamo.scan_page(self._tables.orders, limit=SCAN_LIMIT, start_key=start)
            yield [item for item in page.items if tenant is None or item["customer_key"].startswith(f"{tenant}#")]
            start = page.last_evaluated_key
            if start is None:
                return

    async def compare(self, pages: AsyncIterator[list[Item]], *, since: datetime, until: datetime) -> Comparison:
        """Compare changes made from `since` to before `until` with the logs.

        `since` must be within the retention of events. Leave out the last minutes with `until`: their messages may be
        on their way.
        """
        state = await self._writer.begin()
        comparing = _Comparing(max(since, state.born, self._clock() - RETENTION), until)
        async for items in pages:
            changed = [item for item in items if item["updated_at"] >= to_text(comparing.since)]
            cursors = await self._cursors(changed)
            for order in map(readable_order, changed):
                comparing.read(order, cursors)
        for tenant in comparing.expected:
            async for page in self._pages(tenant):
                comparing.found(tenant, page)
        return comparing.result()

    async def rebuild(self, gaps: Iterable[OrderGap]) -> int:
        """Append missing events at the end of their logs, and return how many.

        The events of an order whose lost events are appended are no longer in the order of its versions. An order that
        has changed since the comparison is left out: compare again.
        """
        appended = 0
        by_tenant: defaultdict[tuple[str, bool], list[OrderGap]] = defaultdict(list)
        for gap in gaps:
            by_tenant[gap.order.customer.tenant, gap.is_late].append(gap)
        for (tenant, is_late), of_tenant in sorted(
            by_tenant.items(), key=lambda each: not each[0][1]
        ):  # late ones first
            for start in range(0, len(of_tenant), MAX_REBUILT):
                some = of_tenant[start : start + MAX_REBUILT]
                if is_late:
                    appended += await self._writer.append(tenant, [gap.order for gap in some])
                else:
                    appended += await self._append_lost(tenant, some)
        return appended

    async def raise_epoch(self) -> tuple[int, int]:
        """Make every position of readers invalid. Return the new epoch and the number of logs.

        It is the time of the call in epoch seconds, so that it is not one that was in use before a restore.
        """
        state = await self.state() or await self._writer.begin()
        epoch = max(to_seconds(self._clock()), state.epoch + 1)
        await self._raise(dict(LOG_KEY), epoch)
        logs = 0
        start: Item | None = None
        while True:
            page = await self._dynamo.scan_page(self._tables.events, limit=1000, start_key=start)
            for item in page.items:
                if "born" in item and item["feed"] != LOG_KEY["feed"]:
                    logs += await self._raise(head_key(item["feed"]), epoch)
            start = page.last_evaluated_key
            if start is None:
                return epoch, logs

    async def state(self) -> LogState | None:
        """Return the state of the environment's log, or None if it has not begun."""
        item = await self._dynamo.get(self._tables.events, dict(LOG_KEY))
        return None if item is None else to_state(item)

    async def _raise(self, key: Item, epoch: int) -> bool:
        try:
            await self._dynamo.update(self._tables.events, key, F("epoch").set(epoch), condition=F("epoch").lt(epoch))
        except ConditionalCheckFailed:
            return False  # a concurrent call has raised it further
        return True

    async def _cursors(self, items: Sequence[Item]) -> Mapping[str, Item]:
        """Return the cursors of orders by order id."""
        if not items:
            return {}
        found = await self._dynamo.get_many(self._tables.events, [cursor_key(item["order_id"]) for item in items])
        return {item["feed"].removeprefix("order#"): item for item in found}

    async def _pages(self, tenant: str) -> AsyncIterator[LogPage]:
        """Return the pages of a log that have not expired."""
        condition = HashKey("feed", tenant) & RangeKey("sequence").gte(1)
        start: Item | None = None
        now = self._clock()
        while True:
            page = await self._dynamo.query_page(self._tables.events, condition, limit=1000, start_key=start)
            for each in map(to_page, page.items):
                if not each.is_expired(now):
                    yield each
            start = page.last_evaluated_key
            if start is None:
                return

    async def _append_lost(self, tenant: str, gaps: Sequence[OrderGap]) -> int:
        for _ in range(ATTEMPTS):
            item = await self._dynamo.get(self._tables.events, head_key(tenant))
            if item is None:
                return 0  # restored to a time before its first event: the next comparison finds them late
            head, now = to_head(item), self._clock()
            entries = [entry for gap in gaps for entry in _entries_of(gap)]
            page, after = next_page(head, entries, now)
            unchanged = F("next").equals(head.next) & F("epoch").equals(head.epoch)
            writes = [
                Put(self._tables.events, head_item(tenant, after), unchanged),
                Put(self._tables.events, page_item(tenant, page), ABSENT),
            ]
            for gap in gaps:
                cursor = cursor_item(gap.order.order_id, gap.order.version, now) | {"rebuilds": gap.rebuilds + 1}
                condition: Condition = F("version").equals(gap.order.version)
                same = F("rebuilds").equals(gap.rebuilds) if gap.rebuilds else F("rebuilds").does_not_exist()
                writes.append(Put(self._tables.events, cursor, condition & same))
            try:
                await self._dynamo.transact_write(writes)
            except TransactionCanceled as error:
                _, _, *changed = failed_conditions(error)
                gaps = [gap for gap, has_changed in zip(gaps, changed, strict=True) if not has_changed]
                if not gaps:
                    return 0
                continue
            return sum(map(len, entries))
        raise StorageUnavailable(f"the log of {tenant} changed in all {ATTEMPTS} attempts to append", contended=True)


def _entries_of(gap: OrderGap) -> list[OrderEvents]:
    """Return the missing events as entries, one per version."""
    missing: defaultdict[int, list[OrderEvent]] = defaultdict(list)
    for event in gap.events:
        missing[event.version].append(event)
    return [
        OrderEvents(
            customer=gap.order.customer,
            order_id=gap.order.order_id,
            version=version,
            history=(HistoryEntry(tuple(event.change for event in events), events[0].at),),
        )
        for version, events in missing.items()
    ]
