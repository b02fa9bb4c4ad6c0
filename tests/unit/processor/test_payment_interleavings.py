"""Two workers on one order with payment, workers that crash at any step, and payments that do not match the order.

The provider does not check the fence. In any order of calls one charge is kept for a confirmed order, and none for any
other order.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from order_processor.handlers import make_handler
from order_processor.payments.gateway import PaymentDeclined, PaymentStatus, PaymentUnavailable
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.models import Customer, Order, OrderStatus, Parking, ReasonCode
from order_shared.domain.order.payments import PaymentAttempts, PaymentCall, PaymentState, Undo, UndoKind
from order_shared.messaging.delivery import Handler
from tests.factories import NOON, make_order, make_product
from tests.fakes import HandClock, MemoryOrderRepository, MemoryStore
from tests.unit.processor.conftest import LEASE, World, delivery_with

if TYPE_CHECKING:
    from order_processor.payments.gateway import PaymentGateway
    from order_shared.storage.orders import OrderRepository

WORKS = "pm_card_visa"
DECLINED = "pm_card_chargeDeclined"
SAVES_500 = "pm_sandbox_saves_500"
AFTER_THE_LEASE = LEASE + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def clock(world: World) -> HandClock:
    clock = HandClock(NOON + timedelta(days=1))
    world.work = replace(world.work, clock=clock)
    return clock


async def accepted(world: World, token: str = WORKS, *, currency: str = "EUR", price: int = 590) -> Order:
    await world.stock("TEA", 10)
    product = make_product(sku="TEA", unit_price=price, currency=currency)
    return await world.accept(make_order(lines=[(product, 3)], payment_token=token))


async def handle(world: World, order: Order) -> None:
    stored = await world.stored(order)
    await make_handler(world.work)(delivery_with(message_of(stored).to_json()))


async def handle_until_ended(world: World, order: Order, clock: HandClock, *, deliveries: int = 12) -> Order:
    """Deliver the order's message repeatedly, each time after the lease of the previous worker."""
    for _ in range(deliveries):
        if not (await world.stored(order)).is_open:
            break
        clock.advance(AFTER_THE_LEASE)
        try:
            await handle(world, order)
        except PlatformError:
            continue
    return await world.stored(order)


async def request_cancel(world: World, order: Order) -> None:
    stored = await world.stored(order)
    await world.orders.request_cancel(stored.request_cancel(world.work.clock(), due_at=0), version=None)


async def reserved_with_payment(world: World, order: Order, *, amount: int | None = None) -> Order:
    """Simulate a worker that crashed after it stored a payment of `amount`, and whose lease has expired."""
    lease_until = world.work.clock() - timedelta(seconds=1)
    reserved = await world.orders.move(
        order, order.reserve(world.work.clock(), owner="crashed", lease_until=lease_until)
    )
    payment_id = await world.payments.create(reserved.charge)
    if amount is not None:
        world.payments.payments[payment_id].amount = amount
    world.payments.calls.clear()
    return await world.orders.move(reserved, reserved.with_payment(payment_id))


def kept(world: World, order: Order) -> int:
    """Return the amount paid and not refunded, in the provider's units."""
    return world.payments.charged.get(order.order_id, 0) - world.payments.refunded.get(order.order_id, 0)


async def assert_confirmed(world: World, order: Order) -> Order:
    stored = await world.stored(order)
    assert stored.status is OrderStatus.CONFIRMED
    assert (kept(world, order), await world.available("TEA")) == (order.total, 7)
    return stored


async def assert_ended_without_money(world: World, order: Order, status: OrderStatus) -> Order:
    stored = await world.stored(order)
    assert (stored.status, stored.payment.undo) == (status, None)
    assert (kept(world, order), await world.available("TEA")) == (0, 10)
    return stored


class RacedOrders(MemoryOrderRepository):
    """Store that runs a write between the first read of an order and the next call of the reader."""

    def __init__(self, store: MemoryStore, race: Callable[[], Awaitable[object]]) -> None:
        super().__init__(store)
        self._race: Callable[[], Awaitable[object]] | None = race

    async def get(self, customer: Customer, order_id: str) -> Order:
        order = await super().get(customer, order_id)
        race, self._race = self._race, None
        if race is not None:
            await race()
        return order


