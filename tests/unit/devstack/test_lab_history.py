"""The checker itself: each way to break the promise is seen, and counted in its column."""

from dataclasses import replace

import pytest

from devstack.lab.history import Evidence, Fault, History, Outcome, Payment, Purchase, Verb, judge
from order_shared.domain.order.models import Order, Reason, ReasonCode
from order_shared.domain.order.payments import PaymentState
from tests.chaos.books import Watch
from tests.factories import NOON, make_customer, make_order

QUANTITY = 2


def confirmed(order: Order) -> Order:
    return order.confirm(NOON)


def make_history(*outcomes: tuple[Verb, Outcome, str | None], is_paid: bool = False) -> History:
    """Of one customer, ada, who wants two of TEA."""
    history = History({"ada": Purchase("ada", {"TEA": QUANTITY}, is_paid)})
    for verb, outcome, order_id in outcomes:
        history.record("ada", verb, Outcome.INVOKED)
        history.record("ada", verb, outcome, order_id)
    return history


def make_evidence(*orders: Order, left: int, payments: tuple[Payment, ...] = (), messages: int = 0) -> Evidence:
    return Evidence(
        orders=list(orders),
        stock_before={"TEA": 10},
        stock_after={"TEA": left},
        payments=list(payments),
        messages=messages,
    )


ORDER = make_order()
OTHER_ORDER = make_order()
PLACED = (Verb.PLACE, Outcome.OK, ORDER.order_id)
UNKNOWN = (Verb.PLACE, Outcome.UNKNOWN, None)
CANCELLED = (Verb.CANCEL, Outcome.OK, ORDER.order_id)
CHARGE = Payment(order_id=ORDER.order_id, received=ORDER.total, refunded=0)
REFUND = replace(CHARGE, refunded=ORDER.total)
PAYING = replace(ORDER, payment=PaymentState(required=True, token="pm_card_visa", id="pi_1"))
PAID = confirmed(PAYING)


@pytest.mark.parametrize(
    ("history", "evidence"),
    [
        (make_history(PLACED), make_evidence(confirmed(ORDER), left=8)),
        (make_history(UNKNOWN), make_evidence(left=10)),
        (make_history(UNKNOWN), make_evidence(confirmed(ORDER), left=8)),
        (make_history(UNKNOWN, PLACED), make_evidence(confirmed(ORDER), left=8)),
        (make_history(PLACED, is_paid=True), make_evidence(PAID, left=8, payments=(CHARGE,))),
        (make_history(PLACED, CANCELLED), make_evidence(ORDER.cancel(NOON), left=10)),
        (
            make_history(PLACED, CANCELLED, is_paid=True),
            make_evidence(PAYING.cancel(NOON, refunded=True), left=10, payments=(REFUND,)),
        ),
    ],
    ids=["confirmed", "unknown, not there", "unknown, there", "asked again", "paid", "cancelled", "refunded"],
)
def test_what_was_kept_is_found_to_hold(history: History, evidence: Evidence) -> None:
    assert judge(history, evidence).details == []


