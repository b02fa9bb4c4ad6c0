"""Orders after a failure: either their message is delivered again, or they wait in the outbox, and never both."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from order_processor.handlers import make_handler
from order_processor.order.flows import DEFER_AFTER, RETRY_GRACE
from order_processor.payments.gateway import FailureReason, PaymentPaused, PaymentUnavailable
from order_processor.schedule import CAP, SweepSchedule
from order_shared.domain.clock import to_millis
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.models import Order, Schedule
from order_shared.domain.order.payments import Charge, PaymentCall
from order_shared.messaging.delivery import Deferred
from order_shared.storage.inventory import Moves
from order_shared.storage.migrations import MigratedTable, Migration
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import NO_MOVES, OpenOrder
from order_shared.storage.outbox import open_shard_of
from tests.factories import NOON, make_order
from tests.fakes import TABLES, HandClock, MemoryInventoryRepository, MemoryOrderRepository
from tests.fakes_payments import MemoryGateway
from tests.unit.processor.conftest import BASE, World, delivery_with

WORKS = "pm_card_visa"
RETRY_IN = 7


@pytest.fixture
def world() -> World:
    world = World()
    world.work = replace(world.work, clock=HandClock(NOON))
    return world


async def accepted(world: World, *, paid: bool = True) -> Order:
    await world.stock("TEA", 10)
    return await world.accept(make_order(at=NOON, due_in=BASE, payment_token=WORKS if paid else None))


async def deliver(world: World, order: Order, *, receive_count: int = 2) -> None:
    delivery = delivery_with(message_of(order).to_json(), receive_count=receive_count)
    delivery.retry_in = RETRY_IN
    await make_handler(world.work)(delivery)


async def swept(world: World, order: Order, *, sweeps: int) -> None:
    """Let a sweep have sent the order's message, the last of so many."""
    stored = await world.stored(order)
    entry = OpenOrder(
        customer_key=order.customer.key,
        created_at=order.created_at,
        open_shard=open_shard_of(stored),
        due_at=stored.schedule.due_at or 0,
        sweeps=stored.schedule.sweeps,
    )
    await world.orders.postpone(entry, to_millis(NOON + BASE), sweeps=sweeps)


def due(wait: timedelta) -> int:
    return to_millis(NOON + wait)


async def test_an_order_is_due_only_after_the_next_delivery_of_its_message(world: World) -> None:
    order = await accepted(world)
    world.payments.unavailable = True
    with pytest.raises(PaymentUnavailable):
        await deliver(world, order)
    stored = await world.stored(order)
    assert stored.schedule == Schedule(due_at=due(timedelta(seconds=RETRY_IN) + RETRY_GRACE))
    assert stored.lease is not None
    assert stored.lease.until == 0


async def test_after_a_few_deliveries_the_order_waits_in_the_outbox(world: World) -> None:
    order = await accepted(world)
    world.payments.unavailable = True
    with pytest.raises(Deferred):
        await deliver(world, order, receive_count=DEFER_AFTER)
    assert (await world.stored(order)).schedule == Schedule(due_at=due(BASE))


async def test_a_message_that_the_sweeper_sent_is_delivered_once(world: World) -> None:
    order = await accepted(world)
    await swept(world, order, sweeps=3)
    world.payments.unavailable = True
    with pytest.raises(Deferred):
        await deliver(world, order, receive_count=1)
    assert (await world.stored(order)).schedule == Schedule(due_at=due(8 * BASE), sweeps=3)


class Paused(MemoryGateway):
    """Makes no call, as in an outage (`retry_after` None) or at the call rate."""

    retry_after: timedelta | None = None

    async def create(self, charge: Charge) -> str:  # noqa: ARG002 - the port
        raise PaymentPaused("paused", FailureReason.NO_RESPONSE, self.retry_after)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(None, CAP), (timedelta(seconds=90), timedelta(seconds=90)), (timedelta(hours=2), CAP)],
    ids=["outage", "call rate", "long queue"],
)
async def test_while_payments_pause_an_order_waits_in_the_outbox_at_once(
    world: World, retry_after: timedelta | None, wait: timedelta
) -> None:
    order = await accepted(world)
    await swept(world, order, sweeps=90)
    gateway = Paused()
    gateway.retry_after = retry_after
    world.work = replace(world.work, payments=gateway)
    with pytest.raises(Deferred):
        await deliver(world, order, receive_count=1)
    assert (await world.stored(order)).schedule == Schedule(due_at=due(wait), sweeps=SweepSchedule(BASE).in_outage(90))


class Contended(MemoryOrderRepository):
    """Has conflicts with other writers at each change of status."""

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        if before.status is not after.status:
            raise StorageUnavailable("DynamoDB: conflict", contended=True)
        return await super().move(before, after, moves)


async def test_an_order_whose_stock_is_contended_is_due_after_the_next_delivery_too(world: World) -> None:
    order = await accepted(world, paid=False)
    world.work = replace(world.work, orders=Contended(world.store))
    with pytest.raises(StorageUnavailable):
        await deliver(world, order, receive_count=1)
    assert (await world.stored(order)).schedule == Schedule(due_at=due(timedelta(seconds=RETRY_IN) + RETRY_GRACE))


class Overtaken(MemoryOrderRepository):
    """Has conflicts with a writer who changes the order."""

    change: Callable[[Order], Order]

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        if before.status is after.status:
            return await super().move(before, after, moves)
        await super().move(before, self.change(before))
        raise StorageUnavailable("DynamoDB: conflict", contended=True)