class TestTwoWorkers:
    async def test_a_late_decline_does_not_undo_what_the_next_owner_has_confirmed(
        self, world: World, clock: HandClock
    ) -> None:
        """The first worker's confirmation is declined after its lease expired and the second worker's succeeded."""
        order = await accepted(world)

        async def second_worker_confirms() -> None:
            clock.advance(AFTER_THE_LEASE)
            await handle(world, order)
            raise PaymentDeclined("insufficient_funds")

        world.payments.before["confirm"] = second_worker_confirms
        await handle(world, order)
        await assert_confirmed(world, order)
        assert world.payments.refunded == {}
        assert "cancel" not in world.payments.calls

    async def test_a_late_success_does_not_confirm_what_the_next_owner_has_rejected(
        self, world: World, clock: HandClock
    ) -> None:
        order = await accepted(world, DECLINED)

        async def second_worker_rejects() -> None:
            clock.advance(AFTER_THE_LEASE)
            await handle(world, order)

        world.payments.before["confirm"] = second_worker_rejects
        await handle(world, order)
        await assert_ended_without_money(world, order, OrderStatus.REJECTED)

    async def test_a_decision_to_undo_that_was_written_while_the_next_owner_read_is_seen(self, world: World) -> None:
        """The second worker continues from the item returned by its update, not from the item read before."""
        order = await accepted(world)
        held = await reserved_with_payment(world, order)
        undone = held.begin_undo(Undo(UndoKind.REJECT, "card_declined"))
        world.work = replace(world.work, orders=RacedOrders(world.store, lambda: world.orders.move(held, undone)))
        await make_handler(world.work)(delivery_with(message_of(held).to_json()))
        await assert_ended_without_money(world, order, OrderStatus.REJECTED)
        assert world.payments.charged == {}

    async def test_a_payment_that_was_noted_while_the_next_owner_read_is_not_created_again(
        self, world: World, clock: HandClock
    ) -> None:
        order = await accepted(world)
        lease_until = clock() - timedelta(seconds=1)
        held = await world.orders.move(order, order.reserve(clock(), owner="slow", lease_until=lease_until))
        payment_id = await world.payments.create(held.charge)
        world.payments.created.clear()  # the provider has forgotten the key: to create again would be another payment
        noted = held.with_payment(payment_id)
        world.work = replace(world.work, orders=RacedOrders(world.store, lambda: world.orders.move(held, noted)))
        await make_handler(world.work)(delivery_with(message_of(held).to_json()))
        assert (await assert_confirmed(world, order)).payment.id == payment_id
        assert len(world.payments.payments) == 1

    async def test_an_order_with_an_undo_decision_is_only_undone(self, world: World) -> None:
        """This holds even if the payment succeeded in between: the stock may already be sold."""
        order = await accepted(world)
        held = await reserved_with_payment(world, order)
        await world.payments.confirm(held.charge, WORKS)
        await world.orders.move(held, held.begin_undo(Undo(UndoKind.REJECT, "card_declined")))
        await handle(world, order)
        stored = await assert_ended_without_money(world, order, OrderStatus.REJECTED)
        assert stored.reason is not None
        assert (stored.reason.code, stored.reason.detail) == (
            ReasonCode.PAYMENT_DECLINED,
            "the payment was declined: card_declined",
        )

    async def test_a_stale_worker_confirms_beside_the_undo_and_loses(self, world: World, clock: HandClock) -> None:
        """Cancellation is requested and executed while the first worker's confirmation is in progress."""
        order = await accepted(world)

        async def cancelled_by_the_second_worker() -> None:
            await request_cancel(world, order)
            clock.advance(AFTER_THE_LEASE)
            await handle(world, order)

        world.payments.before["confirm"] = cancelled_by_the_second_worker
        await handle(world, order)
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)

    async def test_a_refund_goes_out_only_after_the_decision_is_written(self, world: World) -> None:
        order = await accepted(world)
        await handle(world, order)
        await request_cancel(world, order)
        seen: list[Undo | None] = []

        async def look() -> None:
            seen.append((await world.stored(order)).payment.undo)

        world.payments.before |= {"cancel": look, "refund": look}
        await handle(world, order)
        assert seen == [Undo(UndoKind.CANCEL), Undo(UndoKind.CANCEL)]
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)

    async def test_cancelled_while_the_decline_is_undone_the_order_ends_cancelled(
        self, world: World, clock: HandClock
    ) -> None:
        """The API has promised the cancellation to the customer."""
        order = await accepted(world, DECLINED)
        world.payments.before["cancel"] = lambda: request_cancel(world, order)
        await handle(world, order)
        await handle_until_ended(world, order, clock)
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)


