"""The order and its state machine, with random transitions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.clock import to_millis
from order_shared.domain.order.exceptions import CurrencyMismatch, InvalidTransition
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import (
    ENDED,
    LEASE_GRACE_MS,
    TRANSITIONS,
    Customer,
    Lease,
    Order,
    OrderStatus,
    Parking,
    Reason,
    ReasonCode,
    Schedule,
)
from order_shared.domain.order.payments import PaymentAttempts, PaymentCall, PaymentState, Undo, UndoKind
from tests.factories import NOON, make_customer, make_order, make_product

REASON = Reason(ReasonCode.OUT_OF_STOCK, "not enough tea", "TEA")
LEASE = timedelta(seconds=60)

LEGAL = {
    ("pending", "reserved"),
    ("pending", "confirmed"),
    ("pending", "rejected"),
    ("pending", "cancelled"),
    ("reserved", "confirmed"),
    ("reserved", "rejected"),
    ("reserved", "cancelled"),
    ("confirmed", "cancelled"),
}
"""Written out a second time, so that a change of the table is a change here too."""

MOVES: dict[OrderStatus, Callable[[Order, datetime], Order]] = {
    OrderStatus.RESERVED: lambda order, at: order.reserve(at, owner="worker", lease_until=at + LEASE),
    OrderStatus.CONFIRMED: lambda order, at: order.confirm(at),
    OrderStatus.REJECTED: lambda order, at: order.reject(at, REASON),
    OrderStatus.CANCELLED: lambda order, at: order.cancel(at),
}

moments = st.integers(-(10**9), 10**9).map(lambda micros: NOON + timedelta(microseconds=micros))
walks = st.lists(st.tuples(st.sampled_from(list(MOVES)), moments), max_size=8)


def walked(walk: list[tuple[OrderStatus, datetime]]) -> list[Order]:
    """Return the pending order and each following state. Illegal steps raise and change nothing."""
    orders = [make_order(at=NOON)]
    for status, at in walk:
        before = orders[-1]
        if (before.status, status) in LEGAL:
            orders.append(MOVES[status](before, at))
        else:
            untouched = replace(before)
            with pytest.raises(InvalidTransition):
                MOVES[status](before, at)
            assert before == untouched
    return orders


@settings(max_examples=40, deadline=None)
@given(walks)
def test_exactly_the_legal_transitions_are_possible(walk: list[tuple[OrderStatus, datetime]]) -> None:
    for before, after in pairwise(walked(walk)):
        assert (before.status, after.status) in LEGAL


@settings(max_examples=40, deadline=None)
@given(walks)
def test_each_transition_increments_version_and_fence(walk: list[tuple[OrderStatus, datetime]]) -> None:
    for before, after in pairwise(walked(walk)):
        assert (after.version, after.fence) == (before.version + 1, before.fence + 1)


@settings(max_examples=40, deadline=None)
@given(walks)
def test_a_timeline_only_grows_and_never_runs_backwards(walk: list[tuple[OrderStatus, datetime]]) -> None:
    orders = walked(walk)
    for before, after in pairwise(orders):
        assert after.timeline[:-1] == before.timeline
    timeline = orders[-1].timeline
    assert [entry.status for entry in timeline] == [order.status for order in orders]
    assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
    assert all(order.updated_at == order.timeline[-1].at for order in orders)


@settings(max_examples=40, deadline=None)
@given(walks)
def test_an_ended_order_is_neither_leased_nor_due(walk: list[tuple[OrderStatus, datetime]]) -> None:
    for order in walked(walk):
        if order.status in ENDED:
            assert not order.is_open
            assert (order.schedule, order.lease) == (Schedule(), None)
        else:
            assert order.is_open
            assert order.schedule.due_at is not None


@settings(max_examples=40, deadline=None)
@given(walks)
def test_stock_is_held_exactly_while_reserved_or_confirmed(walk: list[tuple[OrderStatus, datetime]]) -> None:
    for order in walked(walk):
        assert order.holds_stock == (order.status in {OrderStatus.RESERVED, OrderStatus.CONFIRMED})


@settings(max_examples=40, deadline=None)
@given(walks)
def test_what_was_ordered_never_changes(walk: list[tuple[OrderStatus, datetime]]) -> None:
    first, *later = walked(walk)
    for order in later:
        assert (order.order_id, order.created_at, order.lines, order.total, order.reference) == (
            first.order_id,
            first.created_at,
            first.lines,
            first.total,
            first.reference,
        )


@settings(max_examples=40, deadline=None)
@given(walks)
def test_a_reason_is_given_exactly_for_rejected_orders(walk: list[tuple[OrderStatus, datetime]]) -> None:
    for order in walked(walk):
        assert order.reason == (REASON if order.status is OrderStatus.REJECTED else None)


@pytest.mark.parametrize("after", list(MOVES))
@pytest.mark.parametrize("before", list(OrderStatus))
def test_each_status_allows_exactly_its_legal_transitions(before: OrderStatus, after: OrderStatus) -> None:
    order = make_order() if before is OrderStatus.PENDING else MOVES[before](make_order(), NOON)
    if (before, after) in LEGAL:
        assert MOVES[after](order, NOON).status is after
    else:
        with pytest.raises(InvalidTransition, match=f"is {before} and cannot become {after}"):
            MOVES[after](order, NOON)


def test_the_table_of_transitions_is_complete() -> None:
    assert {(before, after) for before, allowed in TRANSITIONS.items() for after in allowed} == LEGAL
    assert set(TRANSITIONS) == set(OrderStatus)


def test_a_reserved_order_falls_due_after_its_lease() -> None:
    order = make_order(at=NOON).reserve(NOON, owner="worker", lease_until=NOON + LEASE)
    assert order.lease == Lease(owner="worker", until=to_millis(NOON + LEASE))
    assert order.schedule.due_at == to_millis(NOON + LEASE) + LEASE_GRACE_MS


def test_an_ended_order_has_no_sweeps() -> None:
    swept = replace(make_order(), schedule=Schedule(sweeps=7))
    assert swept.confirm(NOON).schedule == Schedule()


def test_an_ended_order_keeps_the_payment_without_the_token_and_the_undo() -> None:
    order = make_order(payment_token="pm_card_visa").with_payment("pi_1").with_next_attempt(PaymentCall.CONFIRM)
    ended = order.begin_undo(Undo(UndoKind.CANCEL)).cancel(NOON)
    assert ended.payment == PaymentState(required=True, id="pi_1", attempts=PaymentAttempts(confirm=1))


def test_an_ended_order_has_no_attempts_and_no_parking() -> None:
    parked = make_order().unpark(NOON, due_at=1).failed(NOON, ValueError("a bug")).park(NOON, "overdue")
    assert parked.cancel(NOON).parking == Parking()


@pytest.mark.parametrize(("owner", "after", "excluded"), [("me", 0, True), ("worker", 0, False), ("me", 1, False)])
def test_a_lease_excludes_others_until_it_expires(owner: str, after: int, *, excluded: bool) -> None:
    lease = Lease(owner="worker", until=to_millis(NOON))
    assert lease.excludes(owner, NOON + timedelta(milliseconds=after)) is excluded


def test_a_released_lease_keeps_its_owner_and_excludes_no_other() -> None:
    order = make_order().reserve(NOON, owner="worker", lease_until=NOON + LEASE).release()
    assert order.lease == Lease(owner="worker", until=0)
    assert not order.lease.excludes("me", NOON)


def test_an_order_without_a_lease_has_none_to_release() -> None:
    order = make_order()
    assert order.release() == order


def test_a_new_order_is_pending_and_due() -> None:
    order = make_order(at=NOON, due_in=timedelta(seconds=15))
    assert (order.status, order.version, order.fence) == (OrderStatus.PENDING, 1, 0)
    assert order.schedule.due_at == to_millis(NOON) + 15_000
    assert order.created_at == order.updated_at == created_at_of(order.order_id) == NOON


def test_a_line_keeps_the_name_and_price_at_the_time_of_the_order() -> None:
    product = make_product(sku="TEA", name="Green tea", unit_price=590)
    line = make_order(lines=[(product, 3)]).lines[0]
    assert (line.sku, line.name, line.unit_price, line.quantity, line.amount) == ("TEA", "Green tea", 590, 3, 1770)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(1, 1000)), min_size=1, max_size=50))
def test_the_total_is_the_sum_of_price_times_quantity(lines: list[tuple[int, int]]) -> None:
    products = [(make_product(sku=f"SKU-{n}", unit_price=price), many) for n, (price, many) in enumerate(lines)]
    assert make_order(lines=products).total == sum(price * quantity for price, quantity in lines)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16))
def test_a_line_takes_stock_from_an_existing_shard_of_its_product(stock_shards: int) -> None:
    product = make_product(stock_shards=stock_shards)
    order = make_order(lines=[(product, 1)])
    assert order.lines[0].shard == product.shard_for(order.order_id)
    assert 0 <= order.lines[0].shard < stock_shards


def test_an_order_has_one_currency() -> None:
    lines = [(make_product(sku="A", currency="USD"), 1), (make_product(sku="B", currency="EUR"), 1)]
    with pytest.raises(CurrencyMismatch) as refusal:
        make_order(lines=lines)
    assert refusal.value.currencies == ("EUR", "USD")


def test_a_customer_key_consists_of_tenant_and_customer() -> None:
    assert make_customer("acme", "ada").key == "acme#ada"
    assert Customer(tenant="a", id="b:c").key != Customer(tenant="a:b", id="c").key
