"""What operators see of an order as it is stored, and of parked orders."""

import json
from dataclasses import replace

import pytest

from order_shared.domain.order.models import Order, Reason, ReasonCode
from order_shared.domain.order.payments import PaymentCall, Undo, UndoKind
from order_shared.storage.audit_trail import Operation
from order_shared.storage.orders import UnreadableOrder
from orderctl import terminal
from orderctl.commands.parked_orders import order_grid, parked_table, summary
from tests.factories import NOON, make_customer, make_order
from tests.unit.cli.test_terminal import HARMLESS, HOSTILE, assert_harmless

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a terminal in which no line is wrapped."""
    monkeypatch.setattr(terminal.console, "width", 2000)


def shown(order: Order, printed: Printed, *operations: Operation) -> dict[str, list[str]]:
    """Return the printed values of each row's name."""
    terminal.console.print(order_grid(order, operations))
    rows: dict[str, list[str]] = {}
    for line in printed.readouterr().out.splitlines():
        name, _, value = line.partition("  ")
        rows.setdefault(name, []).append(value.strip())
    return rows


def refunded(order: Order) -> Order:
    """Return the order after its payment, confirmation, request to cancel, and refund."""
    reserved = order.reserve(NOON, owner="worker", lease_until=NOON).with_payment("pi_1")
    requested = reserved.confirm(NOON).request_cancel(NOON, due_at=0)
    return requested.cancel(NOON, refunded=True)


def test_an_order_that_goes_well_has_nothing_to_say_of_attempts(capsys: Printed) -> None:
    rows = shown(make_order(payment_token="pm_card_visa"), capsys)
    assert (rows["total"], rows["payment"]) == (
        ["11.80 EUR"],
        ["pending (captured 0.00 EUR, refunded 0.00 EUR)"],
    )
    assert (rows["payment id"], rows["payment attempts"], rows["undo"], rows["last error"]) == (
        ["-"],
        ["-"],
        ["-"],
        ["-"],
    )
    assert "pm_card_visa" not in str(rows)


def test_spent_keys_and_the_decision_to_undo_are_shown(capsys: Printed) -> None:
    order = make_order(payment_token="pm_card_visa").with_payment("pi_1")
    order = order.with_next_attempt(PaymentCall.CONFIRM).with_next_attempt(PaymentCall.CONFIRM)
    rows = shown(order.begin_undo(Undo(UndoKind.REJECT, "card_declined")), capsys)
    assert (rows["payment id"], rows["payment attempts"]) == (["pi_1"], ["confirm 2"])
    assert rows["undo"] == ["reject card_declined"]
    assert shown(order.begin_undo(Undo(UndoKind.CANCEL)), capsys)["undo"] == ["cancel"]


def test_the_customer_and_who_placed_the_order_are_shown_as_the_issuer_names_them(capsys: Printed) -> None:
    order = make_order(customer=make_customer(id="user+tag@example.com"), placed_by="shop/backend")
    rows = shown(order, capsys)
    assert (rows["customer"], rows["placed by"]) == (["acme#user+tag@example.com"], ["shop/backend"])
    assert shown(make_order(), capsys)["placed by"] == ["-"]


def test_every_change_is_shown_with_the_money_that_was_moved(capsys: Printed) -> None:
    rows = shown(refunded(make_order(payment_token="pm_card_visa", at=NOON)), capsys)
    assert rows["payment"] == ["refunded (captured 11.80 EUR, refunded 11.80 EUR)"]
    assert [entry.removeprefix("2026-03-14T12:00:00.000000Z  ") for entry in rows["history"]] == [
        "placed",
        "reserved",
        "charged, confirmed",
        "cancel_requested",
        "refunded, cancelled",
    ]


def test_metadata_is_shown(capsys: Printed) -> None:
    rows = shown(make_order(metadata={"cart": "c-1", "note": "a = b"}), capsys)
    assert rows["metadata"] == ["cart=c-1", "note=a = b"]
    assert rows["payment"] == ["-"]
    assert "metadata" not in shown(make_order(), capsys)


def test_the_last_error_is_shown_without_the_payment_token(capsys: Printed) -> None:
    order = make_order(payment_token="pm_card_visa").failed(NOON, ValueError("no pm_card_visa here"))
    rows = shown(order, capsys)
    assert rows["last error"] == ["2026-03-14T12:00:00.000000Z  ValueError: no ••• here"]
    assert rows["sweeps, attempts"] == ["0, 1"]


def test_parked_orders_are_listed_with_their_last_error_and_whole_ids_in_80_columns(capsys: Printed) -> None:
    order = replace(make_order(), customer=make_customer(id="x" * 60)).failed(NOON, ValueError("a bug"))
    order = order.park(NOON, "unexpected_errors")
    overdue = make_order().park(NOON, "overdue")
    unreadable = UnreadableOrder(customer=make_customer(), created_at=NOON, error="version 9 of the item is unknown")
    terminal.console.print(parked_table([order, overdue, unreadable]), width=80)
    printed = capsys.readouterr().out
    for text in (order.order_id, overdue.order_id, "unexpected_errors", "2026-03-14T12:00:00.000000Z", "ValueError"):
        assert text in printed
    assert "attempts 1" in printed
    assert printed.count("x") - printed.count("unexpected") == 60, "nothing is cut"
    assert "version 9" in printed


def test_the_json_of_parked_orders_has_their_last_error() -> None:
    order = make_order().failed(NOON, ValueError("a bug")).park(NOON, "overdue")
    assert json.loads(json.dumps(summary(order))) == {
        "order": order.order_id,
        "tenant": "acme",
        "customer": "ada",
        "status": "pending",
        "parked_for": "overdue",
        "since": "2026-03-14T12:00:00.000000Z",
        "attempts": 1,
        "last_error": "ValueError",
    }
    assert summary(make_order().park(NOON, "overdue"))["last_error"] == "-"


def test_nothing_that_others_wrote_into_an_order_steers_the_terminal(capsys: Printed) -> None:
    order = make_order(placed_by=HOSTILE, reference=HOSTILE, metadata={HOSTILE: HOSTILE}, payment_token="pm")
    order = replace(
        order,
        customer=make_customer(tenant=HOSTILE, id=HOSTILE),
        lines=tuple(replace(line, sku=HOSTILE, name=HOSTILE) for line in order.lines),
        currency=HOSTILE,
        reason=Reason(ReasonCode.PAYMENT_DECLINED, HOSTILE),
    )
    order = order.with_payment(HOSTILE).begin_undo(Undo(UndoKind.REJECT, HOSTILE)).park(NOON, HOSTILE)
    error = type(HOSTILE, (Exception,), {})(HOSTILE)
    order = replace(order, parking=replace(order.failed(NOON, error).parking, attempts=1))
    operation = Operation(subject=order.order_id, at=NOON, actor=HOSTILE, verb=HOSTILE, reason=HOSTILE)
    terminal.console.print(order_grid(order, [operation]))
    printed = capsys.readouterr().out
    assert_harmless(printed)
    rows = [line.split("  ")[0] for line in printed.splitlines() if HARMLESS in line]
    assert rows == [
        *("customer", "placed by", "total", "lines", "reference", "reason", "payment", "payment id", "undo", "parked"),
        *("last error", "metadata", "operation"),
    ]
    terminal.console.print(
        parked_table([order, UnreadableOrder(customer=order.customer, created_at=NOON, error=HOSTILE)])
    )
    listed = capsys.readouterr().out
    assert_harmless(listed)
    assert listed.count(HARMLESS) == 7, "two customers, the reason and the error of one, the reason of the other"
