"""Which key of the outbox holds an order, and in which order a process reads the keys."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.order.models import Order
from order_shared.storage.outbox import (
    DEFAULT_SHARDS,
    PARKED_SHARDS,
    SWEPT_SHARDS,
    KeyRotation,
    open_shard_of,
    parked_rotation,
    sweep_rotation,
)
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS
from tests.factories import NOON, make_order

WRITTEN = (DEFAULT_OPEN_SHARDS, OPEN_SHARDS)
MakeRotation = Callable[[int], KeyRotation]


def parked_order() -> Order:
    return make_order().park(NOON, "overdue")


@pytest.mark.parametrize("written", WRITTEN)
def test_orders_spread_over_all_written_keys_and_no_others(written: int) -> None:
    assert {open_shard_of(make_order(), written) for _ in range(3000)} == set(SWEPT_SHARDS[:written])
    assert {open_shard_of(parked_order(), written) for _ in range(3000)} == set(PARKED_SHARDS[:written])


def test_no_key_is_both_swept_and_parked() -> None:
    assert len({*SWEPT_SHARDS, *PARKED_SHARDS}) == 2 * OPEN_SHARDS


def test_the_stored_names_of_the_keys_are_stable() -> None:
    """The last release reads the first 16 of each by these names."""
    assert SWEPT_SHARDS[:16] == tuple(str(number) for number in range(16))
    assert PARKED_SHARDS[:16] == tuple(f"parked#{number:02d}" for number in range(16))
    assert (SWEPT_SHARDS[-1], PARKED_SHARDS[-1]) == ("127", "parked#127")


def test_by_default_the_last_releases_keys_are_written() -> None:
    assert all(open_shard_of(order) == open_shard_of(order, 16) for order in (make_order(), parked_order()))


def test_the_key_alone_says_which_of_the_default_keys_an_order_has() -> None:
    for order in [each for _ in range(1000) for each in (make_order(), parked_order())]:
        key = open_shard_of(order, OPEN_SHARDS)
        assert DEFAULT_SHARDS.get(key, key) == open_shard_of(order)


def read(rotation: KeyRotation, found: frozenset[str] = frozenset()) -> list[str]:
    """One whole look, which finds something in some of the keys."""
    keys = rotation.look()
    for key in keys:
        rotation.was_read(key, found=key in found)
    return keys


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    ("make", "keys"), [(sweep_rotation, SWEPT_SHARDS), (parked_rotation, PARKED_SHARDS)], ids=["swept", "parked"]
)
class TestRotation:
    def test_the_first_look_reads_every_key_once(self, make: MakeRotation, keys: list[str], written: int) -> None:
        first = read(make(written))
        assert sorted(first) == sorted(keys)

    @settings(max_examples=20, deadline=None)
    @given(found=st.sets(st.integers(0, OPEN_SHARDS - 1)))
    def test_every_key_is_read_within_a_round_whatever_the_others_hold(
        self, make: MakeRotation, keys: list[str], written: int, found: set[int]
    ) -> None:
        rotation = make(written)
        holding = frozenset(keys[number] for number in found)
        read(rotation, holding)
        for _ in range(2):
            seen = {key for _ in range(rotation.looks_per_round) for key in read(rotation, holding)}
            assert seen == set(keys)

    def test_an_idle_process_reads_few_keys(self, make: MakeRotation, keys: list[str], written: int) -> None:
        rotation = make(written)
        read(rotation)
        looks = [read(rotation) for _ in range(50)]
        assert max(map(len, looks)) <= 32
        if written == DEFAULT_OPEN_SHARDS:
            assert all(set(look) >= set(keys[:written]) for look in looks), "what is written is read in every look"

    def test_a_key_in_which_something_was_found_is_read_in_the_next_look(
        self, make: MakeRotation, keys: list[str], written: int
    ) -> None:
        rotation = make(written)
        last = keys[-1]
        read(rotation, frozenset({last}))
        for _ in range(5):
            assert last in read(rotation, frozenset({last}))


def test_a_look_is_bounded_however_many_keys_hold_something() -> None:
    for written, most in ((DEFAULT_OPEN_SHARDS, 16 + 16 + 2), (OPEN_SHARDS, 16 + 16)):
        rotation = sweep_rotation(written)
        read(rotation, frozenset(SWEPT_SHARDS))
        assert {len(read(rotation, frozenset(SWEPT_SHARDS))) for _ in range(20)} == {most}


def test_a_key_that_was_not_read_stays_the_first() -> None:
    rotation = sweep_rotation(OPEN_SHARDS)
    read(rotation)
    first, second, *_ = rotation.look()
    rotation.was_read(first, found=False)
    assert rotation.look()[0] == second


def test_processes_begin_at_different_keys() -> None:
    assert len({sweep_rotation(OPEN_SHARDS).look()[0] for _ in range(50)}) > 1