class TestSavedAnswers:
    """The provider replays a response until its key expires, so a new attempt uses a new key."""

    async def test_a_saved_500_is_retried_with_the_next_key(self, world: World) -> None:
        order = await accepted(world, SAVES_500)
        with pytest.raises(PaymentUnavailable):
            await handle(world, order)
        held = await world.stored(order)
        assert (held.status, held.payment.attempts) == (OrderStatus.RESERVED, PaymentAttempts(confirm=1))
        await handle(world, order)
        await assert_confirmed(world, order)

    @pytest.mark.parametrize("call", PaymentCall)
    async def test_requests_that_are_refused_for_a_fault_of_ours_wait_and_end_right(
        self, world: World, clock: HandClock, call: PaymentCall
    ) -> None:
        order = await accepted(world)
        if call is PaymentCall.REFUND:
            await handle(world, order)
            await request_cancel(world, order)
        elif call is PaymentCall.CANCEL:
            await reserved_with_payment(world, order)
            await request_cancel(world, order)
        world.payments.refusing.add(call)
        for _ in range(3):
            clock.advance(AFTER_THE_LEASE)
            with pytest.raises(PaymentUnavailable):
                await handle(world, order)
        waiting = await world.stored(order)
        assert (waiting.is_open, waiting.parking) == (True, Parking())
        assert getattr(waiting.payment.attempts, call) == 3
        assert world.payment_failures == ["refused"] * 3
        world.payments.refusing.clear()
        ended = await handle_until_ended(world, order, clock)
        if call in {PaymentCall.CREATE, PaymentCall.CONFIRM}:
            await assert_confirmed(world, ended)
        else:
            await assert_ended_without_money(world, ended, OrderStatus.CANCELLED)

    async def test_without_an_answer_the_key_stays(self, world: World) -> None:
        order = await accepted(world)
        world.payments.unavailable = True
        with pytest.raises(PaymentUnavailable):
            await handle(world, order)
        assert (await world.stored(order)).payment.attempts == PaymentAttempts()
        assert world.payment_failures == ["no_response"]


