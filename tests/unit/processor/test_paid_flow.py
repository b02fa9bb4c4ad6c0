"""Orders with payment: one charge for a confirmed order, and no charge kept for any other order."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from order_processor.handlers import make_handler
from order_processor.order.flows import DEFER_AFTER
from order_processor.payments.gateway import PaymentUnavailable
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested, message_of
from order_shared.domain.order.models import Order, OrderStatus, ReasonCode, Schedule
from order_shared.domain.order.payments import Charge
from order_shared.messaging.delivery import Deferred, LeaseLost
from order_shared.storage.inventory import Moves
from order_shared.storage.orders import NO_MOVES
from order_shared.storage.outbox import open_shard_of
from order_shared.tables import MAX_RECEIVE_COUNT
from tests.factories import make_order, make_product
from tests.fakes import HandClock, MemoryOrderRepository, MemoryStore
from tests.fakes_payments import MemoryGateway
from tests.unit.processor.conftest import LEASE, World, delivery_with

WORKS = "pm_card_visa"
DECLINED = "pm_card_chargeDeclined"
UNKNOWN = "pm_nobody_knows"


async def accepted(world: World, token: str = WORKS, *, units: int = 10) -> Order:
    await world.stock("TEA", units)
    return await world.accept(make_order(lines=[(make_product(sku="TEA"), 3)], payment_token=token))


async def tell(world: World, order: Order, *, held: float = 30.0) -> None:
    """Deliver the message of an order that the sweeper would publish now."""
    stored = await world.stored(order)
    await make_handler(world.work)(delivery_with(message_of(stored).to_json(), held=held))


async def request_cancel(world: World, order: Order) -> None:
    stored = await world.stored(order)
    await world.orders.request_cancel(stored.request_cancel(world.clock(), due_at=0), version=None)


def total_charged(world: World, order: Order) -> int:
    """Return the amount that the customer has paid and that was not refunded."""
    return world.payments.charged.get(order.order_id, 0) - world.payments.refunded.get(order.order_id, 0)


async def test_a_paid_order_is_reserved_charged_and_confirmed(world: World) -> None:
    order = await accepted(world)
    await tell(world, order)
    stored = await world.stored(order)
    assert [entry.status for entry in stored.timeline] == ["pending", "reserved", "confirmed"]
    assert (total_charged(world, order), await world.available("TEA")) == (order.total, 7)
    assert stored.payment.id is not None
    assert (stored.payment.token, stored.lease, stored.schedule) == (None, None, Schedule())


async def test_a_message_names_no_payment_token(world: World) -> None:
    order = await accepted(world)
    assert WORKS not in ProcessingRequested.of(order).to_json()


async def test_an_order_that_costs_nothing_is_not_charged(world: World) -> None:
    await world.stock("TEA", 10)
    free = make_product(sku="TEA", unit_price=0)
    order = await world.accept(make_order(lines=[(free, 3)], payment_token=WORKS))
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert world.payments.charged == {}


@pytest.mark.parametrize("token", [DECLINED, UNKNOWN])
async def test_a_declined_payment_rejects_and_gives_the_stock_back(world: World, token: str) -> None:
    order = await accepted(world, token)
    await tell(world, order)
    stored = await world.stored(order)
    assert stored.status is OrderStatus.REJECTED
    assert stored.reason is not None
    assert stored.reason.code is ReasonCode.PAYMENT_DECLINED
    assert (total_charged(world, order), await world.available("TEA")) == (0, 10)


async def test_out_of_stock_is_never_charged(world: World) -> None:
    order = await accepted(world, units=2)
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.REJECTED
    assert world.payments.charged == {}


async def test_an_outage_of_the_provider_rejects_nothing_and_ends_when_it_ends(world: World) -> None:
    order = await accepted(world)
    world.payments.unavailable = True
    for _ in range(5):
        with pytest.raises(PaymentUnavailable):
            await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.RESERVED
    world.payments.unavailable = False
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert (total_charged(world, order), await world.available("TEA")) == (order.total, 7)


async def test_a_duplicate_under_a_live_lease_is_left_to_its_owner(world: World) -> None:
    order = await accepted(world)
    reserved = order.reserve(world.clock(), owner="somebody", lease_until=world.clock() + LEASE)
    await world.orders.move(order, reserved)
    await tell(world, order)
    assert await world.stored(order) == reserved
    assert world.payments.charged == {}


@pytest.mark.parametrize("noted", [False, True])
async def test_after_a_crash_the_lease_runs_out_and_another_carries_on(world: World, *, noted: bool) -> None:
    order = await accepted(world)
    stale = order.reserve(world.clock(), owner="crashed", lease_until=world.clock() - timedelta(seconds=1))
    await world.orders.move(order, stale)
    if noted:
        paid = await world.orders.move(stale, stale.with_payment(await world.payments.create(stale.charge)))
        await world.payments.confirm(paid.charge, WORKS)
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert (total_charged(world, order), await world.available("TEA")) == (order.total, 7)


async def test_no_money_moves_before_the_payment_is_noted(world: World) -> None:
    order = await accepted(world)
    noted: list[str | None] = []

    async def look() -> None:
        noted.append((await world.stored(order)).payment.id)

    world.payments.before["confirm"] = look
    await tell(world, order)
    assert noted == [(await world.stored(order)).payment.id]
    assert noted != [None]


class ForgetfulGateway(MemoryGateway):
    """Provider that has lost all idempotency keys, so that creating again creates another payment."""

    async def create(self, charge: Charge) -> str:
        self.created.clear()
        return await super().create(charge)


class LossyOrders(MemoryOrderRepository):
    """The write with the number `lost` gets no response. It may or may not have been applied."""

    def __init__(self, store: MemoryStore, lost: int, *, applied: bool) -> None:
        super().__init__(store)
        self._left = lost
        self._applied = applied

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        self._left -= 1
        stored = before
        if self._left != 0 or self._applied:
            stored = await super().move(before, after, moves)
        if self._left == 0:
            raise StorageUnavailable("DynamoDB: timeout")
        return stored


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 3], ids=["reserve", "note", "confirm"])
async def test_a_retry_after_the_provider_forgot_the_key_charges_once(
    world: World, lost: int, *, applied: bool
) -> None:
    order = await accepted(world)
    clock, payments = HandClock(world.clock()), ForgetfulGateway()
    world.work = replace(
        world.work, orders=LossyOrders(world.store, lost, applied=applied), payments=payments, clock=clock
    )
    with pytest.raises(StorageUnavailable):
        await tell(world, order)
    clock.advance(LEASE + timedelta(seconds=1))
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert payments.charged == {order.order_id: order.total}
    assert await world.available("TEA") == 7


async def test_the_one_who_was_overtaken_cannot_write(world: World) -> None:
    order = await accepted(world)
    stale = order.reserve(world.clock(), owner="slow", lease_until=world.clock() - timedelta(seconds=1))
    await world.orders.move(order, stale)
    await tell(world, order)
    confirmed = await world.stored(order)
    for late in (stale.confirm(world.clock()), stale.cancel(world.clock()), stale.with_payment("pi_late")):
        with pytest.raises(Exception, match=order.order_id):
            await world.orders.move(stale, late)
    assert await world.stored(order) == confirmed


async def test_nothing_is_charged_once_the_message_may_be_somebody_elses(world: World) -> None:
    order = await accepted(world)
    with pytest.raises(LeaseLost):
        await tell(world, order, held=-1.0)
    assert world.payments.charged == {}


class TestCancel:
    async def test_a_confirmed_order_is_refunded_and_its_stock_given_back(self, world: World) -> None:
        order = await accepted(world)
        await tell(world, order)
        await request_cancel(world, order)
        await tell(world, order)
        stored = await world.stored(order)
        assert stored.status is OrderStatus.CANCELLED
        assert not stored.is_open
        assert world.payments.refunded == {order.order_id: order.total}
        assert await world.available("TEA") == 10
        changes = [
            ("placed",),
            ("reserved",),
            ("charged", "confirmed"),
            ("cancel_requested",),
            ("refunded", "cancelled"),
        ]
        assert [entry.types for entry in stored.history] == changes

    async def test_it_is_undone_once_however_often_it_is_told(self, world: World) -> None:
        order = await accepted(world)
        await tell(world, order)
        await request_cancel(world, order)
        message = CancellationRequested.of(await world.stored(order)).to_json()
        for _ in range(3):
            await make_handler(world.work)(delivery_with(message))
        assert (total_charged(world, order), await world.available("TEA")) == (0, 10)

    async def test_a_confirmed_order_without_payment_gives_its_stock_back(self, world: World) -> None:
        await world.stock("TEA", 10)
        order = await world.accept(make_order(lines=[(make_product(sku="TEA"), 3)]))
        await tell(world, order)
        await request_cancel(world, order)
        await tell(world, order)
        assert ((await world.stored(order)).status, await world.available("TEA")) == (OrderStatus.CANCELLED, 10)

    async def test_a_cancellation_during_the_payment_prevents_the_confirmation(self, world: World) -> None:
        order = await accepted(world)
        world.payments.before["confirm"] = lambda: request_cancel(world, order)
        await tell(world, order)
        stored = await world.stored(order)
        assert stored.status is OrderStatus.CANCELLED
        assert world.payments.refunded == {order.order_id: order.total}
        assert await world.available("TEA") == 10
        assert stored.history[-1].types == ("charged", "refunded", "cancelled"), "the customer's bank shows both"
        assert stored.payment_summary is not None
        assert (stored.payment_summary.captured, stored.payment_summary.refunded) == (order.total, order.total)

    async def test_an_outage_while_refunding_keeps_the_stock_until_the_money_is_back(self, world: World) -> None:
        order = await accepted(world)
        await tell(world, order)
        await request_cancel(world, order)
        world.payments.unavailable = True
        with pytest.raises(PaymentUnavailable):
            await tell(world, order)
        assert await world.available("TEA") == 7
        world.payments.unavailable = False
        await tell(world, order)
        assert (total_charged(world, order), await world.available("TEA")) == (0, 10)

    async def test_a_request_stays_in_the_outbox_until_it_is_carried_out(self, world: World) -> None:
        order = await accepted(world)
        await tell(world, order)
        await request_cancel(world, order)
        shard = open_shard_of(await world.stored(order))
        assert len(await world.orders.list_due(shard, 1, 10)) == 1
        await tell(world, order)
        assert await world.orders.list_due(shard, 1, 10) == []


async def test_deliveries_at_once_charge_once(world: World) -> None:
    order = await accepted(world)
    await asyncio.gather(*(tell(world, order) for _ in range(10)), return_exceptions=True)
    await tell(world, order)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert (total_charged(world, order), await world.available("TEA")) == (order.total, 7)


async def test_in_a_long_outage_a_message_is_acknowledged_before_sqs_dead_letters_it(world: World) -> None:
    """The order is still in the outbox, so the sweeper republishes it."""
    await world.stock("TEA", 10)
    order = await world.accept(make_order(payment_token=WORKS))
    world.payments.unavailable = True
    handle = make_handler(world.work)
    body = message_of(order).to_json()
    with pytest.raises(PaymentUnavailable):
        await handle(delivery_with(body, receive_count=DEFER_AFTER - 1))
    with pytest.raises(Deferred) as deferred:
        await handle(delivery_with(body, receive_count=DEFER_AFTER))
    assert deferred.value.cause == "payment_no_response"
    assert MAX_RECEIVE_COUNT > DEFER_AFTER
    stored = await world.stored(order)
    assert stored.is_open
    assert stored.schedule.due_at is not None
    assert stored.parking.attempts == 0
