"""Compatibility of a processor with events and items of other releases, which share its queue and table."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from order_processor.handlers import make_handler
from order_processor.order.flows import DEFER_AFTER
from order_shared.domain.order import messages
from order_shared.domain.order.exceptions import StaleOrder
from order_shared.domain.order.messages import ProcessingRequested
from order_shared.domain.order.models import MAX_ATTEMPTS, Customer, Order, OrderStatus
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.queue import OutgoingMessage
from order_shared.storage.inventory import Moves
from order_shared.storage.item_schema import UnknownItemVersion
from order_shared.storage.orders import NO_MOVES
from tests.factories import make_order
from tests.fakes import MemoryOrderRepository, MemoryQueue
from tests.releases import MESSAGE_TYPES_OF_NEXT_RELEASE, NextProcessingRequested
from tests.unit.processor.conftest import World, delivery_with
from tests.waiting import eventually

OPTIONS = ConsumerOptions(concurrency=8, wait=1, visibility=2, retry_base=0.0, drain=5.0)


@asynccontextmanager
async def processing(world: World, queue: MemoryQueue) -> AsyncIterator[None]:
    consumer = Consumer(queue, make_handler(world.work), OPTIONS, ConsumerMetrics(CollectorRegistry()))
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        consumer.stop()
        await task


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the table of handled events, which is a constant of the release, by another release's."""
    monkeypatch.setattr(messages, "MESSAGE_TYPES", MESSAGE_TYPES_OF_NEXT_RELEASE)


def now(order: Order) -> str:
    return ProcessingRequested.of(order).to_json()


def with_more(order: Order) -> str:
    """Return the event as published by a release that has added a field, which is a compatible change."""
    body = json.loads(now(order))
    return json.dumps({**body, "priority": 5, "data": {**body["data"], "gift": True}})


def next_version(order: Order) -> str:
    return NextProcessingRequested.of(order).model_dump_json()


@pytest.mark.usefixtures("next_release")
async def test_older_and_newer_messages_on_one_queue_are_processed_alike(world: World) -> None:
    await world.stock("TEA", 100)
    queue = MemoryQueue()
    orders = [await world.accept(make_order()) for _ in range(12)]
    forms = [now, with_more, next_version]
    for number, order in enumerate(orders):
        await queue.send([OutgoingMessage(forms[number % len(forms)](order))])
        await queue.send([OutgoingMessage(forms[(number + 1) % len(forms)](order))])
    async with processing(world, queue):
        await eventually(lambda: not queue.messages)
    assert [(await world.stored(order)).status for order in orders] == [OrderStatus.CONFIRMED] * len(orders)
    assert await world.available("TEA") == 100 - 2 * len(orders)
    assert queue.dead_letters == []


async def test_a_version_that_this_release_does_not_know_goes_to_the_dead_letters_and_its_order_stays_open(
    world: World,
) -> None:
    await world.stock("TEA", 100)
    queue = MemoryQueue()
    unread, read = await world.accept(make_order()), await world.accept(make_order())
    await queue.send([OutgoingMessage(next_version(unread)), OutgoingMessage(now(read))])
    async with processing(world, queue):
        await eventually(lambda: not queue.messages)
    (letter,) = queue.dead_letters
    assert (letter.body, letter.attributes["reason"]) == (next_version(unread), "unknown_type")
    assert await world.stored(unread) == unread, "in the outbox, so it is said again"
    assert (await world.stored(read)).status is OrderStatus.CONFIRMED


class OfNewerRelease(MemoryOrderRepository):
    """Store whose items have a version that only a newer release can read. Like the real store it writes nothing."""

    async def get(self, customer: Customer, order_id: str) -> Order:
        await super().get(customer, order_id)
        raise UnknownItemVersion("orders", 9, 0, 2)

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:  # noqa: ARG002 - the protocol's
        raise StaleOrder(before.order_id)


@pytest.mark.parametrize("receive_count", [1, 2, DEFER_AFTER - 1])
async def test_an_order_of_a_newer_release_is_left_alone_and_never_parked(world: World, receive_count: int) -> None:
    order = await world.accept(make_order())
    work = replace(world.work, orders=OfNewerRelease(world.store))
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(UnknownItemVersion):
            await make_handler(work)(delivery_with(now(order), receive_count=receive_count))
    assert await world.stored(order) == order


async def test_the_message_of_an_order_of_a_newer_release_waits_for_one(world: World) -> None:
    await world.stock("TEA", 100)
    order = await world.accept(make_order())
    queue = MemoryQueue()
    await queue.send([OutgoingMessage(now(order))])
    older, newer = World(world.store), world
    older.work = replace(older.work, orders=OfNewerRelease(world.store))
    async with processing(older, queue):
        await eventually(lambda: queue.messages[0].receive_count > 2)
    async with processing(newer, queue):
        await eventually(lambda: not queue.messages)
    assert (await world.stored(order)).status is OrderStatus.CONFIRMED
    assert queue.dead_letters == []
