"""Open, parked and last orders in storage."""

from datetime import timedelta

import pytest

from order_operations.live import outbox
from order_operations.live.last_orders import COUNT, of_customer, of_open
from order_operations.live.outbox import OutboxReader
from order_shared.domain.order.models import Customer, Order
from tests.factories import NOON, make_customer, make_order, make_record
from tests.fakes import MemoryOrderRepository, MemoryStore


@pytest.fixture
def orders() -> MemoryOrderRepository:
    return MemoryOrderRepository(MemoryStore())


async def stored(orders: MemoryOrderRepository, *, minutes: int, customer: Customer | None = None) -> Order:
    """Store an order placed `minutes` after noon."""
    order = make_order(at=NOON + timedelta(minutes=minutes), customer=customer)
    await orders.add(order, make_record(order))
    return order


async def test_open_and_parked_orders_are_separate_and_ended_ones_excluded(orders: MemoryOrderRepository) -> None:
    oldest, parked, ended, *_ = [await stored(orders, minutes=number) for number in range(6)]
    await orders.move(parked, parked.park(NOON, "overdue"))
    await orders.move(ended, ended.cancel(NOON))
    found = await OutboxReader(orders).read()
    assert (len(found.swept), len(found.parked), found.capped) == (4, 1, False)
    assert found.oldest == oldest.created_at
    assert found.parked[0].created_at == parked.created_at


async def test_an_empty_outbox_has_no_oldest_order(orders: MemoryOrderRepository) -> None:
    found = await OutboxReader(orders).read()
    assert (found.swept, found.parked, found.oldest, found.capped) == ([], [], None, False)


async def test_an_incomplete_count_is_marked(orders: MemoryOrderRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SHARD_LIMIT", 1)  # a hundred orders of one shard would take long to make
    for minutes in range(40):
        await stored(orders, minutes=minutes)
    found = await OutboxReader(orders).read()
    assert found.capped
    assert len(found.swept) <= 16


async def test_the_last_orders_of_a_customer_include_ended_ones(orders: MemoryOrderRepository) -> None:
    mine = [await stored(orders, minutes=number) for number in range(COUNT + 2)]
    await orders.move(mine[-1], mine[-1].cancel(NOON))
    await stored(orders, minutes=90, customer=make_customer(id="grace"))
    found = await of_customer(orders, make_customer())
    assert [order.order_id for order in found] == [order.order_id for order in reversed(mine)][:COUNT]
    assert found[0].status == "cancelled"


async def test_the_last_open_orders_are_of_all_customers(orders: MemoryOrderRepository) -> None:
    placed = [
        await stored(orders, minutes=number, customer=make_customer(id=f"customer-{number}"))
        for number in range(COUNT + 2)
    ]
    entries = (await OutboxReader(orders).read()).swept
    await orders.move(placed[-1], placed[-1].cancel(NOON))  # between the two reads
    found = await of_open(orders, entries)
    assert [order.order_id for order in found] == [order.order_id for order in reversed(placed)][:COUNT]
    assert found[0].status == "cancelled"
