"""History of an order, and what is derived from it: its timeline and its payment."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import (
    CHANGE_TO,
    MAX_ERROR_LENGTH,
    STATUS_AFTER,
    LastError,
    Order,
    OrderStatus,
    Reason,
    ReasonCode,
)
from order_shared.domain.order.payment_summary import Movement, MovementType, PaymentSummary, PaymentSummaryStatus
from order_shared.domain.order.payments import Undo, UndoKind
from tests.factories import NOON, make_order

SOON, LATER, LAST = (NOON + timedelta(minutes=minutes) for minutes in (1, 2, 3))
DECLINED = Reason(ReasonCode.PAYMENT_DECLINED, "the payment was declined: card_declined")
SOLD_OUT = Reason(ReasonCode.OUT_OF_STOCK, "fewer than 2 of TEA are in stock", "TEA")

UNPAID = make_order(at=NOON)
PAID = make_order(at=NOON, payment_token="pm_card_visa")
RESERVED = PAID.reserve(SOON, owner="worker", lease_until=LATER).with_payment("pi_1")
CONFIRMED = RESERVED.confirm(LATER)
CHARGE = Movement(MovementType.CHARGED, PAID.total, LATER)

LIVES: dict[str, tuple[Order, list[tuple[str, ...]]]] = {
    "placed": (PAID, [("placed",)]),
    "confirmed without payment": (UNPAID.confirm(SOON), [("placed",), ("confirmed",)]),
    "cancelled at once": (UNPAID.cancel(SOON), [("placed",), ("cancelled",)]),
    "charged": (CONFIRMED, [("placed",), ("reserved",), ("charged", "confirmed")]),
    "refunded": (
        CONFIRMED.request_cancel(LATER, due_at=1).cancel(LAST, refunded=True),
        [("placed",), ("reserved",), ("charged", "confirmed"), ("cancel_requested",), ("refunded", "cancelled")],
    ),
    "charged and refunded before it was confirmed": (
        RESERVED.request_cancel(LATER, due_at=1).cancel(LAST, refunded=True),
        [("placed",), ("reserved",), ("cancel_requested",), ("charged", "refunded", "cancelled")],
    ),
    "declined": (
        RESERVED.begin_undo(Undo(UndoKind.REJECT, "card_declined")).reject(LATER, DECLINED),
        [("placed",), ("reserved",), ("rejected",)],
    ),
}


@pytest.mark.parametrize("life", LIVES)
def test_each_version_has_one_entry_with_all_its_changes(life: str) -> None:
    order, expected = LIVES[life]
    assert [tuple(map(str, entry.types)) for entry in order.history] == expected
    assert len(order.history) == order.version


@pytest.mark.parametrize("life", LIVES)
def test_the_timeline_has_the_changes_of_the_status_only(life: str) -> None:
    order, expected = LIVES[life]
    statuses = [STATUS_AFTER[OrderChange(name)] for names in expected for name in names if name in STATUS_AFTER]
    assert [entry.status for entry in order.timeline] == statuses
    assert order.timeline[-1].status is order.status


def test_every_status_has_its_change() -> None:
    assert CHANGE_TO.keys() == set(OrderStatus)
    assert OrderChange.__members__.keys() - {change.name for change in STATUS_AFTER} == {
        "CANCEL_REQUESTED",
        "CHARGED",
        "REFUNDED",
    }


@pytest.mark.parametrize(
    ("order", "summary"),
    [
        (PAID, PaymentSummary(status=PaymentSummaryStatus.PENDING, captured=0, refunded=0, history=())),
        (RESERVED, PaymentSummary(status=PaymentSummaryStatus.PENDING, captured=0, refunded=0, history=())),
        (
            CONFIRMED,
            PaymentSummary(status=PaymentSummaryStatus.CAPTURED, captured=PAID.total, refunded=0, history=(CHARGE,)),
        ),
        (
            CONFIRMED.request_cancel(LATER, due_at=1),
            PaymentSummary(status=PaymentSummaryStatus.CAPTURED, captured=PAID.total, refunded=0, history=(CHARGE,)),
        ),
        (
            CONFIRMED.request_cancel(LATER, due_at=1).cancel(LAST, refunded=True),
            PaymentSummary(
                status=PaymentSummaryStatus.REFUNDED,
                captured=PAID.total,
                refunded=PAID.total,
                history=(CHARGE, Movement(MovementType.REFUNDED, PAID.total, LAST)),
            ),
        ),
        (
            LIVES["declined"][0],
            PaymentSummary(status=PaymentSummaryStatus.DECLINED, captured=0, refunded=0, history=()),
        ),
        (
            PAID.reject(SOON, SOLD_OUT),
            PaymentSummary(status=PaymentSummaryStatus.CANCELLED, captured=0, refunded=0, history=()),
        ),
        (
            PAID.cancel(SOON),
            PaymentSummary(status=PaymentSummaryStatus.CANCELLED, captured=0, refunded=0, history=()),
        ),
    ],
    ids=["placed", "reserved", "confirmed", "cancelling", "refunded", "declined", "sold out", "cancelled"],
)
def test_the_payment_is_derived_from_the_history(order: Order, summary: PaymentSummary) -> None:
    assert order.payment_summary == summary


@pytest.mark.parametrize("order", [UNPAID, UNPAID.confirm(SOON), make_order(lines=None, payment_token=None)])
def test_an_order_with_nothing_to_pay_has_no_payment(order: Order) -> None:
    assert order.payment_summary is None


def test_the_last_error_of_an_order_is_kept_until_it_ends() -> None:
    failed = PAID.failed(SOON, ValueError("first")).failed(LATER, KeyError("second"))
    assert failed.parking.last_error == LastError(type="KeyError", text="'second'", at=LATER)
    retried = failed.park(LATER, "unexpected_errors").unpark(LAST, due_at=1)
    assert retried.parking.last_error == failed.parking.last_error
    assert retried.cancel(LAST).parking.last_error is None


@given(st.text(max_size=2 * MAX_ERROR_LENGTH))
def test_the_text_of_an_error_is_bounded_and_has_no_payment_token(text: str) -> None:
    error = PAID.failed(SOON, ValueError(f"pm_card_visa {text} pm_card_visa")).parking.last_error
    assert error is not None
    assert len(error.text) <= MAX_ERROR_LENGTH
    assert "pm_card_visa" not in error.text
