"""Distribution of stock over shards, and consolidation in one shard."""

from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.inventory.models import StockedProduct, consolidation, spread
from tests.factories import make_product

stocks = st.lists(st.integers(0, 100), min_size=1, max_size=16)


@st.composite
def consolidations(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    """Generate a wanted quantity, a target shard, and the stock of all shards."""
    stock = draw(stocks)
    return draw(st.integers(1, sum(stock) + 20)), draw(st.integers(0, len(stock) - 1)), stock


@settings(max_examples=40, deadline=None)
@given(consolidations())
def test_consolidation_fails_exactly_if_all_shards_together_have_too_little(
    case: tuple[int, int, list[int]],
) -> None:
    wanted, into, stock = case
    assert (consolidation(wanted, into, stock) is None) == (sum(stock) < wanted)


@settings(max_examples=40, deadline=None)
@given(consolidations())
def test_a_move_takes_something_and_never_more_than_there_is(case: tuple[int, int, list[int]]) -> None:
    wanted, into, stock = case
    moves = consolidation(wanted, into, stock) or {}
    assert into not in moves
    assert all(0 < units <= stock[shard] for shard, units in moves.items())


@settings(max_examples=40, deadline=None)
@given(consolidations())
def test_the_shard_holds_enough_afterwards(case: tuple[int, int, list[int]]) -> None:
    wanted, into, stock = case
    moves = consolidation(wanted, into, stock)
    if moves is not None:
        assert stock[into] + sum(moves.values()) >= max(wanted, stock[into])
        assert (not moves) == (stock[into] >= wanted)


@settings(max_examples=40, deadline=None)
@given(consolidations())
def test_each_source_gives_at_least_its_part_of_an_even_spread(case: tuple[int, int, list[int]]) -> None:
    wanted, into, stock = case
    moves = consolidation(wanted, into, stock) or {}
    assert all(units * len(stock) >= stock[shard] for shard, units in moves.items())


@settings(max_examples=40, deadline=None)
@given(consolidations())
def test_no_more_shards_give_than_it_takes(case: tuple[int, int, list[int]]) -> None:
    wanted, into, stock = case
    moves = consolidation(wanted, into, stock) or {}
    fullest = sorted((units for shard, units in enumerate(stock) if shard != into), reverse=True)
    assert not moves or stock[into] + sum(fullest[: len(moves) - 1]) < wanted


def test_units_added_to_one_shard_are_in_all_shards_after_one_move_into_each() -> None:
    stock = [0] * 15 + [1600]
    for shard in range(15):
        for source, units in (consolidation(1, shard, stock) or {}).items():
            stock[source] -= units
            stock[shard] += units
    assert min(stock) >= 1600 // 16
    assert sum(stock) == 1600


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16), st.text(max_size=40), st.text(max_size=10))
def test_a_product_always_selects_the_same_shard_for_an_order(stock_shards: int, order_id: str, sku: str) -> None:
    product = make_product(sku=sku, stock_shards=stock_shards)
    assert 0 <= product.shard_for(order_id) < stock_shards
    assert product.shard_for(order_id) == make_product(sku=sku, stock_shards=stock_shards).shard_for(order_id)


def test_orders_of_one_product_use_all_of_its_shards() -> None:
    product = make_product(stock_shards=16)
    assert {product.shard_for(f"ord_{number}") for number in range(500)} == set(range(16))


@settings(max_examples=40, deadline=None)
@given(stocks)
def test_the_available_stock_is_the_sum_over_the_shards(stock: list[int]) -> None:
    assert StockedProduct(make_product(), tuple(stock)).available == sum(stock)


@given(st.integers(0, 10_000), st.integers(1, 16))
def test_an_even_division_loses_no_unit_and_differs_by_one_at_most(units: int, shards: int) -> None:
    divided = spread(units, shards)
    assert (len(divided), sum(divided)) == (shards, units)
    assert max(divided) - min(divided) <= 1
