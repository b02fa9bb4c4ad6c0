"""The units of an order by table and key, and the ceilings that follow from them."""

from itertools import product

import pytest

from order_shared.tables import ORDERS
from tests.bench.limits import (
    IN_FLIGHT,
    LIMITS,
    PAID,
    RATES,
    conflicts,
    fargate_ceiling,
    fullest,
    index_ceiling,
    limit_table,
    load_table,
    order_units,
    partitions_needed,
    tasks_needed,
    units_of,
    units_on_one_key,
)
from tests.bench.prices import OrderKind


@pytest.mark.parametrize("paid", PAID)
def test_the_units_of_an_order_are_those_of_the_cost_table(paid: bool) -> None:  # noqa: FBT001 - the kind of order
    assert order_units(paid=paid).total() == OrderKind(lines=3, paid=paid).write_units


@pytest.mark.parametrize(
    ("owner", "unpaid", "paid"),
    [
        ("orders", 2 + 2, 2 + 2 + 1 + 1),  # accepted, confirmed; accepted, reserved, payment noted, confirmed
        ("open_orders", 1 + 1, 1 + 2 + 1),  # in, out; in, moved by the lease, out
        ("orders_by_id", 1, 1),
        ("tenant_orders", 1 + 1, 1 + 1 + 1),  # in, confirmed; in, reserved, confirmed
        ("orders_by_reference", 0, 0),
        ("inventory", 3 * 2, 3 * 2),
        ("idempotency", 2, 2),
    ],
)
def test_the_units_by_table_and_index_are_those_counted_by_hand(owner: str, unpaid: int, paid: int) -> None:
    assert (units_of(owner, paid=False), units_of(owner, paid=True)) == (unpaid, paid)


def test_all_of_an_order_falls_on_its_customer_and_a_line_on_its_product() -> None:
    assert units_on_one_key(ORDERS.name, paid=False) == 4
    assert units_on_one_key("inventory", paid=True) == 2


def by_counting(keys: int, partitions: int) -> int:
    """The median of the fullest partition, by trying every way to spread the keys."""
    ways = list(product(range(partitions), repeat=keys))
    most = sorted(max(way.count(each) for each in range(partitions)) for way in ways)
    return next(m for m in most if 2 * sum(each <= m for each in most) >= len(ways))


@pytest.mark.parametrize(("keys", "partitions"), [(1, 1), (1, 4), (2, 2), (4, 2), (5, 3), (6, 4), (8, 3)])
def test_the_fullest_partition_is_the_one_found_by_counting(keys: int, partitions: int) -> None:
    assert fullest(keys, partitions) == by_counting(keys, partitions)


def test_on_four_partitions_16_keys_carry_1333_unpaid_or_667_paid_orders() -> None:
    assert fullest(16, 4) == 6
    assert (round(index_ceiling(16, 4, paid=False)), round(index_ceiling(16, 4, paid=True))) == (1333, 667)


def test_more_keys_carry_more_on_the_same_partitions() -> None:
    assert index_ceiling(128, 4, paid=False) > index_ceiling(16, 4, paid=False)
    assert index_ceiling(128, 4, paid=False) < 4 * 1000 / 2, "never as if they were spread evenly"


def test_5000_paid_orders_need_128_keys() -> None:
    assert partitions_needed(5000, 16, paid=True) is None
    assert partitions_needed(5000, 128, paid=True) is not None
    for keys, paid in product((16, 128), PAID):
        partitions = partitions_needed(500, keys, paid=paid)
        assert partitions is not None
        assert index_ceiling(keys, partitions, paid=paid) >= 500
        assert partitions == 1 or index_ceiling(keys, partitions - 1, paid=paid) < 500


def test_a_new_account_carries_what_its_tasks_do() -> None:
    assert tasks_needed(fargate_ceiling()) == 12
    assert tasks_needed(fargate_ceiling() + 1) > 12
    assert tasks_needed(5000) / 2 == 16, "vCPU"


def test_one_try_in_five_conflicts_at_50_a_second() -> None:
    assert conflicts(50) == pytest.approx(0.221, abs=0.001)


def test_no_limit_is_met_at_the_lowest_rate() -> None:
    assert all(limit.ceiling(paid) > RATES[0] for limit in LIMITS for paid in PAID)


def test_messages_in_flight_are_the_rate_times_the_time_of_one() -> None:
    (limit,) = [each for each in LIMITS if each.name.startswith("SQS")]
    assert limit.ceiling(True) * 15 == IN_FLIGHT  # noqa: FBT003 - of paid orders


def test_the_tables_have_a_row_for_each() -> None:
    assert len(limit_table().splitlines()) == len(LIMITS) + 2
    assert all(len(row.split("|")) == len(RATES) + 4 for row in load_table().splitlines())
