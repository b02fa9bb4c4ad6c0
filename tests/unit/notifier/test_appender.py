"""Appending the events of changed orders: together per tenant, and each order's failure alone."""

import asyncio
from collections.abc import Sequence

import pytest

from order_notifier.appender import Appender, ChangedOrderUnreadable
from order_notifier.changes import Change
from order_shared.domain.clock import to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.append import MAX_ORDERS, EventLogWriter
from order_shared.storage.event_log.items import LogState
from order_shared.tables import ORDERS
from tests.factories import make_customer, make_order
from tests.memory_dynamo import ItemKey
from tests.unit.notifier.conftest import World
from tests.waiting import eventually


def change_of(order: Order) -> Change:
    return Change(order.customer, order.created_at)


class GatedLog:
    """Log whose appends wait until they are let through. Its first failures are those in `errors`."""

    def __init__(self, inner: EventLogWriter) -> None:
        self._inner = inner
        self.open = asyncio.Event()
        self.appends: list[list[str]] = []
        self.at_once = self.most_at_once = 0
        self.errors: list[Exception] = []
        self.poisoned: set[str] = set()

    async def begin(self) -> LogState:
        return await self._inner.begin()

    async def append(self, tenant: str, orders: Sequence[Order]) -> int:
        self.appends.append([order.order_id for order in orders])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.errors:
            raise self.errors.pop(0)
        if self.poisoned & {order.order_id for order in orders}:
            raise RuntimeError("an order that cannot be written")
        return await self._inner.append(tenant, orders)


@pytest.fixture
def gated(world: World) -> GatedLog:
    log = GatedLog(world.log)
    world.appender = Appender(world.orders, log, on_appended=lambda _, events: world.appended.append(events))
    return log


async def test_a_changed_order_is_read_and_its_events_are_appended(world: World) -> None:
    order = await world.add(make_order())
    await world.appender.append(change_of(order))
    assert [event.id for event in await world.events()] == [f"{order.order_id}.1.placed"]
    await world.appender.append(change_of(order))
    assert world.appended == [1, 0]


async def test_changes_during_an_append_are_appended_together(world: World, gated: GatedLog) -> None:
    orders = [await world.add(make_order()) for _ in range(5)]
    tasks = [asyncio.create_task(world.appender.append(change_of(orders[0])))]
    await eventually(lambda: bool(gated.appends))
    tasks += [asyncio.create_task(world.appender.append(change_of(order))) for order in orders[1:]]
    gated.open.set()
    await asyncio.gather(*tasks)
    assert sorted(len(batch) for batch in gated.appends) == [1, 4]
    assert gated.most_at_once == 1
    assert len(await world.events()) == 5


async def test_an_append_has_no_more_orders_than_a_transaction_takes(world: World, gated: GatedLog) -> None:
    orders = [await world.add(make_order()) for _ in range(MAX_ORDERS + 3)]
    gated.open.set()
    await asyncio.gather(*(world.appender.append(change_of(order)) for order in orders))
    assert [len(batch) for batch in gated.appends] == [MAX_ORDERS, 3]
    assert len(await world.events()) == len(orders)


async def test_tenants_do_not_wait_for_each_other(world: World, gated: GatedLog) -> None:
    orders = [await world.add(make_order(customer=make_customer(tenant))) for tenant in ("acme", "globex")]
    tasks = [asyncio.create_task(world.appender.append(change_of(order))) for order in orders]
    await eventually(lambda: gated.at_once == 2)
    gated.open.set()
    await asyncio.gather(*tasks)


async def test_an_order_that_changes_while_its_events_are_appended_is_read_again(world: World, gated: GatedLog) -> None:
    order = await world.add(make_order())
    first = asyncio.create_task(world.appender.append(change_of(order)))
    await eventually(lambda: bool(gated.appends))
    await world.orders.move(order, order.cancel(world.store.clock()))
    second = asyncio.create_task(world.appender.append(change_of(order)))
    gated.open.set()
    await asyncio.gather(first, second)
    assert [event.change for event in await world.events()] == ["placed", "cancelled"]


async def test_an_outage_fails_every_waiting_message(world: World, gated: GatedLog) -> None:
    orders = [await world.add(make_order()) for _ in range(2)]
    gated.errors = [StorageUnavailable("down")]
    gated.open.set()
    outcomes = await asyncio.gather(
        *(world.appender.append(change_of(order)) for order in orders), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
    await asyncio.gather(*(world.appender.append(change_of(order)) for order in orders))
    assert len(await world.events()) == 2


async def test_an_order_that_cannot_be_appended_fails_alone(world: World, gated: GatedLog) -> None:
    orders = [await world.add(make_order()) for _ in range(3)]
    gated.poisoned = {orders[1].order_id}
    gated.open.set()
    outcomes = await asyncio.gather(
        *(world.appender.append(change_of(order)) for order in orders), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, type(None)]
    assert {event.order_id for event in await world.events()} == {orders[0].order_id, orders[2].order_id}


async def test_an_order_of_a_newer_release_fails_alone(world: World) -> None:
    newer, known = await world.add(make_order()), await world.add(make_order())
    key = ItemKey(ORDERS.name, newer.customer.key, to_text(newer.created_at))
    world.store.tables.store(key, {**world.store.tables.items[key], "item_version": {"N": "9"}})
    outcomes = await asyncio.gather(
        *(world.appender.append(change_of(order)) for order in (newer, known)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ChangedOrderUnreadable, type(None)]


async def test_an_order_that_does_not_exist_any_more_has_no_events(world: World) -> None:
    await world.appender.append(change_of(make_order()))
    assert (world.appended, await world.events()) == ([], [])


async def test_a_message_that_is_given_up_leaves_the_others_waiting(world: World, gated: GatedLog) -> None:
    order = await world.add(make_order())
    first = asyncio.create_task(world.appender.append(change_of(order)))
    second = asyncio.create_task(world.appender.append(change_of(order)))
    await eventually(lambda: bool(gated.appends))
    first.cancel()
    gated.open.set()
    await second
    await world.appender.close()
    assert first.cancelled()
    assert len(await world.events()) == 1
