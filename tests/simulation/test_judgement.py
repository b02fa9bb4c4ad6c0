"""The checks at rest can fail, and allow what is allowed."""

import pytest

from tests.factories import make_order, make_product
from tests.simulation.counts import was_taken_in_a_sweep
from tests.simulation.invariants import Item
from tests.simulation.rest import plentiful_skus


def swept(at: float, sweeps: int, due_at: int) -> tuple[float, Item]:
    return at, {"sweeps": sweeps, "due_at": due_at}


TWO_SWEEPS = [swept(0.0, 0, 10), swept(20.0, 1, 40), swept(20.4, 0, 30), swept(35.0, 1, 70)]
"""The queue refused the message of the first sweep, so its count was taken back."""


def test_a_count_of_sweeps_may_stay_if_a_worker_took_the_order_meanwhile() -> None:
    assert was_taken_in_a_sweep([*TWO_SWEEPS, swept(35.1, 1, 99)], 1)


@pytest.mark.parametrize("later", [swept(35.1, 1, 70), swept(40.0, 1, 99)])
def test_a_sweep_that_could_take_its_count_back_must_do_so(later: tuple[float, Item]) -> None:
    """The due time has not changed, or too late."""
    assert not was_taken_in_a_sweep([*TWO_SWEEPS, later], 1)


def test_only_the_last_sweep_matters() -> None:
    taken_in_the_first = [swept(0.0, 0, 10), swept(20.0, 1, 40), swept(20.1, 0, 30), *TWO_SWEEPS[3:]]
    assert not was_taken_in_a_sweep(taken_in_the_first, 1)


def test_an_order_may_be_rejected_for_want_of_stock_that_all_orders_together_exceed() -> None:
    tea, cup = make_product(sku="TEA"), make_product(sku="CUP")
    orders = [make_order(lines=[(tea, 3), (cup, 1)]), make_order(lines=[(tea, 2)])]
    assert plentiful_skus(orders, {"TEA": 4, "CUP": 1, "POT": 0}) == {"CUP", "POT"}
    assert plentiful_skus(orders, {"TEA": 5}) == {"TEA"}
