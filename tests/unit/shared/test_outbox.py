"""Partition of an order in the outbox."""

from order_shared.storage.outbox import PARKED_SHARDS, SWEPT_SHARDS, open_shard_of
from order_shared.tables import OPEN_SHARDS
from tests.factories import NOON, make_order


def test_orders_spread_over_all_swept_shards_and_no_others() -> None:
    assert {open_shard_of(make_order()) for _ in range(500)} == set(SWEPT_SHARDS)


def test_parked_orders_spread_over_all_parked_shards_and_no_others() -> None:
    assert {open_shard_of(make_order().park(NOON, "overdue")) for _ in range(500)} == set(PARKED_SHARDS)


def test_no_shard_is_both_swept_and_parked() -> None:
    assert len({*SWEPT_SHARDS, *PARKED_SHARDS}) == 2 * OPEN_SHARDS


def test_the_stored_names_of_the_shards_are_stable() -> None:
    assert (SWEPT_SHARDS[0], SWEPT_SHARDS[-1]) == ("0", "15")
    assert (PARKED_SHARDS[0], PARKED_SHARDS[-1]) == ("parked#00", "parked#15")
