"""Every two writes that start from one read of an order, in both orders: the fake does what DynamoDB does.

A worker's read may be old when it writes: the update must change only what the writer changed, and the condition must
refuse what another writer has decided. Both engines get the same orders and the same requests; what the writers are
told and what is stored at the end must be equal.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product as product_of
from random import Random

import pytest

from order_shared.domain.clock import to_millis
from order_shared.domain.errors import DomainError
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.exceptions import InvalidTransition, StaleOrder
from order_shared.domain.order.models import Order, Reason, ReasonCode, Schedule
from order_shared.domain.order.payments import PaymentCall, Undo, UndoKind
from order_shared.entropy import entropy_from
from order_shared.storage.orders import OpenOrder
from order_shared.storage.outbox import open_shard_of
from tests.factories import NOON, make_customer, make_order, make_product, make_record, make_stock_record
from tests.integration.conftest import Storage, memory_storage

LATER = NOON + timedelta(minutes=5)
LATER_MS = to_millis(LATER)
CONCURRENT = 16
"""Pairs at a time: each has an order of its own."""

OWNER = "owner"

STEPS: Mapping[str, Callable[[Order], Order]] = {
    "reserve": lambda order: order.reserve(LATER, owner=OWNER, lease_until=LATER),
    "take_over": lambda order: order.take_over(owner="rival", lease_until=LATER),
    "release": lambda order: order.release(),
    "reschedule": lambda order: order.reschedule(LATER_MS, sweeps=3),
    "failed": lambda order: order.failed(LATER, ValueError("a bug")),
    "park": lambda order: order.park(LATER, "overdue"),
    "unpark": lambda order: order.unpark(LATER, due_at=LATER_MS),
    "with_payment": lambda order: order.with_payment("pi_new"),
    "without_payment": lambda order: order.without_payment(),
    "with_next_attempt": lambda order: order.with_next_attempt(PaymentCall.CONFIRM),
    "begin_undo": lambda order: order.begin_undo(Undo(UndoKind.REJECT, "card_declined")),
    "request_cancel": lambda order: order.request_cancel(LATER, due_at=LATER_MS),
    "confirm": lambda order: order.confirm(LATER),
    "reject": lambda order: order.reject(LATER, Reason(ReasonCode.PAYMENT_DECLINED, "declined")),
    "cancel": lambda order: order.cancel(LATER),
}
"""Every method of an order that returns the next one, with arguments."""

WRITES = (*STEPS, "postpone")


def pending(order: Order) -> Order:
    return order


def leased(order: Order) -> Order:
    return order.reserve(NOON, owner=OWNER, lease_until=NOON)


def paid(order: Order) -> Order:
    return leased(order).with_payment("pi_old")


def stuck(order: Order) -> Order:
    undone = paid(order).begin_undo(Undo(UndoKind.REPLACE)).with_next_attempt(PaymentCall.CANCEL)
    return undone.failed(NOON, ValueError("a bug")).park(NOON, "overdue")


def cancelling(order: Order) -> Order:
    return paid(order).confirm(NOON).request_cancel(NOON, due_at=LATER_MS)


STATES = (pending, paid, stuck, cancelling)

Told = list[object]
"""What each writer was told: the stored order, or the error."""


def test_every_step_of_an_order_is_among_the_writes() -> None:
    methods = inspect.getmembers(Order, inspect.isfunction)
    steps = {name for name, method in methods if inspect.signature(method).return_annotation in {Order, "Order"}}
    assert {name for name in steps if not name.startswith("_")} == STEPS.keys()


def is_possible(name: str, read: Order) -> bool:
    """Return whether the domain has such a step, and it changes something."""
    try:
        return name == "postpone" or STEPS[name](read) != read
    except InvalidTransition:
        return False


async def write(storage: Storage, name: str, read: Order) -> object:
    """Make the write from what was read, and return what the writer is told: the stored order, or the error's name."""
    try:
        if name == "postpone":
            entry = OpenOrder(
                customer_key=read.customer.key,
                created_at=read.created_at,
                open_shard=open_shard_of(read),
                due_at=read.schedule.due_at or 0,
                sweeps=read.schedule.sweeps,
            )
            return await storage.orders.postpone(entry, LATER_MS + 1, sweeps=entry.sweeps + 1)
        after = STEPS[name](read)
        if name == "request_cancel":
            return await storage.orders.request_cancel(after, version=None)
        return await storage.orders.move(read, after)
    except DomainError as error:
        return type(error).__name__


