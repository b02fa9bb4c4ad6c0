"""Log of order events: every event once, in order for each order, without a gap, for any number of writers."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from aws_json_client import Answer, AwsClient
from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.clock import utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import Order, Reason, ReasonCode
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.items import LOG_KEY, RETENTION, cursor_key, head_key, page_key, to_page
from order_shared.storage.event_log.read import (
    ALL_EVENTS,
    BEFORE_LOG,
    DynamoEventLogReader,
    EventFilter,
    ExpiredReason,
    LogSlice,
    PositionExpired,
)
from order_shared.storage.event_log.repair import EventLogRepair
from order_shared.storage.migrations import MigratedTable, Migration
from order_shared.storage.order_items import item_key
from tests import tables
from tests.factories import make_customer, make_order, make_record
from tests.integration.conftest import Storage

MAX_ORDERS = 7
"""Orders of one append, so that DynamoDB Local of 2020 takes the transaction."""
LATER = timedelta(seconds=1)


@dataclass
class Log:
    """The log of one tenant, and the storage that it is in."""

    storage: Storage
    writer: DynamoEventLogWriter
    reader: DynamoEventLogReader

    @property
    def tenant(self) -> str:
        return self.storage.tenant

    def order(self, customer: str = "ada") -> Order:
        self.storage.clock.advance(LATER)
        return make_order(customer=make_customer(self.tenant, customer), at=self.storage.clock())

    def after(self, order: Order, *changes: str) -> Order:
        """Return the order after changes, each some time later."""
        for change in changes:
            self.storage.clock.advance(LATER)
            now = self.storage.clock()
            match change:
                case "confirmed":
                    order = order.confirm(now)
                case "rejected":
                    order = order.reject(now, Reason(ReasonCode.OUT_OF_STOCK, "none left"))
                case "cancel_requested":
                    order = order.request_cancel(now, due_at=0)
                case "cancelled":
                    order = order.cancel(now)
        return order

    async def append(self, *orders: Order) -> int:
        return await self.writer.append(self.tenant, orders)

    async def read_all(
        self, position: Position | None = None, *, limit: int = 100, matching: EventFilter = ALL_EVENTS
    ) -> list[OrderEvent]:
        """Read from the position, or the oldest event, to the end."""
        position = position or await self.reader.earliest(self.tenant)
        found: list[OrderEvent] = []
        while True:
            part = await self.reader.read(self.tenant, position, limit=limit, matching=matching)
            found += [each.event for each in part.events]
            position = part.next
            if not part.more:
                return found

    async def read(self, position: Position, *, limit: int = 100) -> LogSlice:
        return await self.reader.read(self.tenant, position, limit=limit, matching=ALL_EVENTS)

    async def delete(self, key: Mapping[str, Any]) -> None:
        await tables.delete(self.storage.dynamo, self.storage.tables.events, dict(key))


async def open_log(storage: Storage, dynamo: Dynamo | None = None) -> Log:
    """Return a log whose environment's log began before every order of the test.

    The clock starts today, because a real engine deletes items that have expired.
    """
    storage.clock.now = max(storage.clock.now, utc_now())
    dynamo, names, clock = dynamo or storage.dynamo, storage.tables, storage.clock
    writer = DynamoEventLogWriter(dynamo, names, clock)
    await writer.begin()
    return Log(storage, writer, DynamoEventLogReader(dynamo, names, clock))


@pytest.fixture
async def log(storage: Storage) -> Log:
    return await open_log(storage)


def names(events: list[OrderEvent]) -> list[str]:
    return [event.id.partition(".")[2] for event in events]


async def test_the_events_of_an_order_are_read_in_the_order_of_its_versions(log: Log) -> None:
    order = log.order()
    assert await log.append(order) == 1
    ended = log.after(order, "confirmed", "cancel_requested", "cancelled")
    assert await log.append(ended) == 3
    events = await log.read_all()
    assert names(events) == ["1.placed", "2.confirmed", "3.cancel_requested", "4.cancelled"]
    assert {event.order_id for event in events} == {order.order_id}
    assert {event.customer for event in events} == {order.customer}
    assert [event.at for event in events] == [entry.at for entry in ended.history]
    assert events[0].type == "order.placed.v1"


async def test_several_changes_of_one_write_are_several_events_of_one_version(log: Log) -> None:
    order = make_order(customer=make_customer(log.tenant), at=log.storage.clock(), payment_token="pm_card_visa")
    reserved = order.reserve(order.created_at, owner="one", lease_until=order.created_at).with_payment("pi_1")
    await log.append(log.after(reserved, "confirmed"))
    assert names(await log.read_all()) == ["1.placed", "2.reserved", "3.charged", "3.confirmed"]


async def test_what_is_in_the_log_is_not_appended_again(log: Log) -> None:
    placed, other = log.order(), log.order()
    ended = log.after(placed, "confirmed")
    assert await log.append(ended, other) == 3
    assert await log.append(ended, other) == 0
    assert await log.append(placed) == 0, "an older state of an order, from a late read"
    assert len(await log.read_all()) == 3


async def test_an_append_of_many_orders_is_one_page(log: Log) -> None:
    orders = [log.after(log.order(), "confirmed") for _ in range(MAX_ORDERS)]
    assert await log.append(*orders) == 2 * MAX_ORDERS
    part = await log.read(await log.reader.earliest(log.tenant))
    assert [each.event.order_id for each in part.events[::2]] == [order.order_id for order in orders]
    assert (part.next, part.more) == (await log.reader.latest(log.tenant), False)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_every_event_is_read_once_whatever_the_size_of_a_slice(log: Log, limit: int) -> None:
    orders = [log.after(log.order(), "rejected") for _ in range(5)]
    await log.append(*orders[:3])
    await log.append(*orders[3:])
    assert names(await log.read_all(limit=limit)) == ["1.placed", "2.rejected"] * 5


async def test_a_reader_resumes_after_any_event(log: Log) -> None:
    await log.append(*(log.after(log.order(), "confirmed") for _ in range(3)))
    whole = await log.read(await log.reader.earliest(log.tenant))
    for count, each in enumerate(whole.events, 1):
        rest = await log.read(each.after)
        assert [one.event for one in rest.events] == [one.event for one in whole.events[count:]]


async def test_events_are_filtered_by_customer_and_change(log: Log) -> None:
    await log.append(log.after(log.order("ada"), "confirmed"), log.after(log.order("bob"), "rejected"))
    of_bob = EventFilter(customer=make_customer(log.tenant, "bob"))
    assert names(await log.read_all(matching=of_bob)) == ["1.placed", "2.rejected"]
    ends = EventFilter(changes=frozenset({OrderChange.CONFIRMED, OrderChange.REJECTED}))
    assert names(await log.read_all(matching=ends)) == ["2.confirmed", "2.rejected"]


async def test_a_full_slice_ends_before_the_next_event_that_matches(log: Log) -> None:
    """The events between are examined, and counted as such, once."""
    await log.append(log.order("bob"), *(log.order("ada") for _ in range(4)), log.order("bob"))
    of_bob = EventFilter(customer=make_customer(log.tenant, "bob"))
    start = await log.reader.earliest(log.tenant)
    first = await log.reader.read(log.tenant, start, limit=1, matching=of_bob)
    assert (len(first.events), first.more) == (1, True)
    assert first.next.sequence == start.sequence + 5
    rest = await log.reader.read(log.tenant, first.next, limit=1, matching=of_bob)
    assert (len(rest.events), rest.more) == (1, False)
    assert rest.next == await log.reader.latest(log.tenant)


async def test_a_tenant_reads_no_events_of_another(log: Log) -> None:
    other = replace(log, storage=replace(log.storage, tenant=f"{log.tenant}-other"))
    await log.append(log.order())
    assert await other.read_all() == []


async def test_a_reader_at_the_end_finds_what_is_appended_later(log: Log) -> None:
    end = await log.reader.latest(log.tenant)
    assert await log.read(end) == LogSlice(events=(), next=end, more=False)
    await log.append(log.order())
    assert names(await log.read_all(end)) == ["1.placed"]
    end = await log.reader.latest(log.tenant)
    assert (await log.read(end)).events == []


async def test_changes_before_the_log_began_have_no_events(log: Log) -> None:
    began = (await log.writer.begin()).born
    before = make_order(customer=make_customer(log.tenant), at=began - LATER)
    assert await log.append(before) == 0
    assert await log.append(log.after(before, "confirmed")) == 1
    assert names(await log.read_all()) == ["2.confirmed"]


async def test_changes_older_than_the_retention_have_no_events(log: Log) -> None:
    old = log.order()
    log.storage.clock.advance(RETENTION + LATER)
    assert await log.append(log.after(old, "confirmed")) == 1
    assert names(await log.read_all()) == ["2.confirmed"]


async def test_events_that_have_expired_are_not_read(log: Log) -> None:
    """Also before DynamoDB has deleted them."""
    start = await log.reader.earliest(log.tenant)
    for _ in range(3):
        await log.append(log.order())
    middle = (await log.read(start, limit=2)).next
    log.storage.clock.advance(RETENTION + LATER)
    await log.append(log.order(), log.order())
    assert len(await log.read_all()) == 2
    for position in (start, middle):
        with pytest.raises(PositionExpired) as expired:
            await log.read(position)
        assert expired.value.reason is ExpiredReason.RETENTION


@pytest.mark.parametrize("deleted", [(1,), (2,), (1, 2), (1, 2, 3), (3,)])
async def test_pages_are_deleted_in_any_order(log: Log, deleted: tuple[int, ...]) -> None:
    for _ in range(3):
        await log.append(log.order())
    log.storage.clock.advance(RETENTION + LATER)
    await log.append(log.order())
    for sequence in deleted:
        await log.delete(page_key(log.tenant, sequence))
    assert (await log.reader.earliest(log.tenant)).sequence == 4
    assert len(await log.read_all()) == 1


async def test_events_are_found_by_the_time_at_which_they_were_appended(log: Log) -> None:
    """The time of an event says nothing: a late one has an early time."""
    began = log.storage.clock()
    late = log.order()
    times, positions = [], []
    for orders in ([log.order()], [log.order(), log.order()], [late], [log.order()]):
        log.storage.clock.advance(timedelta(minutes=1))
        times.append(log.storage.clock())
        positions.append(await log.reader.latest(log.tenant))
        await log.append(*orders)
    end = await log.reader.latest(log.tenant)
    assert [await log.reader.since(log.tenant, at) for at in times] == positions
    assert [await log.reader.since(log.tenant, at + LATER) for at in times] == [*positions[1:], end]
    assert await log.reader.since(log.tenant, began) == positions[0]
    log.storage.clock.advance(RETENTION - timedelta(minutes=1, seconds=30))
    assert await log.reader.since(log.tenant, began) == positions[2], "the first two have expired"


async def test_a_log_that_has_not_begun_has_no_events_since_any_time(log: Log) -> None:
    assert await log.reader.since(log.tenant, log.storage.clock()) == await log.reader.latest(log.tenant)


async def test_a_log_without_a_page_that_has_not_expired_is_empty(log: Log) -> None:
    await log.append(log.order())
    log.storage.clock.advance(RETENTION + LATER)
    assert await log.read_all() == []
    assert await log.reader.earliest(log.tenant) == await log.reader.latest(log.tenant)


async def test_a_position_of_another_epoch_has_expired(log: Log) -> None:
    await log.append(log.order())
    end = await log.reader.latest(log.tenant)
    with pytest.raises(PositionExpired) as expired:
        await log.read(replace(end, epoch=end.epoch - 1))
    assert expired.value.reason is ExpiredReason.EPOCH


async def test_a_position_beyond_the_end_has_expired(log: Log) -> None:
    await log.append(log.order())
    end = await log.reader.latest(log.tenant)
    with pytest.raises(PositionExpired) as expired:
        await log.read(replace(end, sequence=end.sequence + 1))
    assert expired.value.reason is ExpiredReason.BEYOND_END


async def test_a_position_from_before_the_log_began_continues_at_the_first_event(log: Log) -> None:
    await log.append(log.order())
    assert names(await log.read_all(Position(epoch=BEFORE_LOG, sequence=1))) == ["1.placed"]


async def test_a_cursor_that_has_expired_repeats_no_event(log: Log) -> None:
    """The cursor of an order is kept for longer than changes can be appended."""
    order = log.order()
    await log.append(order)
    log.storage.clock.advance(2 * RETENTION + LATER)
    await log.delete(cursor_key(order.order_id))
    cancelled = log.after(order, "confirmed", "cancel_requested")
    assert await log.append(cancelled) == 2
    assert names(await log.read_all()) == ["2.confirmed", "3.cancel_requested"]


async def test_a_migration_of_an_order_adds_no_event(log: Log) -> None:
    storage = log.storage
    order = replace(log.order(), stores_history=False)
    await storage.orders.add(order, make_record(order))
    cancelled = await storage.orders.move(order, order.cancel(storage.clock()))
    assert await log.append(cancelled) == 2
    item = await storage.dynamo.get(storage.tables.orders, item_key(order.customer.key, order.created_at))
    assert item is not None
    assert await Migration.of(storage.dynamo, storage.tables, MigratedTable.ORDERS).rewrite(item)
    migrated = await storage.orders.get(order.customer, order.order_id)
    assert migrated.stores_history
    assert await log.append(migrated) == 0
    assert names(await log.read_all()) == ["1.placed", "2.cancelled"]


async def test_pages_are_linked_and_expire(log: Log) -> None:
    for _ in range(3):
        await log.append(log.order(), log.order())
    items = [await log.storage.dynamo.get(log.storage.tables.events, page_key(log.tenant, n)) for n in (1, 3, 5)]
    pages = [to_page(item) for item in items if item is not None]
    assert [(page.sequence, page.previous, page.end) for page in pages] == [(1, 0, 3), (3, 1, 5), (5, 3, 7)]
    head = await log.storage.dynamo.get(log.storage.tables.events, head_key(log.tenant))
    assert head is not None
    assert (head["next"], head["last"]) == (7, 5)
    assert "expires_at" not in head
    assert pages[-1].expires_at == to_seconds(log.storage.clock() + RETENTION)


@pytest.mark.parametrize("writers", [4])
async def test_several_writers_append_each_event_once_and_leave_no_gap(real_storage: Storage, writers: int) -> None:
    """Each writer gets every change, in an order of its own, and some of them twice."""
    logs = [await open_log(real_storage) for _ in range(writers)]
    orders = [logs[0].order() for _ in range(12)]
    states = [state for order in orders for state in (order, logs[0].after(order, "confirmed"))]
    dice = random.Random(7)  # noqa: S311 - a fixed order

    async def work(log: Log) -> None:
        todo = states + dice.sample(states, 6)
        dice.shuffle(todo)
        for start in range(0, len(todo), 5):
            latest = {state.order_id: state for state in sorted(todo[start : start + 5], key=lambda each: each.version)}
            await log.append(*latest.values())

    await asyncio.gather(*map(work, logs))
    events = await logs[0].read_all(limit=7)
    assert Counter(event.id for event in events) == Counter(event.id for event in _events_of(states[1::2]))
    for order in orders:
        assert [event.version for event in events if event.order_id == order.order_id] == [1, 2]


def _events_of(orders: list[Order]) -> Iterator[OrderEvent]:
    for order in orders:
        for version, entry in enumerate(order.history, 1):
            for change in entry.types:
                yield OrderEvent(
                    customer=order.customer, order_id=order.order_id, version=version, change=change, at=entry.at
                )


class HalfVisible:
    """Transport whose queries do not return some pages yet, as a query beside a transaction may."""

    name = "dynamodb"

    def __init__(self, inner: AwsClient, hidden: set[str]) -> None:
        self._inner = inner
        self.hidden = hidden

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        answer = await self._inner.request(operation, dict(payload))
        if operation == "Query":
            answer["Items"] = [item for item in answer["Items"] if item["sequence"]["N"] not in self.hidden]
        return Answer(answer, None)


HIDDEN = [{"1"}, {"2"}, {"3"}, {"1", "2"}, {"1", "2", "3"}, {"2", "4"}, {"1", "2", "3", "4"}]


@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_page_that_a_query_does_not_show_yet_is_not_skipped(storage: Storage, hidden: set[str]) -> None:
    log = await open_log(storage)
    orders = [log.order() for _ in range(4)]
    for order in orders:
        await log.append(order)
    half_visible = HalfVisible(storage.dynamo.client, hidden)
    reader = DynamoEventLogReader(Dynamo(AwsClient(half_visible)), storage.tables, storage.clock)
    start = await reader.earliest(log.tenant)
    found = await replace(log, reader=reader).read_all(start)
    assert [event.order_id for event in found] == [order.order_id for order in orders]


class Interrupted:
    """Transport that runs a function once, before the first request of an operation."""

    name = "dynamodb"

    def __init__(self, inner: AwsClient, operation: str = "TransactWriteItems") -> None:
        self._inner = inner
        self._operation = operation
        self.before: Callable[[], Awaitable[object]] | None = None

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        if operation == self._operation and (before := self.before) is not None:
            self.before = None
            await before()
        return Answer(await self._inner.request(operation, dict(payload)), None)


@pytest.fixture
def interrupted(storage: Storage) -> tuple[Interrupted, DynamoEventLogWriter]:
    """A writer between whose reads and writes something can happen."""
    transport = Interrupted(storage.dynamo.client)
    return transport, DynamoEventLogWriter(Dynamo(AwsClient(transport)), storage.tables, storage.clock)


async def test_an_append_keeps_an_epoch_that_was_raised_meanwhile(
    log: Log, interrupted: tuple[Interrupted, DynamoEventLogWriter]
) -> None:
    transport, writer = interrupted
    await log.append(log.order())
    repair = EventLogRepair(log.storage.dynamo, log.storage.tables, log.storage.clock)
    raised = 0

    async def raise_epoch() -> None:
        nonlocal raised
        raised, _ = await repair.raise_epoch()

    transport.before = raise_epoch
    assert await writer.append(log.tenant, [log.order()]) == 1
    assert (await log.reader.latest(log.tenant)).epoch == raised


async def test_the_head_of_a_new_log_has_an_epoch_that_was_raised_meanwhile(
    log: Log, interrupted: tuple[Interrupted, DynamoEventLogWriter]
) -> None:
    transport, writer = interrupted
    repair = EventLogRepair(log.storage.dynamo, log.storage.tables, log.storage.clock)
    transport.before = repair.raise_epoch
    assert await writer.append(log.tenant, [log.order()]) == 1
    state = await repair.state()
    assert state is not None
    assert (await log.reader.latest(log.tenant)).epoch == state.epoch


@pytest.mark.parametrize("appended_before", [0, 1])
async def test_a_number_is_never_used_twice_even_if_its_page_is_gone(
    log: Log, interrupted: tuple[Interrupted, DynamoEventLogWriter], appended_before: int
) -> None:
    transport, writer = interrupted
    for _ in range(appended_before):
        await log.append(log.order())
    other = log.order()

    async def append_and_lose_the_page() -> None:
        await log.append(other)
        await log.delete(page_key(log.tenant, appended_before + 1))

    transport.before = append_and_lose_the_page
    late = log.order()
    assert await writer.append(log.tenant, [late]) == 1
    end = await log.reader.latest(log.tenant)
    assert end.sequence == appended_before + 3
    found = await log.read_all(replace(end, sequence=appended_before + 2))
    assert [event.order_id for event in found] == [late.order_id]


async def test_a_log_begins_once(log: Log, interrupted: tuple[Interrupted, DynamoEventLogWriter]) -> None:
    """Although two writers have seen that it has not begun."""
    transport, writer = interrupted
    await log.delete(LOG_KEY)
    first = DynamoEventLogWriter(log.storage.dynamo, log.storage.tables, log.storage.clock)

    async def begin_later() -> None:
        log.storage.clock.advance(LATER)
        await first.begin()

    transport.before = begin_later
    assert await writer.begin() == await first.begin()


async def test_a_page_is_never_overwritten(log: Log) -> None:
    """Also if the head does not know of it, which nothing of the platform brings about."""
    await log.append(log.order())
    page = await log.storage.dynamo.get(log.storage.tables.events, page_key(log.tenant, 1))
    assert page is not None
    await log.storage.dynamo.put(log.storage.tables.events, {**page, **page_key(log.tenant, 2)})
    with pytest.raises(StorageUnavailable):
        await log.append(log.order())


class TwoMoments:
    """Transport whose first read of a head and cursors has the head of a later moment than the cursors."""

    name = "dynamodb"

    def __init__(self, inner: AwsClient, between: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._between: Callable[[], Awaitable[object]] | None = between

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        answer = await self._inner.request(operation, dict(payload))
        if operation == "BatchGetItem" and (between := self._between) is not None:
            self._between = None
            await between()
            later = await self._inner.request(operation, dict(payload))
            ((table, items),) = answer["Responses"].items()
            heads = [item for item in later["Responses"][table] if "born" in item]
            answer["Responses"] = {table: [*heads, *(item for item in items if "born" not in item)]}
        return Answer(answer, None)


@pytest.mark.parametrize("was_appended", [False, True])
async def test_a_cursor_that_moves_while_the_head_is_read_repeats_no_event(
    storage: Storage, *, was_appended: bool
) -> None:
    """A batch of reads is no snapshot."""
    log = await open_log(storage)
    await log.append(log.order())
    order = log.order()
    if was_appended:
        await log.append(order)
    ended = log.after(order, "confirmed")
    transport = TwoMoments(storage.dynamo.client, lambda: log.append(ended))
    writer = DynamoEventLogWriter(Dynamo(AwsClient(transport)), storage.tables, storage.clock)
    assert await writer.append(log.tenant, [ended]) == 0
    assert names(await log.read_all()) == ["1.placed", "1.placed", "2.confirmed"]
