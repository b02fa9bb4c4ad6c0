"""Stored payment state: attempt numbers, the decision to undo, and the state after a takeover."""

from datetime import timedelta

import pytest

from order_shared.domain.clock import to_millis
from order_shared.domain.order.exceptions import StaleOrder
from order_shared.domain.order.models import Customer, Lease, Order, OrderStatus, Reason, ReasonCode
from order_shared.domain.order.payments import PaymentAttempts, PaymentCall, Undo, UndoKind
from tests.factories import make_order, make_product, make_record, make_stock_record
from tests.integration.conftest import Storage

LEASE = timedelta(minutes=1)
DECLINED = Undo(UndoKind.REJECT, "card_declined")


@pytest.fixture
async def reserved(storage: Storage) -> Order:
    """Store a paid order with its first owner and a payment."""
    await storage.inventory.put(make_product(tenant=storage.tenant))
    await storage.inventory.adjust(storage.tenant, "TEA", 10, make_stock_record(storage.tenant, "TEA"))
    order = make_order(
        customer=Customer(tenant=storage.tenant, id="ada"),
        lines=[(make_product(tenant=storage.tenant), 3)],
        payment_token="pm_card_visa",
    )
    await storage.orders.add(order, make_record(order, at=storage.clock()))
    held = order.reserve(order.created_at, owner="first", lease_until=order.created_at + LEASE)
    return await storage.orders.move(order, held)


async def stored(storage: Storage, order: Order) -> Order:
    return await storage.orders.get(order.customer, order.order_id)


async def test_a_move_returns_the_stored_order(storage: Storage, reserved: Order) -> None:
    noted = await storage.orders.move(reserved, reserved.with_payment("pi_1"))
    assert noted == await stored(storage, reserved) == reserved.with_payment("pi_1")


async def test_a_takeover_returns_writes_that_followed_its_read(storage: Storage, reserved: Order) -> None:
    """The first owner's writes do not change the fence, so a takeover after an older read succeeds."""
    noted = await storage.orders.move(reserved, reserved.with_payment("pi_1"))
    await storage.orders.move(noted, noted.begin_undo(DECLINED))
    until = reserved.created_at + 2 * LEASE
    taken = await storage.orders.move(reserved, reserved.take_over(owner="second", lease_until=until))
    assert taken.lease == Lease(owner="second", until=to_millis(until))
    assert (taken.payment.id, taken.payment.undo) == ("pi_1", DECLINED)
    assert taken == await stored(storage, reserved)


async def test_attempt_numbers_and_the_decision_to_undo_are_read_back(storage: Storage, reserved: Order) -> None:
    before = reserved
    for after in (
        reserved.with_next_attempt(PaymentCall.CREATE),
        reserved.with_next_attempt(PaymentCall.CREATE).with_next_attempt(PaymentCall.REFUND),
        reserved.with_payment("pi_1").begin_undo(DECLINED),
        reserved.with_payment("pi_1").begin_undo(Undo(UndoKind.CANCEL)),
        reserved.with_payment("pi_1").begin_undo(Undo(UndoKind.REPLACE)).without_payment(),
    ):
        before = await storage.orders.move(before, after)
        assert before == await stored(storage, reserved)
        assert (before.payment.attempts, before.payment.undo) == (after.payment.attempts, after.payment.undo)
        assert before.version == reserved.version, "a customer sees nothing of it"
    assert (before.payment.id, before.payment.attempts) == (None, PaymentAttempts(create=1))


async def test_the_former_owner_cannot_decide_to_undo(storage: Storage, reserved: Order) -> None:
    until = reserved.created_at + 2 * LEASE
    taken = await storage.orders.move(reserved, reserved.take_over(owner="second", lease_until=until))
    with pytest.raises(StaleOrder):
        await storage.orders.move(reserved, reserved.begin_undo(DECLINED))
    assert (await stored(storage, taken)).payment.undo is None


async def test_the_decision_is_removed_when_the_order_ends(storage: Storage, reserved: Order) -> None:
    undone = await storage.orders.move(reserved, reserved.with_payment("pi_1").begin_undo(DECLINED))
    reason = Reason(ReasonCode.PAYMENT_DECLINED, "the payment was declined: card_declined")
    ended = await storage.orders.move(undone, undone.reject(undone.updated_at, reason))
    assert ended == await stored(storage, undone)
    assert (ended.status, ended.payment.undo, ended.payment.id) == (OrderStatus.REJECTED, None, "pi_1")
    assert (await storage.inventory.get(storage.tenant, "TEA")).available == 10


async def test_a_parked_order_with_a_released_lease_waits_for_an_operator(storage: Storage, reserved: Order) -> None:
    parked = reserved.release().park(reserved.updated_at, "payment_amount_differs")
    await storage.orders.move(reserved, parked)
    assert await stored(storage, reserved) == parked
    retried = parked.unpark(parked.updated_at, due_at=to_millis(parked.updated_at))
    await storage.orders.move(parked, retried)
    assert retried.lease is not None
    assert not retried.lease.excludes("second", retried.updated_at)
