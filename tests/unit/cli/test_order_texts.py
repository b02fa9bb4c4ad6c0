"""What customers see of an order."""

from typing import Any

import pytest

from order_client import Order
from orderctl import terminal
from orderctl.commands.customer_orders import order_grid
from tests.unit.cli.test_terminal import HARMLESS, HOSTILE, assert_harmless
from tests.unit.client.api import order_body

Printed = pytest.CaptureFixture[str]
AT = "2026-01-31T09:05:00.000120Z"
LINES = [{"sku": "TEA", "quantity": 178}]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a terminal in which no line is wrapped."""
    monkeypatch.setattr(terminal.console, "width", 2000)


def shown(body: dict[str, Any], printed: Printed) -> list[str]:
    """Return the printed lines, with single blanks."""
    terminal.console.print(order_grid(Order.model_validate(body)))
    return [" ".join(line.split()) for line in printed.readouterr().out.splitlines()]


def test_metadata_and_the_payment_are_shown(capsys: Printed) -> None:
    body = order_body("ord_1", {"lines": LINES, "metadata": {"cart": "c-1", "note": "a=b"}, "payment_token": "pm"})
    assert "payment pending (captured 0.00 EUR, refunded 0.00 EUR)" in shown(body, capsys)
    movements = [{"type": "charged", "amount": 890, "at": AT}, {"type": "refunded", "amount": 890, "at": AT}]
    body["payment"] = {"status": "refunded", "captured": 890, "refunded": 890, "history": movements}
    printed = shown(body, capsys)
    assert "payment refunded (captured 8.90 EUR, refunded 8.90 EUR)" in printed
    assert [line for line in printed if line.startswith(("metadata", "movement"))] == [
        "metadata cart=c-1",
        "metadata note=a=b",
        "movement 2026-01-31 09:05:00.000120 charged 8.90 EUR",
        "movement 2026-01-31 09:05:00.000120 refunded 8.90 EUR",
    ]


def test_an_order_with_nothing_to_pay_and_without_metadata_says_so(capsys: Printed) -> None:
    printed = shown(order_body("ord_1", {"lines": LINES}), capsys)
    assert "payment -" in printed
    assert not [line for line in printed if line.startswith(("metadata", "movement"))]


def test_nothing_in_an_order_steers_the_terminal(capsys: Printed) -> None:
    body = order_body(HOSTILE, {"lines": [{"sku": HOSTILE, "quantity": 1}], "metadata": {HOSTILE: HOSTILE}})
    body |= dict.fromkeys(("status", "reference", "placed_by", "currency"), HOSTILE)
    body["reason"] = {"code": HOSTILE, "detail": HOSTILE, "sku": None}
    body["timeline"] = [{"status": HOSTILE, "at": AT}]
    movement = {"type": HOSTILE, "amount": 5, "at": AT}
    body["payment"] = {"status": HOSTILE, "captured": 5, "refunded": 0, "history": [movement]}
    terminal.console.print(order_grid(Order.model_validate(body)))
    printed = capsys.readouterr().out
    assert_harmless(printed)
    assert [line.split("  ")[0] for line in printed.splitlines() if HARMLESS in line] == [
        *("order", "status", "reference", "placed by", "total", "payment", "reason", "line", "metadata", "movement"),
        "timeline",
    ]
