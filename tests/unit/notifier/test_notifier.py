"""A whole notifier over a queue: from messages to the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from order_notifier.config import NotifierSettings
from order_notifier.metrics import NotifierMetrics
from order_notifier.notifier import Notifier
from order_shared.messaging.queue import OutgoingMessage
from tests.factories import make_order
from tests.fakes import MemoryQueue, memory_adapters
from tests.unit.notifier.conftest import World, message_of
from tests.waiting import eventually

SETTINGS = NotifierSettings(
    aws_region="eu-central-1", pollers=2, concurrency=40, receive_wait_seconds=1, drain_seconds=5.0
)


@asynccontextmanager
async def notifying(world: World, queue: MemoryQueue, metrics: NotifierMetrics) -> AsyncIterator[None]:
    notifier = Notifier(SETTINGS, memory_adapters(world.store, queue=queue), metrics)
    task = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        notifier.stop()
        await task


async def test_every_change_is_one_event_however_often_its_message_arrives(world: World) -> None:
    queue, metrics = MemoryQueue(), NotifierMetrics()
    orders = [await world.add(make_order()) for _ in range(20)]
    messages = [OutgoingMessage(message_of(order)) for order in [*orders, *orders[:5]]]
    for start in range(0, len(messages), 10):
        await queue.send(messages[start : start + 10])
    async with notifying(world, queue, metrics):
        await eventually(lambda: not queue.messages)
    events = await world.events()
    assert {event.order_id for event in events} == {order.order_id for order in orders}
    assert len(events) == 20
    exposed = metrics.exposition().decode()
    assert "order_events_total 20.0" in exposed
    assert 'order_messages_total{outcome="acknowledged"} 25.0' in exposed


async def test_an_order_with_a_timeline_has_the_events_that_it_proves_and_is_counted(world: World) -> None:
    queue, metrics = MemoryQueue(), NotifierMetrics()
    order = await world.add(make_order(stores_history=False))
    ended = await world.orders.move(order, order.cancel(world.store.clock()))
    await queue.send([OutgoingMessage(message_of(ended))])
    async with notifying(world, queue, metrics):
        await eventually(lambda: not queue.messages)
    assert [event.change for event in await world.events()] == ["placed", "cancelled"]
    assert "order_timeline_orders_total 1.0" in metrics.exposition().decode()


async def test_a_message_that_is_no_change_is_a_dead_letter(world: World) -> None:
    queue = MemoryQueue()
    await queue.send([OutgoingMessage("{}")])
    async with notifying(world, queue, NotifierMetrics()):
        await eventually(lambda: bool(queue.dead_letters))
    (letter,) = queue.dead_letters
    assert (letter.body, letter.attributes["reason"]) == ("{}", "not_a_change")


def test_a_notifier_reads_the_queue_of_changes() -> None:
    settings = NotifierSettings(aws_region="eu-central-1", table_prefix="dev-")
    assert (settings.queue_name, settings.dlq_name) == ("dev-order-changes", "dev-order-changes-dead")
