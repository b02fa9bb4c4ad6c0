"""The model keeps count of everybody, and its sums are right."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiodynamo.utils import py2dy
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.prices import Prices
from order_shared.domain.clock import to_millis
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.order_items import to_item
from order_shared.tables import ORDERS, ORDERS_BY_ID_INDEX, ORDERS_BY_REFERENCE_INDEX, TENANT_ORDERS_INDEX
from tests.bench.prices import (
    INDEX_ENTRY_BYTES,
    KINDS,
    LINE_BYTES,
    LONG_LINE_BYTES,
    ORDER_BYTES,
    REFERENCE_ENTRY_BYTES,
    TENANT_ENTRY_BYTES,
    OrderKind,
    bill,
    sell_out,
)
from tests.bench.simulate import Fleet, Run, Sale, Scaling, run_all, simulate, tables, with_tables
from tests.bench.units import item_size

DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"
CAPACITY = 10.0  # orders a second of one task
SHORT = 240  # seconds
RUSH = Sale(base=5.0, times=20.0, start=60, lasts=60, decay=30.0)


def entry_size(order: Order, name: str) -> int:
    """Bytes of an order's entry in an index."""
    (index,) = [each for each in ORDERS.indexes if each.name == name]
    keys = (ORDERS.hash_key, ORDERS.range_key, index.hash_key, index.range_key)
    projected = {*(key.name for key in keys if key), *index.include}
    return item_size({key: value for key, value in (py2dy(to_item(order)) or {}).items() if key in projected})


task_counts = st.integers(1, 12)
sales = st.builds(
    Sale,
    base=st.floats(1.0, 20.0),
    times=st.floats(1.0, 20.0),
    start=st.integers(0, 120),
    lasts=st.integers(0, 120),
    decay=st.floats(10.0, 300.0),
)
scalings = st.builds(Scaling, least=st.integers(1, 4), most=st.integers(5, 20), target=st.floats(1.0, 100.0))
sparingly = settings(max_examples=15, deadline=None)


def fixed(tasks: int) -> Fleet:
    return Fleet(Scaling(least=tasks), CAPACITY)


def run(sale: Sale, api: Fleet, processor: Fleet, seconds: int = SHORT) -> Run:
    return simulate(sale, api, processor, seconds=seconds)


class TestConservation:
    @sparingly
    @given(sales, scalings, scalings)
    def test_who_arrived_is_waiting_queued_or_confirmed_in_every_second(
        self, sale: Sale, api: Scaling, processor: Scaling
    ) -> None:
        result = run(sale, Fleet(api, CAPACITY), Fleet(processor, CAPACITY))
        arrived = 0.0
        for second, count in enumerate(result.arrived):
            arrived += count
            known = result.waiting[second] + result.queued[second] + result.confirmed[second]
            assert known == pytest.approx(arrived)

    def test_each_confirmed_order_has_one_delay(self) -> None:
        result = run(RUSH, fixed(3), fixed(2))
        assert sum(count for _, _, count in result.delays) == pytest.approx(result.confirmed[-1])

    def test_a_fleet_that_is_too_small_is_late_and_loses_nobody(self) -> None:
        result = run(RUSH, fixed(3), fixed(2), seconds=1200)
        assert max(result.waiting) > 0
        assert max(result.queued) > 0
        assert result.confirmed[-1] == pytest.approx(sum(result.arrived))


class TestMoreTasks:
    @sparingly
    @given(sales, task_counts, task_counts, st.booleans())
    def test_one_more_task_never_confirms_later(self, sale: Sale, api: int, processor: int, more_api: bool) -> None:  # noqa: FBT001 - drawn
        fewer = run(sale, fixed(api), fixed(processor))
        more = run(sale, fixed(api + more_api), fixed(processor + (not more_api)))
        assert fewer.arrived == more.arrived
        assert all(now >= before - 1e-6 for before, now in zip(fewer.confirmed, more.confirmed, strict=True))

    def test_enough_tasks_keep_nobody_waiting(self) -> None:
        result = run(RUSH, fixed(20), fixed(20))
        assert result.seconds_behind == 0
        assert result.percentile(0.99) == result.percentile(0.5)


class TestScaling:
    SCALING = Scaling(least=2, most=20, target=10.0)

    @pytest.mark.parametrize(
        ("metric", "wanted"),
        [
            ([30.0, 30.0], 4),  # two minutes are not yet a reason
            ([30.0, 30.0, 30.0], 12),
            ([30.0, 5.0, 30.0], 4),
            ([30.0, 30.0, 1000.0], 20),  # never above the most
            ([9.5] * 15, 4),  # just below target is where it shall be
            ([5.0] * 14, 4),
            ([5.0] * 15, 2),
            ([0.0] * 15, 0),  # the least is the fleet's matter
        ],
    )
    def test_three_minutes_above_add_and_fifteen_below_take_away(self, metric: list[float], wanted: int) -> None:
        assert self.SCALING.wanted(4, metric) == wanted

    def test_a_fixed_fleet_stays_as_it_is(self) -> None:
        assert Scaling(least=4).wanted(4, [0.0] * 20) == 4

    def test_a_task_works_only_once_it_has_started(self) -> None:
        fleet = Fleet(self.SCALING, CAPACITY)
        for second in range(180):
            fleet.observe(second, 100.0)
        assert (fleet.running, fleet.desired) == (2, 10)
        for second in range(180, 180 + 40):
            fleet.observe(second, 100.0)
        assert (fleet.running, fleet.desired) == (10, 10)

    def test_a_plan_is_a_least_number_for_its_time(self) -> None:
        fleet = Fleet(Scaling(least=2, planned=(10, 200, 7)), CAPACITY)
        for second in range(10):
            fleet.observe(second, 0.0)
        assert fleet.desired == 2
        fleet.observe(10, 0.0)
        assert fleet.desired == 7

    @sparingly
    @given(sales, scalings)
    def test_a_fleet_stays_between_its_bounds(self, sale: Sale, scaling: Scaling) -> None:
        result = run(sale, Fleet(scaling, CAPACITY), fixed(5))
        assert scaling.least <= min(result.api_tasks)
        assert max(result.api_tasks) <= scaling.most


