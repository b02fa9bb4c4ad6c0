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


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Generate an addition of any size, or a removal of at most the total stock."""
    stock = draw(stocks)
    return draw(st.integers(-sum(stock), 1000)), stock


@settings(max_examples=40, deadline=None)
@given(changes())
def test_the_changes_of_the_shards_add_up_to_the_total(change: tuple[int, list[int]]) -> None:
    delta, stock = change
    parts = spread(delta, stock)
    assert len(parts) == len(stock)
    assert sum(parts) == delta


@settings(max_examples=40, deadline=None)
@given(changes())
def test_no_shard_falls_below_zero(change: tuple[int, list[int]]) -> None:
    delta, stock = change
    assert all(available + part >= 0 for available, part in zip(stock, spread(delta, stock), strict=True))


@settings(max_examples=40, deadline=None)
@given(changes())
def test_no_shard_changes_in_the_opposite_direction(change: tuple[int, list[int]]) -> None:
    delta, stock = change
    assert all(part * delta >= 0 for part in spread(delta, stock))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), stocks)
def test_an_addition_is_divided_equally(delta: int, stock: list[int]) -> None:
    parts = spread(delta, stock)
    assert max(parts) - min(parts) <= 1


def test_a_removal_empties_the_fullest_shards_first() -> None:
    assert spread(-12, [3, 10, 5]) == [0, -10, -2]


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
def test_the_shard_has_exactly_enough_afterwards(case: tuple[int, int, list[int]]) -> None:
    wanted, into, stock = case
    moves = consolidation(wanted, into, stock)
    if moves is not None:
        assert stock[into] + sum(moves.values()) == max(wanted, stock[into])


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
