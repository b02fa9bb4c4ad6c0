"""Append the events of changed orders to the log of their tenant.

One transaction appends the events of several orders: it moves the head, adds a page, and moves the cursor of each
order. Its conditions make every event part of the log exactly once, and keep the events of an order in order, however
many writers append and whichever of them crashes:

    head    `next` is unchanged, or there is no head
    page    absent
    cursor  `version` and `rebuilds` are unchanged, or there is no cursor, for each order

If a condition fails, another writer has appended meanwhile. The writer then reads head and cursors again, and appends
what is still missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiodynamo.errors import TransactionCanceled
from aiodynamo.expressions import Condition, F
from aiodynamo.operations import ConditionCheck, Put

from order_shared.aws.dynamodb import Dynamo, failed_conditions
from order_shared.aws.encoding import WriteOperation
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.items import (
    ABSENT,
    LOG_KEY,
    NO_CURSOR,
    RETENTION,
    Cursor,
    Head,
    LogState,
    cursor_item,
    cursor_key,
    head_item,
    head_key,
    next_page,
    page_item,
    state_item,
    to_cursor,
    to_head,
    to_state,
    unchanged,
)
from order_shared.tables import TableNames

MAX_ORDERS = 97
"""Maximum orders of one append. A transaction has up to 100 writes: the head, the page, a cursor per order, and for a
new head a check of the log's epoch."""
ATTEMPTS = 10
"""Maximum attempts of an append while other writers append to the same log."""


class EventLogWriter(Protocol):
    """Port for appending to the logs. Any method may raise StorageUnavailable; the outcome is then unknown."""

    async def begin(self) -> LogState:
        """Begin the log of the environment unless it has begun, and return its state."""
        ...

    async def append(self, tenant: str, orders: Sequence[Order]) -> int:
        """Append the events of up to MAX_ORDERS different orders that the log lacks. Return the number of events."""
        ...


@dataclass(frozen=True, slots=True)
class _Log:
    """Head of a tenant's log and cursors of some orders, as read. `cursors` is by order id."""

    head: Head | None
    cursors: Mapping[str, Cursor]


class DynamoEventLogWriter:
    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._table = tables.events
        self._clock = clock
        self._state: LogState | None = None

    async def begin(self) -> LogState:
        now = self._clock()
        begun = state_item(LogState(epoch=to_seconds(now), born=now))
        while self._state is None:
            item = await self._dynamo.get(self._table, dict(LOG_KEY))
            if item is None:
                try:
                    await self._dynamo.transact_write([Put(self._table, begun, ABSENT)])
                except TransactionCanceled as error:
                    failed_conditions(error)  # another writer has begun it
                continue
            self._state = to_state(item)
        return self._state

    async def append(self, tenant: str, orders: Sequence[Order]) -> int:
        for _ in range(ATTEMPTS):
            log = await self._read(tenant, orders)
            head = log.head or await self._new_head()
            missing = list(filter(None, (self._missing(order, log.cursors, head.born) for order in orders)))
            if not missing:
                return 0
            try:
                await self._dynamo.transact_write(self._writes(tenant, log, head, missing))
            except TransactionCanceled as error:
                failed_conditions(error)
                self._state = None  # its epoch may have been raised
                continue
            return sum(map(len, missing))
        raise StorageUnavailable(f"the log of {tenant} changed in all {ATTEMPTS} attempts to append", contended=True)

    async def _read(self, tenant: str, orders: Sequence[Order]) -> _Log:
        keys = [head_key(tenant), *(cursor_key(order.order_id) for order in orders)]
        found = {item["feed"]: item for item in await self._dynamo.get_many(self._table, keys)}
        head = found.pop(tenant, None)
        cursors = {feed.removeprefix("order#"): to_cursor(item) for feed, item in found.items()}
        return _Log(None if head is None else to_head(head), cursors)

    async def _new_head(self) -> Head:
        state = await self.begin()
        return Head(next=1, last=0, epoch=state.epoch, born=state.born)

    def _missing(self, order: Order, cursors: Mapping[str, Cursor], born: datetime) -> OrderEvents | None:
        """Return the events of an order that the log lacks, or None. Changes before `oldest` have no events."""
        oldest = max(born, self._clock() - RETENTION)
        first = cursors.get(order.order_id, NO_CURSOR).version
        while first < len(order.history) and order.history[first].at < oldest:
            first += 1
        if first >= len(order.history):
            return None
        return OrderEvents(
            customer=order.customer, order_id=order.order_id, version=first + 1, history=order.history[first:]
        )

    def _writes(self, tenant: str, log: _Log, head: Head, missing: Sequence[OrderEvents]) -> list[WriteOperation]:
        now = self._clock()
        page, after = next_page(head, missing, now)
        same_head: Condition = ABSENT
        if log.head is not None:
            same_head = F("next").equals(head.next) & F("epoch").equals(head.epoch)
        writes: list[WriteOperation] = [
            Put(self._table, head_item(tenant, after), same_head),
            Put(self._table, page_item(tenant, page), ABSENT),
        ]
        if log.head is None:
            writes.append(ConditionCheck(self._table, dict(LOG_KEY), F("epoch").equals(head.epoch)))
        for events in missing:
            before = log.cursors.get(events.order_id, NO_CURSOR)
            last = events.version + len(events.history) - 1
            cursor = cursor_item(events.order_id, last, now, before.rebuilds)
            writes.append(Put(self._table, cursor, unchanged(before)))
        return writes
