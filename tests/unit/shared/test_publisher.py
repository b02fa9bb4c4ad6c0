"""Publishing messages: it never waits, never raises, and counts every message that SQS did not accept."""

import json

from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested, parse_message
from order_shared.messaging.publisher import Publisher
from tests.factories import make_order
from tests.fakes import MemoryQueue


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_an_offered_event_is_sent_soon() -> None:
    queue = MemoryQueue()
    publisher = Publisher(queue)
    order = make_order()
    publisher.offer(ProcessingRequested.of(order))
    await publisher.close(5)
    (stored,) = queue.messages
    assert parse_message(stored.message.body).subject == order.order_id


async def test_messages_have_the_types_of_the_last_release_while_it_runs() -> None:
    queue = MemoryQueue()
    publisher = Publisher(queue, former_types=True)
    placed, ended = make_order(), make_order()
    publisher.offer(ProcessingRequested.of(placed))
    assert await publisher.send(CancellationRequested.of(ended))
    await publisher.close(1)
    sent = [json.loads(stored.message.body)["type"] for stored in queue.messages]
    assert sorted(sent) == ["order.cancel_requested.v1", "order.placed.v1"]


async def test_many_offers_are_sent_in_batches_of_ten() -> None:
    queue, told = MemoryQueue(), list[int]()
    publisher = Publisher(queue, on_batch=told.append)
    for _ in range(25):
        publisher.offer(ProcessingRequested.of(make_order()))
    await publisher.close(5)
    assert queue.batches == told == [10, 10, 5]


async def test_every_refused_entry_is_counted() -> None:
    queue, failures = MemoryQueue(refuse_next=2), Counter()
    publisher = Publisher(queue, on_failure=failures)
    for _ in range(5):
        publisher.offer(ProcessingRequested.of(make_order()))
    await publisher.close(5)
    assert (failures.count, len(queue.messages)) == (2, 3)


async def test_failed_offers_are_counted_while_the_queue_is_down() -> None:
    queue, failures = MemoryQueue(down=True), Counter()
    publisher = Publisher(queue, on_failure=failures)
    publisher.offer(ProcessingRequested.of(make_order()))
    await publisher.close(5)
    assert failures.count == 1


async def test_an_offer_to_a_full_buffer_is_counted() -> None:
    failures = Counter()
    publisher = Publisher(MemoryQueue(), capacity=1, on_failure=failures)
    for _ in range(3):
        publisher.offer(ProcessingRequested.of(make_order()))
    await publisher.close(5)
    assert failures.count == 2


async def test_send_returns_whether_sqs_accepted_the_message() -> None:
    queue = MemoryQueue(refuse_next=1)
    publisher = Publisher(queue)
    assert await publisher.send(ProcessingRequested.of(make_order())) is False
    assert await publisher.send(ProcessingRequested.of(make_order())) is True
    queue.down = True
    assert await publisher.send(ProcessingRequested.of(make_order())) is False
