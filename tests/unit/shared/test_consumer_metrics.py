"""Metrics of the consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from order_shared.domain.errors import StorageUnavailable
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.delivery import Deferred, Delivery, LeaseLost, Unprocessable
from order_shared.messaging.queue import OutgoingMessage
from tests.fakes import MemoryQueue
from tests.waiting import eventually

OPTIONS = ConsumerOptions(concurrency=8, wait=1, visibility=1, retry_base=0.0, drain=5.0)


class Bench:
    """A consumer over a queue in memory, and its metrics."""

    def __init__(self) -> None:
        self.queue = MemoryQueue()
        self.registry = CollectorRegistry()
        self.causes: list[str | None] = []

    def value(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        return 0.0 if value is None else value

    @asynccontextmanager
    async def running(self, handler: Callable[[Delivery], Awaitable[None]]) -> AsyncIterator[None]:
        consumer = Consumer(self.queue, handler, OPTIONS, ConsumerMetrics(self.registry), self.causes.append)
        task = asyncio.create_task(consumer.run())
        try:
            yield
        finally:
            consumer.stop()
            await task


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_queue_time_and_handling_time_are_measured(bench: Bench) -> None:
    await bench.queue.send([OutgoingMessage("old"), OutgoingMessage("new")])
    bench.queue.messages[0].sent_at -= 60_000
    seen: list[str] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.message.body)
        if delivery.is_first:
            raise StorageUnavailable("once")

    async with bench.running(handle):
        await eventually(lambda: not bench.queue.messages)
    assert len(seen) == 4
    assert bench.value("order_message_wait_seconds_count") == 2, "a message that comes again did not wait all the time"
    assert 60 <= bench.value("order_message_wait_seconds_sum") < 90
    assert bench.value("order_handle_seconds_count") == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageUnavailable("DynamoDB: timeout"), "StorageUnavailable"),
        (ZeroDivisionError(), "crashed"),
        (Unprocessable("not_an_event", "-"), "not_dead_lettered"),
    ],
)
async def test_retried_messages_are_counted_by_reason(bench: Bench, error: Exception, reason: str) -> None:
    await bench.queue.send([OutgoingMessage("a")])
    bench.queue.dead_letters_down = True

    async def fail_once(delivery: Delivery) -> None:
        if delivery.is_first:
            raise error

    async with bench.running(fail_once):
        await eventually(lambda: not bench.queue.messages)
    assert bench.value("order_message_retries_total", reason=reason) == 1
    assert bench.value("order_messages_total", outcome="retried") == 1
    assert bench.value("order_messages_total", outcome="acknowledged") == 1


@pytest.mark.parametrize(
    ("error", "cause", "outcome"),
    [
        (Deferred("payment_refused"), "payment_refused", "deferred"),
        (Unprocessable("not_an_event", "-"), "unprocessable", "dead_lettered"),
        (LeaseLost("1"), None, "lease_lost"),
    ],
)
async def test_a_failed_handling_without_a_retry_is_counted(
    bench: Bench, error: Exception, cause: str | None, outcome: str
) -> None:
    await bench.queue.send([OutgoingMessage("a")])

    async def fail(_: Delivery) -> None:
        raise error

    async with bench.running(fail):
        await eventually(lambda: bench.value("order_messages_total", outcome=outcome) == 1)
    assert bench.causes == [cause] * (cause is not None)
    assert bench.value("order_message_retries_total", reason=str(cause)) == (outcome == "deferred")


async def test_each_handling_is_reported_with_the_cause_of_its_failure(bench: Bench) -> None:
    await bench.queue.send([OutgoingMessage("a")])
    errors = [StorageUnavailable("DynamoDB: timeout"), ZeroDivisionError()]

    async def fail_twice(_: Delivery) -> None:
        if errors:
            raise errors.pop(0)

    async with bench.running(fail_twice):
        await eventually(lambda: not bench.queue.messages)
    assert bench.causes == ["StorageUnavailable", "crashed", None]


async def test_heartbeats_are_counted(bench: Bench) -> None:
    await bench.queue.send([OutgoingMessage("long")])
    finish = asyncio.Event()

    async def handle(_: Delivery) -> None:
        await finish.wait()

    async with bench.running(handle):
        await eventually(lambda: bench.value("order_heartbeats_total") > 0)
        assert bench.value("order_heartbeat_failures_total") == 0
        bench.queue.down = True
        await eventually(lambda: bench.value("order_heartbeat_failures_total") > 0)
        assert bench.value("order_heartbeats_total") >= 2, "one that failed was sent"
        bench.queue.down = False
        finish.set()


async def test_series_with_alarms_exist_from_the_start(bench: Bench) -> None:
    """A counter that first appears with the value 1 has no increase for an alarm."""
    ConsumerMetrics(bench.registry)
    assert bench.registry.get_sample_value("order_message_retries_total", {"reason": "crashed"}) == 0
    for outcome in ("acknowledged", "deferred", "retried", "dead_lettered", "lease_lost", "delete_failed"):
        assert bench.registry.get_sample_value("order_messages_total", {"outcome": outcome}) == 0
