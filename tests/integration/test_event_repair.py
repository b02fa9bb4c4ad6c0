"""Comparing the logs with the orders, appending what is missing, and raising the epoch."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from aws_json_client import AwsClient
from order_shared.aws.dynamodb import Dynamo
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.comparison import Comparison
from order_shared.storage.event_log.items import cursor_key, head_key, page_key
from order_shared.storage.event_log.read import ExpiredReason, PositionExpired
from order_shared.storage.event_log.repair import EventLogRepair
from tests.factories import make_record
from tests.integration.conftest import Storage
from tests.integration.test_event_log import LATER, HalfVisible, Interrupted, Log, TwoMoments, names, open_log

HOUR = timedelta(hours=1)


@dataclass
class Desk:
    """An operator's desk over the log of one tenant."""

    log: Log
    repair: EventLogRepair

    async def place(self) -> Order:
        """Store an order, and append its event."""
        order = await self.store(self.log.order())
        await self.log.append(order)
        return order

    async def store(self, order: Order) -> Order:
        await self.log.storage.orders.add(order, make_record(order))
        return order

    async def compare(self, *, since: timedelta = HOUR, until: timedelta = timedelta(0)) -> Comparison:
        now = self.log.storage.clock() + LATER
        pages = self.repair.pages_of_orders(self.log.tenant)
        return await self.repair.compare(pages, since=now - since, until=now - until)

    async def missing(self) -> list[str]:
        return names([event for gap in (await self.compare()).gaps for event in gap.events])


@pytest.fixture
async def desk(storage: Storage) -> Desk:
    return Desk(await open_log(storage), EventLogRepair(storage.dynamo, storage.tables, storage.clock))


async def test_a_whole_log_lacks_nothing(desk: Desk) -> None:
    order = await desk.place()
    ended = await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock()))
    await desk.log.append(ended)
    found = await desk.compare()
    assert (found.orders, found.events, found.gaps, found.unreadable) == (1, 2, [], [])


async def test_a_change_that_was_never_appended_is_late(desk: Desk) -> None:
    order = await desk.place()
    cancelled = await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock()))
    found = await desk.compare()
    assert [(gap.is_late, names(list(gap.events))) for gap in found.gaps] == [(True, ["2.cancelled"])]
    assert await desk.repair.rebuild(found.gaps) == 1
    assert await desk.missing() == []
    assert await desk.log.append(cancelled) == 0
    assert names(await desk.log.read_all()) == ["1.placed", "2.cancelled"]


async def test_changes_of_the_last_minutes_are_left_out(desk: Desk) -> None:
    await desk.store(desk.log.order())
    assert len((await desk.compare()).gaps) == 1
    assert (await desk.compare(until=HOUR / 2)).gaps == []


async def test_an_event_that_was_removed_is_found_and_appended_again(desk: Desk) -> None:
    first = await desk.place()
    removed, last = await desk.place(), await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 2))
    found = await desk.compare()
    (gap,) = found.gaps
    assert (gap.order.order_id, gap.is_late, names(list(gap.events))) == (removed.order_id, False, ["1.placed"])
    assert await desk.repair.rebuild(found.gaps) == 1
    assert await desk.missing() == []
    start = await desk.log.reader.latest(desk.log.tenant)
    found_again = await desk.log.read_all(replace(start, sequence=3))
    assert [event.order_id for event in found_again] == [last.order_id, removed.order_id]
    with pytest.raises(PositionExpired):
        await desk.log.read_all(replace(start, sequence=2))
    assert first.order_id


async def test_two_operators_append_a_lost_event_once(desk: Desk) -> None:
    await desk.place()
    removed = await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 2))
    found = await desk.compare()
    assert [await desk.repair.rebuild(found.gaps) for _ in range(2)] == [1, 0]
    end = await desk.log.reader.latest(desk.log.tenant)
    assert [event.order_id for event in await desk.log.read_all(replace(end, sequence=3))] == [removed.order_id]


async def test_an_event_that_is_lost_twice_is_appended_twice(desk: Desk) -> None:
    await desk.place()
    for sequence in (1, 2):
        await desk.log.delete(page_key(desk.log.tenant, sequence))
        assert await desk.repair.rebuild((await desk.compare()).gaps) == 1
    assert await desk.missing() == []


