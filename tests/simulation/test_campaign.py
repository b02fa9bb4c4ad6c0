"""Storms of every kind: no promise is broken, a run repeats exactly, and a planted fault is found and shrunk."""

from collections.abc import Callable

import pytest
from aiodynamo.expressions import F

from order_processor.order import flows
from order_processor.order.flows import OrderWorkflow
from order_shared.domain.order.models import Order
from order_shared.storage import idempotency_records, order_items, orders
from tests.simulation.campaign import explain, play_seeds, shrink
from tests.simulation.history import Border
from tests.simulation.life import live
from tests.simulation.plan import plan_of

SEEDS = 6
"""`make sim` plays thousands."""
FOUND_WITHIN = 50

ALWAYS = F("never_stored").does_not_exist()


def test_a_storm_breaks_no_promise() -> None:
    campaign = play_seeds(map(str, range(1, SEEDS + 1)))
    assert [failed.violations for failed in campaign.failed] == []
    assert campaign.orders > 3 * SEEDS
    assert len(campaign.faults) > 10


def test_a_token_gives_the_same_run_every_time() -> None:
    one, again, other = (live(plan_of(token), keep_effects=True) for token in ("7~o1", "7~o1", "8"))
    assert (one.digest, one.effects) == (again.digest, again.effects)
    assert one.digest != other.digest
    assert {effect.border for effect in one.effects or []} >= {Border.TABLES, Border.QUEUE, Border.MACHINES}


def confirm_despite_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step be written although the customer has requested to cancel meanwhile."""
    monkeypatch.setattr(order_items, "CANCEL_NOT_REQUESTED", ALWAYS)


def accept_a_key_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record = idempotency_records.put_record

    def put_anyway(*arguments: object) -> object:
        put = put_record(*arguments)  # type: ignore[arg-type]
        return type(put)(put.table, put.item)

    monkeypatch.setattr(orders, "put_record", put_anyway)


def forget_the_refund(monkeypatch: pytest.MonkeyPatch) -> None:
    """End an order after an undo without asking whether the money had been taken."""

    async def undo(self: OrderWorkflow, order: Order, decided: object) -> Order | None:
        await self._context.payments.cancel(order.charge)
        return await self._move(order, self._undone(order, decided))  # type: ignore[arg-type]

    monkeypatch.setattr(OrderWorkflow, "_undo", undo)


def count_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an order fail without end: no unexpected error is counted."""

    async def record_nothing(*_: object) -> bool:
        return False

    monkeypatch.setattr(flows, "record_failure", record_nothing)


def acknowledge_unfinished_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete a message although its order needs further steps."""

    async def take_one_step(self: OrderWorkflow, order: Order) -> None:
        await self._step(order)

    monkeypatch.setattr(OrderWorkflow, "_take_steps", take_one_step)


@pytest.mark.parametrize(
    "plant",
    [
        confirm_despite_cancel,
        accept_a_key_twice,
        forget_the_refund,
        count_no_failure,
        acknowledge_unfinished_work,
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(live(plan_of(f"{seed}~l")).violations for seed in range(1, FOUND_WITHIN + 1))


def test_a_failing_run_is_shrunk_to_a_token_that_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    accept_a_key_twice(monkeypatch)
    without_log = (plan_of(f"{seed}~l") for seed in range(1, FOUND_WITHIN + 1))
    failing = next(plan for plan in without_log if live(plan).violations)
    small, outcomes = shrink(failing)
    assert len(small.orders) == 1 <= len(failing.orders)
    assert sum(outcomes.faults.values()) <= 2
    assert (small.processors, small.apis, small.events) == (1, 1, ())
    again = live(plan_of(small.token))
    assert (again.violations, again.digest) == (outcomes.violations, outcomes.digest)
    assert small.token in next(explain(small, outcomes))


def test_an_unknown_part_of_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="no part of a plan"):
        plan_of("7~x1")
