"""Compare the logs with the orders, append missing events, and raise the epoch. For operators.

A query may miss pages of transactions that are not finished. The comparison therefore reads pages that a query does not
show in transactions.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from aiodynamo.errors import ConditionalCheckFailed, TransactionCanceled
from aiodynamo.expressions import F, HashKey, RangeKey
from aiodynamo.operations import ConditionCheck, Delete, Put

from order_shared.aws.dynamodb import Dynamo, Item, failed_conditions
from order_shared.domain.clock import Clock, to_text, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.history import HistoryEntry
from order_shared.storage.event_log.append import ATTEMPTS, DynamoEventLogWriter
from order_shared.storage.event_log.comparison import Comparing, Comparison, OrderGap
from order_shared.storage.event_log.items import (
    ABSENT,
    LOG_KEY,
    RETENTION,
    Cursor,
    LogPage,
    LogState,
    cursor_item,
    cursor_key,
    head_item,
    head_key,
    next_page,
    page_item,
    page_key,
    to_cursor,
    to_head,
    to_page,
    to_state,
    unchanged,
)
from order_shared.storage.event_log.read import committed_page
from order_shared.storage.orders import readable_order
from order_shared.tables import TableNames

SCAN_LIMIT = 99
"""Items of one page of a scan: the cursors of a page's orders are read in one request."""
MAX_REBUILT = 98
"""Maximum orders of one transaction that appends lost events."""


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
        comparing = Comparing(max(since, state.born, self._clock() - RETENTION), until)
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

        Pages beyond the end of a log are removed first: a replica may have a page and lack the head that was written
        with it, and no page could be appended at its number. `compare` then finds their events late or lost.
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
                    await self._remove_beyond_end(item["feed"])
                    logs += await self._raise(head_key(item["feed"]), epoch)
            start = page.last_evaluated_key
            if start is None:
                return epoch, logs

    async def _remove_beyond_end(self, tenant: str) -> None:
        """Remove the pages that are beyond the end of a log."""
        table = self._tables.events
        while (item := await self._dynamo.get(table, head_key(tenant))) is not None:
            end = to_head(item).next
            condition = HashKey("feed", tenant) & RangeKey("sequence").gte(end)
            pages = (await self._dynamo.query_page(table, condition, limit=1)).items
            if not pages:
                return
            same_end = ConditionCheck(table, head_key(tenant), F("next").equals(end))
            try:
                await self._dynamo.transact_write([same_end, Delete(table, page_key(tenant, pages[0]["sequence"]))])
            except TransactionCanceled as error:
                failed_conditions(error)  # a page was appended meanwhile

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

    async def _cursors(self, items: Sequence[Item]) -> Mapping[str, Cursor]:
        """Return the cursors of orders by order id."""
        if not items:
            return {}
        found = await self._dynamo.get_many(self._tables.events, [cursor_key(item["order_id"]) for item in items])
        return {item["feed"].removeprefix("order#"): to_cursor(item) for item in found}

    async def _pages(self, tenant: str) -> AsyncIterator[LogPage]:
        """Return the pages of a log that have not expired, also those that a query does not show yet."""
        condition = HashKey("feed", tenant) & RangeKey("sequence").gte(1)
        start: Item | None = None
        now = self._clock()
        last: LogPage | None = None
        while True:
            page = await self._dynamo.query_page(self._tables.events, condition, limit=1000, start_key=start)
            for each in map(to_page, page.items):
                if each.is_expired(now):
                    continue
                for hidden in await self._pages_between(tenant, last, each.previous):
                    yield hidden
                yield each
                last = each
            start = page.last_evaluated_key
            if start is None:
                break
        head = await self._dynamo.get(self._tables.events, head_key(tenant))
        if head is not None:
            for hidden in await self._pages_between(tenant, last, to_head(head).last):
                yield hidden

    async def _pages_between(self, tenant: str, after: LogPage | None, last: int) -> list[LogPage]:
        """Return the pages after `after` up to the one with the number `last`, as far as they exist.

        Each page names the one before it. If one of them is lost, those that follow `after` are found by their numbers.
        """
        found: list[LogPage] = []
        number = last
        while number > (after.sequence if after else 0):
            page = await self._committed(tenant, number)
            if page is None:
                break
            found.append(page)
            number = page.previous
        found.reverse()
        following = after
        while following is not None and following.end < number:
            page = await self._committed(tenant, following.end)
            if page is None:
                break
            found.append(page)
            following = page
        return found

    async def _committed(self, tenant: str, number: int) -> LogPage | None:
        return await committed_page(self._dynamo, self._tables.events, tenant, number, self._clock())

    async def _append_lost(self, tenant: str, gaps: Sequence[OrderGap]) -> int:
        for _ in range(ATTEMPTS):
            item = await self._dynamo.get(self._tables.events, head_key(tenant))
            if item is None:
                return 0  # restored to a time before its first event: the next comparison finds them late
            head, now = to_head(item), self._clock()
            entries = [entry for gap in gaps for entry in _entries_of(gap)]
            page, after = next_page(head, entries, now)
            same_head = F("next").equals(head.next) & F("epoch").equals(head.epoch)
            writes = [
                Put(self._tables.events, head_item(tenant, after), same_head),
                Put(self._tables.events, page_item(tenant, page), ABSENT),
            ]
            for gap in gaps:
                before = Cursor(version=gap.order.version, rebuilds=gap.rebuilds)
                cursor = cursor_item(gap.order.order_id, before.version, now, before.rebuilds + 1)
                writes.append(Put(self._tables.events, cursor, unchanged(before)))
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
