"""Scenarios that the engine must withstand; see `scenarios/`. `test_stock_load.py` has those of stock.

The rates are scaled down, so that each takes about a second.
`python -m tests.simulation` plays them with other numbers.
"""

import pytest

from tests.simulation.provider import Outage
from tests.simulation.scenarios.backlog import (
    HOUR,
    MINUTE,
    BacklogNumbers,
    OutboxNumbers,
    play_backlog,
    play_outbox_alone,
)
from tests.simulation.scenarios.outage import OutageNumbers, play_outage
from tests.simulation.scenarios.saved_errors import SavedErrorNumbers, play_saved_errors

SEED = "1"
MAX_STEPS = 300_000
"""About 12 s of CPU. An engine that sends no message in vain needs fewer steps in each scenario."""


def test_an_hour_without_the_payment_provider_stops_no_unpaid_order() -> None:
    result = play_outage(SEED, OutageNumbers(scale=4000.0, max_steps=MAX_STEPS))
    assert result.resent_scheduled == 0
    assert result.most_in_flight < result.quota / 2
    assert result.unpaid_wait <= result.unpaid_wait_before + 1.0
    assert result.drained_minutes is not None, "every order ends once the provider is back"
    assert result.limited_after <= result.calls_after / 20, "the calls stay within the provider's limit"
    assert result.parked == 0


def test_a_backlog_is_worked_off_without_a_message_sent_again() -> None:
    result = play_backlog(SEED, BacklogNumbers(scale=500.0, max_steps=MAX_STEPS))
    assert result.backlog > 600
    assert result.resent == 0
    assert result.empty_polls == 0, "no processor waits while there is work"
    assert result.drained_minutes is not None
    assert result.drained_minutes < 10.0


def test_an_outbox_of_paid_orders_alone_moves_at_once() -> None:
    result = play_outbox_alone(SEED, OutboxNumbers())
    assert result.orders > 100
    assert result.sent_by_api == 0
    assert result.drained_seconds is not None
    assert result.drained_seconds < 45.0


def test_a_day_without_processors_parks_nothing() -> None:
    numbers = BacklogNumbers(away=3 * MINUTE, rest=24.5 * HOUR, max_steps=MAX_STEPS)
    result = play_backlog(SEED, numbers)
    assert result.parked == 0
    assert result.drained_minutes is not None


@pytest.mark.parametrize(
    ("kind", "calls"), [(Outage.SAVED_ERROR, {"create", "confirm", "refund"}), (Outage.REFUSED, {"create"})]
)
def test_errors_that_the_provider_saves_reject_no_order_and_charge_each_once(kind: Outage, calls: set[str]) -> None:
    result = play_saved_errors(SEED, SavedErrorNumbers(kind=kind, rate=1.0))
    assert result.saved.keys() >= calls
    assert result.saved.total() > 15
    assert result.ended == result.wanted
    assert set(result.wanted) == {"confirmed", "cancelled"}
    assert result.wrong_money == []
    assert result.parked == 0
