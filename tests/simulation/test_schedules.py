"""Every schedule of small scenarios with few deviations: two workers, and a customer who cancels.

`make sim` plays all scenarios with three deviations.
"""

import itertools

import pytest
from aiodynamo.expressions import F

from order_shared.storage import order_items
from tests.simulation.schedules import SCENARIOS, Deviations, Scenario, every_schedule, explore

DEVIATIONS = 2
PAID = Scenario()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_no_schedule_breaks_a_promise(scenario: Scenario) -> None:
    explored = explore(scenario, DEVIATIONS if scenario == PAID else 1)
    assert explored.violations == [], explored.deviations
    assert explored.schedules > 10


def test_a_removed_cancel_condition_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_items, "CANCEL_NOT_REQUESTED", F("never_stored").does_not_exist())
    explored = explore(PAID, DEVIATIONS)
    assert explored.violations
    assert len(explored.deviations or {}) <= DEVIATIONS


def test_each_schedule_is_played_once() -> None:
    """Three decisions among two and three: with two deviations, every pair of other choices."""
    seen: list[tuple[int, ...]] = []

    def play(schedule: Deviations) -> None:
        seen.append(tuple(schedule(choices) for choices in (2, 3, 2)))

    assert every_schedule(play, 2) == len(seen) == len(set(seen))
    everything = set(itertools.product(range(2), range(3), range(2)))
    default = (1, 2, 1)
    assert set(seen) == {each for each in everything if sum(map(int.__ne__, each, default)) <= 2}