class TestAnotherAmount:
    """A release with other units for the currency created the payment."""

    async def test_it_is_replaced_before_money_moves(self, world: World) -> None:
        order = await accepted(world, currency="ISK", price=5000)
        held = await reserved_with_payment(world, order, amount=order.total)
        await handle(world, order)
        stored = await world.stored(order)
        assert stored.status is OrderStatus.CONFIRMED
        assert stored.payment.id != held.payment.id
        assert world.payments.charged == {order.order_id: 1_500_000}
        assert world.payments.payments[held.payment.id or ""].status is PaymentStatus.CANCELLED

    async def test_one_that_was_created_before_another_owner_stored_it_is_read_again(
        self, world: World, clock: HandClock
    ) -> None:
        """Both workers create it under one key. The other one stores it and crashes, and its amount changes."""
        order = await accepted(world)
        stored_id = ""

        async def other_worker_stores_it() -> None:
            nonlocal stored_id
            stored = await world.stored(order)
            stored_id = await world.payments.create(stored.charge)
            lease_until = clock() - timedelta(seconds=1)
            taken = await world.orders.move(stored, stored.take_over(owner="crashed", lease_until=lease_until))
            await world.orders.move(taken, taken.with_payment(stored_id))
            world.payments.payments[stored_id].amount += 1

        world.payments.before["create"] = other_worker_stores_it
        stored = await handle_until_ended(world, order, clock)
        assert stored.status is OrderStatus.CONFIRMED
        assert stored.payment.id != stored_id
        assert world.payments.charged == {order.order_id: order.total}

    async def test_that_it_was_declined_says_nothing_of_the_right_amount(self, world: World) -> None:
        order = await accepted(world, currency="MGA", price=5000)
        held = await reserved_with_payment(world, order, amount=order.total)
        world.payments.payments[held.payment.id or ""].declined = "insufficient_funds"
        await handle(world, order)
        assert (await world.stored(order)).status is OrderStatus.CONFIRMED
        assert world.payments.charged == {order.order_id: 150}

    async def test_created_but_not_noted_it_costs_a_key(self, world: World) -> None:
        """The old key was used with the old amount, so the provider returns an idempotency error."""
        order = await accepted(world, currency="ISK", price=5000)
        world.payments.created[f"{order.order_id}:create"] = ((order.total, "ISK"), "pi_old")
        with pytest.raises(PaymentUnavailable):
            await handle(world, order)
        await handle(world, order)
        assert (await world.stored(order)).status is OrderStatus.CONFIRMED
        assert world.payments.charged == {order.order_id: 1_500_000}

    async def test_taken_already_it_is_an_operators_to_judge(self, world: World) -> None:
        order = await accepted(world, currency="ISK", price=5000)
        held = await reserved_with_payment(world, order, amount=order.total)
        await world.payments.confirm(held.charge, WORKS)
        await handle(world, order)
        parked = await world.stored(order)
        assert parked.parking.parked is not None
        assert (parked.status, parked.parking.parked.reason) == (OrderStatus.RESERVED, "payment_amount_differs")
        await request_cancel(world, order)
        await handle(world, order)
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)

    async def test_taken_while_it_is_replaced_it_is_an_operators_too(self, world: World, clock: HandClock) -> None:
        order = await accepted(world, currency="ISK", price=5000)
        held = await reserved_with_payment(world, order, amount=order.total)

        async def a_worker_of_the_last_release_confirms() -> None:
            await world.payments.confirm(held.charge, WORKS)

        world.payments.before["cancel"] = a_worker_of_the_last_release_confirms
        await handle(world, order)
        parked = await world.stored(order)
        assert parked.parking.parked is not None
        assert kept(world, order) == order.total
        await request_cancel(world, order)
        await handle_until_ended(world, order, clock)
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)

    async def test_cancelled_while_it_is_replaced_nothing_is_kept(self, world: World, clock: HandClock) -> None:
        order = await accepted(world, currency="ISK", price=5000)
        await reserved_with_payment(world, order, amount=order.total)
        world.payments.before["cancel"] = lambda: request_cancel(world, order)
        await handle(world, order)
        await handle_until_ended(world, order, clock)
        await assert_ended_without_money(world, order, OrderStatus.CANCELLED)

    async def test_an_older_release_leaves_the_order_alone_from_then_on(self, world: World) -> None:
        order = await accepted(world, currency="ISK", price=5000)
        await reserved_with_payment(world, order, amount=order.total)
        world.payments.refusing.add(PaymentCall.CANCEL)
        with pytest.raises(PaymentUnavailable):
            await handle(world, order)
        assert (await world.stored(order)).payment.undo == Undo(UndoKind.REPLACE)

    async def test_a_total_that_cannot_be_charged_is_rejected_without_a_charge(self, world: World) -> None:
        """An older release accepted the order; 0.41 ariary cannot be charged."""
        await world.stock("TEA", 10)
        product = make_product(sku="TEA", unit_price=12347, currency="MGA")
        order = await world.accept(replace(make_order(lines=[(product, 3)]), payment=PaymentState(token=WORKS)))
        await handle(world, order)
        stored = await assert_ended_without_money(world, order, OrderStatus.REJECTED)
        assert stored.reason is not None
        assert stored.reason.detail == "the payment was declined: amount_not_chargeable"


class TestReadings:
    async def test_a_cancelled_payment_without_a_decision_is_no_decline(self, world: World) -> None:
        order = await accepted(world)
        held = await reserved_with_payment(world, order)
        await world.payments.cancel(held.charge)
        await handle(world, order)
        stored = await assert_confirmed(world, order)
        assert stored.payment.id != held.payment.id
        assert stored.payment.attempts == PaymentAttempts(create=1)

    async def test_cancelled_just_before_it_is_confirmed_it_is_no_decline_either(self, world: World) -> None:
        order = await accepted(world)

        async def cancel_by_hand() -> None:
            await world.payments.cancel((await world.stored(order)).charge)

        world.payments.before["confirm"] = cancel_by_hand
        await handle(world, order)
        await assert_confirmed(world, order)

    async def test_the_last_error_of_the_payment_is_a_decline(self, world: World) -> None:
        order = await accepted(world)
        held = await reserved_with_payment(world, order)
        world.payments.payments[held.payment.id or ""].declined = "insufficient_funds"
        await handle(world, order)
        await assert_ended_without_money(world, order, OrderStatus.REJECTED)
        assert "confirm" not in world.payments.calls

    async def test_a_payment_of_this_very_attempt_is_not_read_again(self, world: World) -> None:
        await handle(world, await accepted(world))
        assert world.payments.calls == ["create", "confirm"]