@pytest.mark.parametrize(
    ("fault", "history", "evidence"),
    [
        (Fault.LOST, make_history(PLACED), make_evidence(left=10)),
        (Fault.LOST, make_history(PLACED, CANCELLED), make_evidence(confirmed(ORDER), left=8)),
        (Fault.DUPLICATED, make_history(UNKNOWN), make_evidence(confirmed(ORDER), confirmed(OTHER_ORDER), left=6)),
        (
            Fault.DUPLICATED,
            make_history(PLACED, (Verb.PLACE, Outcome.OK, OTHER_ORDER.order_id)),
            make_evidence(confirmed(ORDER), confirmed(OTHER_ORDER), left=6),
        ),
        (
            Fault.DUPLICATED,
            make_history((Verb.PLACE, Outcome.FAILED, None)),
            make_evidence(confirmed(ORDER), left=8),
        ),
        (
            Fault.DUPLICATED,
            make_history(),
            make_evidence(confirmed(make_order(customer=make_customer(id="nobody"))), left=8),
        ),
        (Fault.STOCK, make_history(PLACED), make_evidence(confirmed(ORDER), left=10)),
        (Fault.STOCK, make_history(PLACED), make_evidence(confirmed(ORDER), left=6)),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAID, left=8)),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAID, left=8, payments=(CHARGE, CHARGE))),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAID, left=8, payments=(CHARGE, REFUND))),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAID, left=8, payments=(REFUND,))),
        (Fault.MONEY, make_history(is_paid=True), make_evidence(left=10, payments=(CHARGE,))),
        (
            Fault.MONEY,
            make_history(PLACED, CANCELLED, is_paid=True),
            make_evidence(ORDER.cancel(NOON), left=10, payments=(CHARGE,)),
        ),
        (Fault.STUCK, make_history(PLACED), make_evidence(ORDER, left=10)),
        (Fault.STUCK, make_history(PLACED), make_evidence(confirmed(ORDER), left=8, messages=1)),
        (Fault.OTHER, make_history(PLACED), make_evidence(ORDER.cancel(NOON), left=10)),
        (
            Fault.OTHER,
            make_history(PLACED),
            make_evidence(
                confirmed(replace(ORDER, lines=tuple(replace(line, quantity=1) for line in ORDER.lines))), left=9
            ),
        ),
        (
            Fault.OTHER,
            make_history(PLACED, (Verb.CANCEL, Outcome.FAILED, None)),
            make_evidence(confirmed(ORDER), left=8),
        ),
    ],
)
def test_what_was_not_kept_is_counted_in_its_column(fault: Fault, history: History, evidence: Evidence) -> None:
    verdict = judge(history, evidence)
    assert set(verdict.faults) == {fault}, verdict.details
    assert not verdict.holds


@pytest.mark.parametrize(
    ("history", "evidence"),
    [
        (make_history(PLACED), make_evidence(ORDER, left=8, messages=1)),
        (make_history(PLACED, is_paid=True), make_evidence(PAYING, left=8, payments=(CHARGE,))),
        (make_history(PLACED, is_paid=True), make_evidence(PAYING, left=10, payments=(CHARGE,))),
    ],
    ids=["reserved", "charged, not confirmed", "stock not read again"],
)
def test_an_order_in_progress_is_no_contradiction_yet(history: History, evidence: Evidence) -> None:
    assert judge(history, evidence, is_settled=False).holds
    assert not judge(history, evidence).holds


@pytest.mark.parametrize(
    ("fault", "history", "evidence"),
    [
        (Fault.LOST, make_history(PLACED), make_evidence(left=10)),
        (Fault.DUPLICATED, make_history(UNKNOWN), make_evidence(ORDER, OTHER_ORDER, left=6)),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAYING, left=8, payments=(CHARGE, CHARGE))),
        (Fault.MONEY, make_history(PLACED, is_paid=True), make_evidence(PAID, left=8)),
        (Fault.MONEY, make_history(is_paid=True), make_evidence(left=10, payments=(CHARGE,))),
    ],
)
def test_what_no_later_step_can_resolve_is_a_fault_at_once(fault: Fault, history: History, evidence: Evidence) -> None:
    assert set(judge(history, evidence, is_settled=False).faults) == {fault}


def test_stock_that_is_wrong_counts_by_the_unit() -> None:
    verdict = judge(make_history(PLACED), make_evidence(confirmed(ORDER), left=3))
    assert verdict.faults == {Fault.STOCK: 5}


def test_a_rejected_order_may_refuse_to_be_cancelled() -> None:
    rejected = ORDER.reject(NOON, Reason(ReasonCode.OUT_OF_STOCK, "none left", "TEA"))
    history = make_history(PLACED, (Verb.CANCEL, Outcome.FAILED, None))
    assert judge(history, make_evidence(rejected, left=10)).holds


def test_a_version_a_fence_and_a_past_that_go_back_are_seen() -> None:
    watch = Watch()
    later = confirmed(ORDER)
    for orders in ([later], [replace(later, version=1)], [later], [replace(later, fence=0)], [later], [ORDER]):
        watch.look(orders)
    assert len(watch.regressions) == 4, "the last one goes back in its version and fence, and in its past"