@pytest.mark.parametrize(
    "change",
    [lambda order: order.cancel(NOON), lambda order: order.park(NOON, "unexpected_errors")],
    ids=["cancelled", "parked"],
)
async def test_an_order_that_ended_or_was_parked_in_a_conflict_is_not_rescheduled(
    world: World, change: Callable[[Order], Order]
) -> None:
    order = await accepted(world, paid=False)
    orders = Overtaken(world.store)
    orders.change = change
    world.work = replace(world.work, orders=orders)
    with pytest.raises(StorageUnavailable):
        await deliver(world, order, receive_count=1)
    assert await world.stored(order) == change(order)


class Changed(MemoryOrderRepository):
    """Lets another writer change an order just before it is rescheduled for the first time."""

    change: Callable[[], Awaitable[None]] | None = None

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        is_released = after.lease is not None and after.lease.until == 0
        if is_released and (change := self.change) is not None:
            self.change = None
            await change()
        return await super().move(before, after, moves)


async def migrate(world: World, order: Order) -> None:
    """Give the stored order the newest form."""
    item = to_item(await world.stored(order))
    await Migration.of(world.store.tables.client(), TABLES, MigratedTable.ORDERS).rewrite(item)


async def request_cancel(world: World, order: Order) -> None:
    stored = await world.stored(order)
    await world.orders.request_cancel(stored.request_cancel(NOON, due_at=to_millis(NOON + BASE)), version=None)


@pytest.mark.parametrize("change", [migrate, request_cancel])
async def test_an_order_that_another_writer_changed_is_rescheduled_as_it_is_stored(
    world: World, change: Callable[[World, Order], Awaitable[None]]
) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(make_order(at=NOON, due_in=BASE, payment_token=WORKS, stores_history=False))
    orders = Changed(world.store)
    orders.change = lambda: change(world, order)
    world.work = replace(world.work, orders=orders)
    world.payments.unavailable = True
    with pytest.raises(PaymentUnavailable):
        await deliver(world, order)
    stored = await world.stored(order)
    assert stored.stores_history is (change is migrate)
    assert (stored.cancel_requested_at is not None) is (change is request_cancel)
    assert stored.schedule == Schedule(due_at=due(timedelta(seconds=RETRY_IN) + RETRY_GRACE))
    assert stored.lease is not None
    assert stored.lease.until == 0


async def test_an_order_that_is_migrated_during_an_unexpected_error_is_rescheduled_and_counted(world: World) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(make_order(at=NOON, due_in=BASE, payment_token=WORKS, stores_history=False))
    orders = Changed(world.store)
    orders.change = lambda: migrate(world, order)
    world.work = replace(world.work, orders=orders)

    async def crash() -> None:
        raise ZeroDivisionError

    world.payments.before["create"] = crash
    with pytest.raises(ZeroDivisionError):
        await deliver(world, order)
    stored = await world.stored(order)
    assert (stored.stores_history, stored.parking.attempts) == (True, 1)
    assert stored.schedule == Schedule(due_at=due(timedelta(seconds=RETRY_IN) + RETRY_GRACE))
    assert stored.lease is not None
    assert stored.lease.until == 0


async def test_an_order_that_another_attempt_took_over_is_not_rescheduled(world: World) -> None:
    order = await accepted(world)
    orders = Changed(world.store)
    world.work = replace(world.work, orders=orders)
    world.payments.unavailable = True

    async def take_over() -> None:
        stored = await world.stored(order)
        await world.orders.move(stored, stored.take_over(owner="another", lease_until=NOON))

    orders.change = take_over
    with pytest.raises(PaymentUnavailable):
        await deliver(world, order)
    stored = await world.stored(order)
    assert stored.lease is not None
    assert (stored.lease.owner, stored.lease.until) == ("another", to_millis(NOON))


class Unanswered(MemoryOrderRepository):
    """Loses the response to the first write of a payment attempt. The client sends the request again."""

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        if before.payment.attempts.is_first and not after.payment.attempts.is_first:
            await super().move(before, after, moves)
        return await super().move(before, after, moves)


async def test_an_attempt_whose_write_took_effect_unnoticed_is_counted_once(world: World) -> None:
    await world.stock("TEA", 10)
    order = await world.accept(make_order(at=NOON, due_in=BASE, payment_token=WORKS, stores_history=False))
    world.work = replace(world.work, orders=Unanswered(world.store))
    world.payments.refusing = {PaymentCall.CREATE}
    with pytest.raises(PaymentUnavailable):
        await deliver(world, order)
    assert (await world.stored(order)).payment.attempts.create == 1


class BrokenInventory(MemoryInventoryRepository):
    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:  # noqa: ARG002 - the port's
        raise ZeroDivisionError


@pytest.mark.parametrize(("receive_count", "error"), [(1, ZeroDivisionError), (DEFER_AFTER, Deferred)])
async def test_so_is_an_order_after_an_unexpected_error(
    world: World, receive_count: int, error: type[Exception]
) -> None:
    order = await world.accept(make_order(at=NOON, due_in=BASE))
    world.work = replace(world.work, inventory=BrokenInventory(world.store))
    with pytest.raises(error):
        await deliver(world, order, receive_count=receive_count)
    stored = await world.stored(order)
    assert stored.parking.attempts == 1
    wait = BASE if error is Deferred else timedelta(seconds=RETRY_IN) + RETRY_GRACE
    assert stored.schedule == Schedule(due_at=due(wait))


async def test_an_order_under_another_owners_lease_keeps_it(world: World) -> None:
    order = await accepted(world)
    reserved = order.reserve(NOON, owner="another", lease_until=NOON + timedelta(minutes=1))
    stored = await world.orders.move(order, reserved)
    world.work = replace(world.work, inventory=BrokenInventory(world.store))
    await deliver(world, order)
    assert await world.stored(order) == stored