class Crashed(BaseException):
    """The process was killed here."""


class CrashingAdapter:
    """Counts the calls of an adapter, and simulates a crash before or after one of them."""

    def __init__(self, adapter: object, count: Callable[[], bool], *, after: bool) -> None:
        self._adapter = adapter
        self._is_here = count
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._adapter, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            is_here = self._is_here()
            if is_here and not self._after:
                raise Crashed
            result = await method(*arguments, **options)
            if is_here:
                raise Crashed
            return result

        return call


def dying(handler: Callable[[], Handler], world: World, nth: int, *, after: bool) -> Handler:
    """Handler whose process crashes at its nth call of the store or the provider."""
    calls = iter(range(1000))

    def is_nth() -> bool:
        return next(calls) == nth

    orders, payments = world.work.orders, world.work.payments
    world.work = replace(
        world.work,
        orders=cast("OrderRepository", CrashingAdapter(orders, is_nth, after=after)),
        payments=cast("PaymentGateway", CrashingAdapter(payments, is_nth, after=after)),
    )
    made = handler()
    world.work = replace(world.work, orders=orders, payments=payments)
    return made


async def _paid(world: World) -> Order:
    return await accepted(world)


async def _saved_500(world: World) -> Order:
    return await accepted(world, SAVES_500)


async def _declined(world: World) -> Order:
    return await accepted(world, DECLINED)


async def _another_amount(world: World) -> Order:
    order = await accepted(world, currency="ISK", price=5000)
    await reserved_with_payment(world, order, amount=order.total)
    return order


async def _cancelled_without_undo(world: World) -> Order:
    order = await accepted(world)
    held = await reserved_with_payment(world, order)
    await world.payments.cancel(held.charge)
    return order


async def _refunded(world: World) -> Order:
    order = await accepted(world)
    await handle(world, order)
    await request_cancel(world, order)
    return order


SITUATIONS: dict[Callable[[World], Awaitable[Order]], OrderStatus] = {
    _paid: OrderStatus.CONFIRMED,
    _saved_500: OrderStatus.CONFIRMED,
    _declined: OrderStatus.REJECTED,
    _another_amount: OrderStatus.CONFIRMED,
    _cancelled_without_undo: OrderStatus.CONFIRMED,
    _refunded: OrderStatus.CANCELLED,
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__.strip("_"))
async def test_killed_at_each_of_its_calls_the_order_ends_right(
    clock: HandClock, situation: Callable[[World], Awaitable[Order]], *, after: bool
) -> None:
    """A worker crashes at its nth call, for every n; other workers complete the order."""
    crashes = 0
    for nth in range(100):
        world = World()
        world.work = replace(world.work, clock=clock)
        order = await situation(world)
        clock.advance(AFTER_THE_LEASE)
        body = message_of(await world.stored(order)).to_json()
        try:
            await dying(lambda world=world: make_handler(world.work), world, nth, after=after)(delivery_with(body))  # type: ignore[misc]
        except Crashed:
            crashes += 1
        except PlatformError:
            pass
        else:
            break
        ended = await handle_until_ended(world, order, clock)
        expected = SITUATIONS[situation]
        assert ended.status is expected, f"killed at call {nth}"
        units = world.payments.payments[ended.payment.id].amount if ended.payment.id else 0
        is_confirmed = expected is OrderStatus.CONFIRMED
        assert kept(world, order) == (units if is_confirmed else 0), f"killed at call {nth}"
        assert await world.available("TEA") == (7 if is_confirmed else 10), f"killed at call {nth}"
        assert world.payments.charged.get(order.order_id, 0) in {0, units}, "charged twice"
    assert crashes > 3