class TestCost:
    def test_the_units_of_an_order_of_two_lines_are_those_counted_by_hand(self) -> None:
        order = OrderKind(lines=2)
        assert order.accept_write_units == 2 + 1 + 1 + 1 + 2  # order, three index entries, claim
        assert (
            order.confirm_write_units == 2 + 1 + 1 + 2 * 2
        )  # order, entry removed, status in the list, stock of two lines
        assert order.write_units == 11 + 2 * 2

    def test_a_paid_order_moves_its_entry_and_is_written_twice_more(self) -> None:
        assert OrderKind(paid=True).write_units - OrderKind().write_units == 2 + 1 + 1 + 1
        assert OrderKind(paid=True).read_units - OrderKind().read_units == 1

    def test_a_bill_by_hand(self) -> None:
        order = OrderKind(
            lines=2, queue_requests=0.3, catalogue_misses=0.5, api_cpu_ms=1.8, processor_cpu_ms=1.8, busy=0.5,
            memory_gb_per_vcpu=2.0, connections=0.09, log_bytes=500,
        )  # fmt: skip
        prices = Prices(
            million_write_units=1.0, million_read_units=0.1, stored_gb_month=0.3, million_queue_requests=0.4,
            vcpu_hour=0.04, memory_gb_hour=0.005, balancer_unit_hour=0.01, log_gb=0.6,
        )  # fmt: skip
        cost = bill(order, prices)
        assert cost.writes == 15.0
        assert cost.reads == pytest.approx((2 * 0.5 + 0.5) * 0.1)
        assert cost.queue == pytest.approx(0.12)
        assert cost.compute == pytest.approx(2.0 * (0.04 + 2 * 0.005))  # a million orders of 3.6 ms: one hour, twice
        assert cost.balancer == pytest.approx(0.01)
        assert cost.logs == pytest.approx(0.3)
        assert cost.storage_month == pytest.approx((364 + 2 * 82 + 134 + 168 + 300) / 1000 * 0.3)
        assert cost.total == pytest.approx(15.0 + 0.15 + 0.12 + 0.1 + 0.01 + 0.3)

    @sparingly
    @given(st.integers(1, 49), st.sampled_from([LINE_BYTES, LONG_LINE_BYTES]), st.booleans())
    def test_a_line_more_never_costs_less(self, lines: int, line_bytes: int, paid: bool) -> None:  # noqa: FBT001 - drawn
        fewer, more = (bill(OrderKind(lines=n, line_bytes=line_bytes, paid=paid), Prices()) for n in (lines, lines + 1))
        assert more.total > fewer.total
        assert more.storage_month > fewer.storage_month

    @pytest.mark.parametrize("lines", [1, 3, 10, 50])
    @pytest.mark.parametrize(("name", "line_bytes"), [("n" * 23, LINE_BYTES), ("n" * 120, LONG_LINE_BYTES)])
    def test_sizes_are_those_of_the_stored_item(self, lines: int, name: str, line_bytes: int) -> None:
        at = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
        products = [
            Product(tenant="acme", sku=f"TEA-GREEN-{n:03}", name=name, unit_price=1290, currency="EUR", updated_at=at)
            for n in range(lines)
        ]
        customer = Customer(tenant="acme", id="c" * 36)
        order = Order.place(customer, [(each, 2) for each in products], at=at, due_at=to_millis(at)).confirm(at)
        size = item_size(py2dy(to_item(order)) or {})
        assert size == pytest.approx(ORDER_BYTES + lines * line_bytes, rel=0.01)
        assert [entry_size(order, index) for index in (ORDERS_BY_ID_INDEX, TENANT_ORDERS_INDEX)] == pytest.approx(
            [INDEX_ENTRY_BYTES, TENANT_ENTRY_BYTES], rel=0.05
        )
        named = replace(order, reference="PO-2026-0042")
        assert entry_size(named, ORDERS_BY_REFERENCE_INDEX) == pytest.approx(REFERENCE_ENTRY_BYTES, rel=0.05)
        assert math.ceil(size / 1024) == OrderKind(lines=lines, line_bytes=line_bytes).size_units


class TestSellOut:
    @sparingly
    @given(st.integers(0, 300), st.integers(1, 16))
    def test_stock_is_brought_together_for_some_orders_only(self, units: int, shards: int) -> None:
        assert 0 <= sell_out(units, shards) <= units

    def test_one_shard_has_nothing_to_bring_together(self) -> None:
        assert sell_out(500, 1) == 0


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_writes_are_most_of_what_an_order_costs(kind: OrderKind) -> None:
    cost = bill(kind, Prices())
    assert cost.writes > 0.8 * cost.total


def test_the_document_has_the_tables_that_the_command_writes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_tables(text, tables(run_all())) == text, "`make scale` writes the tables of docs/scale.md anew"


def test_a_table_is_written_in_its_place() -> None:
    text = "before\n\n| a | b |\n|---|---:|\n| old | 1 |\n| older | 2 |\n\nafter\n\n| c |\n"
    assert with_tables(text, ["| a | b |\n|---|---:|\n| new | 3 |"]) == (
        "before\n\n| a | b |\n|---|---:|\n| new | 3 |\n\nafter\n\n| c |\n"
    )
    with pytest.raises(LookupError, match="begins with"):
        with_tables(text, ["| x |\n|---|"])
