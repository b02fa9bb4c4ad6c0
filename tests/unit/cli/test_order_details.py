"""What an operator is shown of an order as it is stored."""

from order_shared.domain.order.payments import PaymentCall, Undo, UndoKind
from orderctl.commands.parked_orders import _details
from tests.factories import make_customer, make_order


def test_an_order_that_goes_well_has_nothing_to_say_of_attempts() -> None:
    shown = _details(make_order(payment_token="pm_card_visa"))
    assert (shown["total"], shown["payment"]) == ("11.80 EUR", "not yet taken")
    assert (shown["payment attempts"], shown["undo"]) == ("-", "-")


def test_spent_keys_and_the_decision_to_undo_are_shown() -> None:
    order = make_order(payment_token="pm_card_visa").with_payment("pi_1")
    order = order.with_next_attempt(PaymentCall.CONFIRM).with_next_attempt(PaymentCall.CONFIRM)
    shown = _details(order.begin_undo(Undo(UndoKind.REJECT, "card_declined")))
    assert (shown["payment"], shown["payment attempts"]) == ("pi_1", "confirm 2")
    assert shown["undo"] == "reject card_declined"
    assert _details(order.begin_undo(Undo(UndoKind.CANCEL)))["undo"] == "cancel"


def test_the_customer_and_who_placed_the_order_are_shown_as_the_issuer_names_them() -> None:
    shown = _details(make_order(customer=make_customer(id="user+tag@example.com"), placed_by="shop/backend"))
    assert (shown["customer"], shown["placed by"]) == ("acme#user+tag@example.com", "shop/backend")
    assert _details(make_order())["placed by"] == "-"