async def test_an_order_that_changed_since_the_comparison_is_left_out(desk: Desk) -> None:
    order = await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    found = await desk.compare()
    await desk.log.append(await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock())))
    assert await desk.repair.rebuild(found.gaps) == 0
    assert await desk.repair.rebuild((await desk.compare()).gaps) == 1
    assert await desk.missing() == []


async def test_late_and_lost_events_of_one_order_are_both_appended(desk: Desk) -> None:
    order = await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock()))
    assert await desk.repair.rebuild((await desk.compare()).gaps) == 2
    assert await desk.missing() == []


async def test_raising_the_epoch_makes_positions_invalid_and_keeps_the_events(desk: Desk) -> None:
    order = await desk.place()
    before = await desk.log.reader.latest(desk.log.tenant)
    epoch, _ = await desk.repair.raise_epoch()
    assert epoch > before.epoch
    with pytest.raises(PositionExpired) as expired:
        await desk.log.read_all(before)
    assert expired.value.reason is ExpiredReason.EPOCH
    assert len(await desk.log.read_all()) == 1
    await desk.place()
    assert len(await desk.log.read_all()) == 2, "writers go on, whatever they had read before"
    assert order.order_id


async def test_the_log_of_a_new_tenant_has_the_raised_epoch(desk: Desk) -> None:
    """Also if its writer has read the former one."""
    await desk.log.writer.begin()
    epoch, _ = await desk.repair.raise_epoch()
    await desk.place()
    assert (await desk.log.reader.latest(desk.log.tenant)).epoch == epoch


async def test_an_epoch_is_raised_above_any_that_was_in_use(desk: Desk) -> None:
    first, _ = await desk.repair.raise_epoch()
    second, _ = await desk.repair.raise_epoch()
    assert second > first
    state = await desk.repair.state()
    assert state is not None
    assert state.epoch == second


async def test_a_replica_whose_head_is_older_than_its_pages_goes_on_once_the_epoch_is_raised(desk: Desk) -> None:
    """A replica receives the items of a transaction one by one, so that a page may be there without its head."""
    await desk.place()
    tenant, storage = desk.log.tenant, desk.log.storage
    head = await storage.dynamo.get(storage.tables.events, head_key(tenant))
    assert head is not None
    replicated, ahead = await desk.place(), await desk.place()
    await desk.log.delete(cursor_key(ahead.order_id))
    await storage.dynamo.put(storage.tables.events, head)
    with pytest.raises(StorageUnavailable):
        await desk.log.append(ahead)
    await desk.repair.raise_epoch()
    assert await desk.log.append(ahead) == 1
    assert await desk.repair.rebuild((await desk.compare()).gaps) == 1
    events = await desk.log.read_all()
    assert [event.order_id for event in events][1:] == [ahead.order_id, replicated.order_id]
    assert await desk.missing() == []


async def test_a_page_that_is_appended_while_the_epoch_is_raised_is_kept(desk: Desk) -> None:
    order = await desk.place()
    late = interrupted(desk.log.storage, "Query")

    async def append() -> None:
        ended = await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock()))
        assert await desk.log.append(ended) == 1

    late.transport.before = append
    await late.repair.raise_epoch()
    assert names(await desk.log.read_all()) == ["1.placed", "2.cancelled"]
    assert await desk.missing() == []


async def test_two_operators_append_an_event_that_was_lost_twice_once_each_time(desk: Desk) -> None:
    await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    assert await desk.repair.rebuild((await desk.compare()).gaps) == 1
    await desk.log.delete(page_key(desk.log.tenant, 2))
    found = await desk.compare()
    assert [await desk.repair.rebuild(found.gaps) for _ in range(2)] == [1, 0]


async def test_an_append_after_a_rebuild_lets_no_other_operator_append_the_lost_event_again(desk: Desk) -> None:
    order = await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    before = await desk.compare()
    await desk.log.storage.orders.move(order, order.cancel(desk.log.storage.clock()))
    after = await desk.compare()
    assert [await desk.repair.rebuild(found.gaps) for found in (before, after)] == [1, 1]
    start = await desk.log.reader.latest(desk.log.tenant)
    assert names(await desk.log.read_all(replace(start, sequence=2))) == ["1.placed", "2.cancelled"]