async def all_pairs(storage: Storage, state: Callable[[Order], Order], tenant: str) -> dict[tuple[str, str], Told]:
    """Make every pair of writes, and return what the writers were told, and the stored order, by pair."""
    product = make_product(tenant=tenant)
    await storage.inventory.put(product)
    await storage.inventory.adjust(tenant, product.sku, 100_000, make_stock_record(tenant, product.sku))
    permits = asyncio.Semaphore(CONCURRENT)
    told: dict[tuple[str, str], Told] = {}

    async def pair(read: Order, first: str, second: str) -> None:
        async with permits:
            await storage.orders.add(read, make_record(read, key="key"))
            found = [await write(storage, name, read) for name in (first, second)]
            told[first, second] = [*found, await storage.orders.get(read.customer, read.order_id)]

    with entropy_from(Random(1)):  # noqa: S311 - the same order ids on both engines
        orders = {pair: state(_placed(product, number)) for number, pair in enumerate(product_of(WRITES, WRITES))}
    async with asyncio.TaskGroup() as group:
        for (first, second), read in orders.items():
            if is_possible(first, read) and is_possible(second, read):
                group.create_task(pair(read, first, second))
    stock = (await storage.inventory.get(tenant, product.sku)).stock
    return {**dict(sorted(told.items())), ("stock", ""): [stock]}


def _placed(product: Product, number: int) -> Order:
    return make_order(
        customer=make_customer(product.tenant, f"customer-{number}"),
        lines=[(product, 2)],
        at=NOON,
        reference="PO-7",
        payment_token="pm_card_visa",
    )


@pytest.mark.parametrize("state", STATES)
async def test_two_writers_from_one_read_leave_what_they_leave_in_dynamodb(
    engine: Storage, state: Callable[[Order], Order]
) -> None:
    fake = memory_storage(engine.clock, engine.tenant)
    in_memory, stored = [await all_pairs(each, state, engine.tenant) for each in (fake, engine)]
    differences = [pair for pair in stored.keys() | in_memory.keys() if in_memory.get(pair) != stored.get(pair)]
    assert not differences, {pair: (in_memory.get(pair), stored.get(pair)) for pair in differences[:3]}
    assert len(stored) > len(WRITES)


async def test_a_take_over_from_an_older_read_keeps_a_payment_written_since(storage: Storage) -> None:
    order = leased(_placed(make_product(tenant=storage.tenant), 0))
    await storage.orders.add(order, make_record(order))
    await storage.orders.move(order, order.with_payment("pi_1"))
    taken = await storage.orders.move(order, order.take_over(owner="rival", lease_until=LATER))
    assert taken.payment.id == "pi_1", "the next owner would create another payment"
    assert taken == await storage.orders.get(order.customer, order.order_id)


async def test_a_step_after_a_sweep_leaves_the_sweeps_due_time(storage: Storage) -> None:
    """The sweeper checks no fence, so a worker's read may be older than its write."""
    order = leased(_placed(make_product(tenant=storage.tenant), 0))
    await storage.orders.add(order, make_record(order))
    assert isinstance(await write(storage, "postpone", order), Order)
    moved = await storage.orders.move(order, order.with_payment("pi_1"))
    assert moved.schedule == Schedule(due_at=LATER_MS + 1, sweeps=order.schedule.sweeps + 1)


async def test_of_two_decisions_from_one_read_the_second_is_refused(storage: Storage) -> None:
    order = leased(_placed(make_product(tenant=storage.tenant), 0))
    await storage.orders.add(order, make_record(order))
    await storage.orders.move(order, order.take_over(owner="rival", lease_until=LATER))
    with pytest.raises(StaleOrder):
        await storage.orders.move(order, order.with_payment("pi_2"))
