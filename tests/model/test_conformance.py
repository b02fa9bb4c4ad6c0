"""Histories of the simulation walk the transition table, and forged ones are refused."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.model.conformance import Walker
from tests.model.history import Call, Event, Refused, Write
from tests.model.simulated import events, limits
from tests.model.stages import STAGES, Stage
from tests.model.steps import TABLE
from tests.simulation.life import live
from tests.simulation.plan import plan_of

SEEDS = 4
LATE_SEEDS = (22, 49)
"""Seeds in which a confirmation takes effect while its payment is undone."""
THREE_PAYMENTS_SEED = 76
"""Seed in which an order needs three payments, and the third one is created again."""
QUICK_STAGES = [stage for stage in STAGES if stage.name != "overdue"]
"""Stages that take a second at most: the other one lasts more than a simulated day."""

pytestmark = pytest.mark.timeout(300)


def recorded(seed: int) -> list[Event]:
    return list(events(live(plan_of(str(seed)), keep_effects=True).effects or []))


def walk(history: Iterable[Event]) -> Counter[str]:
    walker = Walker(limits())
    walker.walk(history)
    return walker.taken


@pytest.fixture(scope="module")
def history() -> list[Event]:
    return recorded(0)


def first_order_write(history: list[Event], status: str) -> tuple[int, Write]:
    """Return the position of the first write that gives an order this status, and the write."""
    for position, event in enumerate(history):
        if isinstance(event, Write):
            for item in event.items:
                if item.table == "orders" and item.before and item.after and item.after["status"] == status:
                    return position, event
    raise AssertionError(f"no order becomes {status}")


def test_histories_of_the_simulation_are_allowed() -> None:
    taken = sum((walk(recorded(seed)) for seed in range(SEEDS)), Counter())
    assert {"accept", "reserve", "create", "note_payment", "confirm_payment", "confirm", "confirm_unpaid"} <= set(taken)


@pytest.mark.parametrize("seed", LATE_SEEDS)
def test_a_request_to_confirm_may_take_effect_late(seed: int) -> None:
    history = recorded(seed)
    assert {"confirm_unanswered", "confirm_late", "refund"} <= set(walk(history))
    calls = [event for event in history if isinstance(event, Call)]
    taken = {call.payment for call in calls if (call.call, call.result) == ("cancel", "succeeded")}
    assert taken <= {call.payment for call in calls if call.call == "confirm"}, "nobody asked to confirm these payments"


def test_a_payment_that_nobody_asked_to_confirm_cannot_succeed() -> None:
    history = recorded(LATE_SEEDS[0])
    calls = [event for event in history if isinstance(event, Call)]
    taken = next(call for call in calls if (call.call, call.result) == ("cancel", "succeeded"))
    asked = [call for call in calls if (call.call, call.order) == ("confirm", taken.order)]
    with pytest.raises(Refused, match=r"no step explains Call.*call='cancel'"):
        walk([event for event in history if event not in asked])


def test_a_repeated_write_that_changes_nothing_is_no_step() -> None:
    """An operator's first response may be lost; the order is not parked any more when the write is repeated."""
    (stage,) = (stage for stage in STAGES if stage.name == "payments poisoned")
    history = list(events(stage.play()))
    position, write, order = next(
        (position, event, item)
        for position, event in enumerate(history)
        if isinstance(event, Write) and event.by == "operator"
        for item in event.items
        if item.before and item.after and "parked" in item.before and "parked" not in item.after
    )
    repeated = replace(write, items=(replace(order, before=order.after),))
    walk([*history[: position + 1], repeated, *history[position + 1 :]])
    other = replace(write, items=(replace(order, before=order.after, claimed={**(order.claimed or {}), "more": None}),))
    with pytest.raises(Refused, match="no step"):
        walk([*history[: position + 1], other])


def test_an_order_may_need_more_payments_than_a_model_has() -> None:
    history = recorded(THREE_PAYMENTS_SEED)
    created = Counter(
        (event.order, event.attempts["create"]) for event in history if isinstance(event, Call) and event.created
    )
    assert any(attempt == 2 and times > 1 for (_, attempt), times in created.items()), "choose another seed"
    walk(history)


@pytest.mark.parametrize("stage", QUICK_STAGES, ids=lambda stage: stage.name)
def test_a_staged_run_takes_its_transitions(stage: Stage) -> None:
    assert stage.takes <= walk(events(stage.play())).keys()


def test_a_stage_names_observable_transitions() -> None:
    named = frozenset().union(*(stage.takes for stage in STAGES))
    assert named <= {step.name for step in TABLE.values() if not step.unseen}


def test_an_operator_who_changes_an_order_that_is_not_parked_is_refused(history: list[Event]) -> None:
    position, write = first_order_write(history, "reserved")
    (order,) = (item for item in write.items if item.table == "orders")
    assert order.after is not None
    claimed = {"status": "reserved", "fence": order.after["fence"], "lease_owner": order.after["lease_owner"]}
    meddled = replace(order, before=order.after, after={**order.after, "sweeps": 0}, claimed=claimed)
    with pytest.raises(Refused, match="no step"):
        walk([*history[: position + 1], Write(by="operator", items=(meddled,))])


def test_a_confirmation_of_an_unpaid_payment_is_refused(history: list[Event]) -> None:
    """Without the provider's success, no step of the table explains the confirmation."""
    forged = [event for event in history if not (isinstance(event, Call) and event.call in {"confirm", "retrieve"})]
    with pytest.raises(Refused, match="no step"):
        walk(forged)


def test_a_change_that_no_write_made_is_refused(history: list[Event]) -> None:
    position, write = first_order_write(history, "confirmed")
    with pytest.raises(Refused):
        walk([*history[:position], *history[position + 1 :], write, write])


def test_a_write_without_the_fence_in_its_condition_is_refused(history: list[Event]) -> None:
    position, write = first_order_write(history, "reserved")
    items = tuple(
        replace(item, claimed={name: value for name, value in (item.claimed or {}).items() if name != "fence"})
        for item in write.items
    )
    with pytest.raises(Refused, match="no step"):
        walk([*history[:position], replace(write, items=items)])


def test_stock_that_is_not_taken_with_the_order_is_refused(history: list[Event]) -> None:
    position, write = first_order_write(history, "confirmed")
    kept = tuple(item for item in write.items if item.table != "inventory")
    if len(kept) == len(write.items):
        position, write = first_order_write(history, "reserved")
        kept = tuple(item for item in write.items if item.table != "inventory")
    with pytest.raises(Refused, match="no step"):
        walk([*history[:position], replace(write, items=kept)])