async def test_a_rebuild_while_the_head_is_read_is_kept(desk: Desk) -> None:
    """The append reads the cursor before the rebuild, and the head after it."""
    order = await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    gaps = (await desk.compare()).gaps
    storage = desk.log.storage
    ended = await storage.orders.move(order, order.cancel(storage.clock()))
    transport = TwoMoments(storage.dynamo.client, lambda: desk.repair.rebuild(gaps))
    writer = DynamoEventLogWriter(Dynamo(AwsClient(transport)), storage.tables, storage.clock)
    assert await writer.append(desk.log.tenant, [ended]) == 1
    cursor = await storage.dynamo.get(storage.tables.events, cursor_key(order.order_id))
    assert cursor is not None
    assert (cursor["version"], cursor["rebuilds"]) == (2, 1)


@pytest.mark.parametrize("hidden", [{"1"}, {"2", "3"}, {"4"}, {"1", "2", "3", "4"}])
async def test_an_event_that_a_query_does_not_show_yet_is_not_lost(desk: Desk, hidden: set[str]) -> None:
    for _ in range(4):
        await desk.place()
    storage = desk.log.storage
    half_visible = Dynamo(AwsClient(HalfVisible(storage.dynamo.client, hidden)))
    beside = replace(desk, repair=EventLogRepair(half_visible, storage.tables, storage.clock))
    assert await beside.missing() == []


@pytest.mark.parametrize("hidden", [{"3"}, {"3", "4"}])
async def test_a_lost_event_is_found_beside_one_that_a_query_does_not_show_yet(desk: Desk, hidden: set[str]) -> None:
    orders = [await desk.place() for _ in range(4)]
    storage = desk.log.storage
    await desk.log.delete(page_key(desk.log.tenant, 2))
    half_visible = Dynamo(AwsClient(HalfVisible(storage.dynamo.client, hidden)))
    beside = replace(desk, repair=EventLogRepair(half_visible, storage.tables, storage.clock))
    assert [gap.order.order_id for gap in (await beside.compare()).gaps] == [orders[1].order_id]


@dataclass
class Interruption:
    """A repair between whose reads and writes something happens."""

    transport: Interrupted
    repair: EventLogRepair


def interrupted(storage: Storage, operation: str) -> Interruption:
    transport = Interrupted(storage.dynamo.client, operation)
    return Interruption(transport, EventLogRepair(Dynamo(AwsClient(transport)), storage.tables, storage.clock))


async def test_an_epoch_is_not_lowered_by_a_call_that_began_earlier(desk: Desk) -> None:
    await desk.place()
    late = interrupted(desk.log.storage, "UpdateItem")
    raised = 0

    async def raise_twice() -> None:
        nonlocal raised
        for _ in range(2):
            raised, _ = await desk.repair.raise_epoch()

    late.transport.before = raise_twice
    await late.repair.raise_epoch()
    state = await desk.repair.state()
    assert state is not None
    assert state.epoch == (await desk.log.reader.latest(desk.log.tenant)).epoch == raised


async def test_a_rebuild_keeps_an_epoch_that_was_raised_meanwhile(desk: Desk) -> None:
    await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    late = interrupted(desk.log.storage, "TransactWriteItems")
    found = await desk.compare()
    late.transport.before = desk.repair.raise_epoch
    assert await late.repair.rebuild(found.gaps) == 1
    state = await desk.repair.state()
    assert state is not None
    assert (await desk.log.reader.latest(desk.log.tenant)).epoch == state.epoch


async def test_a_rebuild_uses_no_number_twice(desk: Desk) -> None:
    await desk.place()
    await desk.log.delete(page_key(desk.log.tenant, 1))
    late = interrupted(desk.log.storage, "TransactWriteItems")
    found = await desk.compare()

    async def append_and_lose_the_page() -> None:
        await desk.place()
        await desk.log.delete(page_key(desk.log.tenant, 2))

    late.transport.before = append_and_lose_the_page
    assert await late.repair.rebuild(found.gaps) == 1
    assert (await desk.log.reader.latest(desk.log.tenant)).sequence == 4


async def test_a_rebuild_overwrites_no_page(desk: Desk) -> None:
    await desk.place()
    storage = desk.log.storage
    page = await storage.dynamo.get(storage.tables.events, page_key(desk.log.tenant, 1))
    assert page is not None
    await desk.log.delete(page_key(desk.log.tenant, 1))
    found = await desk.compare()
    await storage.dynamo.put(storage.tables.events, {**page, **page_key(desk.log.tenant, 2)})
    with pytest.raises(StorageUnavailable):
        await desk.repair.rebuild(found.gaps)
