"""The consumer, over a queue in memory: every message is handled and settled, also after errors."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from order_shared.domain.errors import StorageUnavailable
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.consumer.consumer import UNSETTLED_SHARE, Consumer
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.delivery import Delivery, LeaseLost, Unprocessable
from order_shared.messaging.queue import (
    MAX_BATCH,
    EntryFailure,
    OutgoingMessage,
    QueueUnavailable,
    ReceivedMessage,
    Visibility,
)
from tests.fakes import MemoryQueue
from tests.waiting import eventually

OPTIONS = ConsumerOptions(concurrency=8, wait=1, visibility=2, retry_base=0.0, drain=5.0)


def make_consumer(
    queue: MemoryQueue,
    handler: Callable[[Delivery], Awaitable[None]],
    options: ConsumerOptions = OPTIONS,
    backlog: Backlog | None = None,
) -> Consumer:
    return Consumer(queue, handler, options, ConsumerMetrics(CollectorRegistry()), backlog=backlog)


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[asyncio.Task[None]]:
    """Run the consumer during the block, then stop it and wait for its end."""
    task = asyncio.create_task(consumer.run())
    try:
        yield task
    finally:
        consumer.stop()
        await task


async def send(queue: MemoryQueue, *bodies: str) -> None:
    for body in bodies:
        await queue.send([OutgoingMessage(body)])


async def accept(_: Delivery) -> None:
    pass


async def test_a_handled_message_is_deleted() -> None:
    queue = MemoryQueue()
    handled: list[str] = []

    async def handle(delivery: Delivery) -> None:
        handled.append(delivery.message.body)

    await send(queue, "a", "b", "c")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: not queue.messages)
    assert sorted(handled) == ["a", "b", "c"]


async def test_no_more_is_received_than_can_be_handled_at_once() -> None:
    queue = MemoryQueue()
    gate = asyncio.Event()
    active = most = 0

    async def handle(_: Delivery) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await gate.wait()
        active -= 1

    await send(queue, *map(str, range(30)))
    async with running(make_consumer(queue, handle, replace(OPTIONS, concurrency=4, visibility=30))):
        await eventually(lambda: active == 4)
        assert sum(stored.receive_count for stored in queue.messages) == 4, "received, and waiting for its turn"
        gate.set()
        await eventually(lambda: not queue.messages)
    assert most == 4
    assert max(queue.asked_for) <= 4


async def test_a_handled_message_keeps_no_permit_while_it_waits_to_be_deleted() -> None:
    queue = MemoryQueue()
    handled: list[str] = []

    async def handle(delivery: Delivery) -> None:
        handled.append(delivery.message.body)

    async def never(receipts: Sequence[str]) -> list[EntryFailure]:  # noqa: ARG001 - the queue's protocol
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    queue.delete = never  # type: ignore[method-assign]  # the queue takes long
    await send(queue, "a", "b", "c")
    async with running(make_consumer(queue, handle, replace(OPTIONS, concurrency=1, visibility=3600, drain=0.1))):
        await eventually(lambda: sorted(handled) == ["a", "b", "c"])


async def test_receiving_stops_while_too_many_messages_wait_for_settlement() -> None:
    queue = MemoryQueue()
    handled = 0

    async def handle(_: Delivery) -> None:
        nonlocal handled
        handled += 1

    async def never(receipts: Sequence[str]) -> list[EntryFailure]:  # noqa: ARG001 - the queue's protocol
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    queue.delete = never  # type: ignore[method-assign]  # the queue takes long
    await send(queue, *map(str, range(100)))
    consumer = make_consumer(queue, handle, replace(OPTIONS, concurrency=2, visibility=3600, drain=0.1))
    async with running(consumer):
        await eventually(lambda: handled > 2 * UNSETTLED_SHARE)
        for _ in range(50):  # nothing more comes, however long one waits
            await asyncio.sleep(0)
    assert handled <= 2 * UNSETTLED_SHARE + 2


async def test_a_full_consumer_awaits_a_permit_and_does_not_spin() -> None:
    queue = MemoryQueue()
    gate = asyncio.Event()
    active = 0

    async def handle(_: Delivery) -> None:
        nonlocal active
        active += 1
        await gate.wait()

    await queue.send([OutgoingMessage("a"), OutgoingMessage("b"), OutgoingMessage("c")])
    async with running(make_consumer(queue, handle, replace(OPTIONS, concurrency=2, visibility=30))):
        await eventually(lambda: active == 2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert queue.asked_for == [2], "it asked although it could take nothing"
        gate.set()
        await eventually(lambda: not queue.messages)


async def test_a_queue_that_is_down_is_not_polled_in_a_busy_loop() -> None:
    queue = MemoryQueue(down=True)
    async with running(make_consumer(queue, accept)):
        for _ in range(1000):
            await asyncio.sleep(0)
        assert 1 <= len(queue.asked_for) < 50


@pytest.mark.parametrize(
    "error", [StorageUnavailable("DynamoDB: timeout"), LeaseLost("a"), TimeoutError(), KeyError("lines")], ids=repr
)
async def test_no_error_of_a_handler_deletes_its_message(error: Exception) -> None:
    queue = MemoryQueue()
    begun = asyncio.Event()

    async def handle(_: Delivery) -> None:
        begun.set()
        raise error

    await send(queue, "a")
    async with running(make_consumer(queue, handle)):
        await begun.wait()
    (stored,) = queue.messages
    assert (stored.message.body, queue.dead_letters) == ("a", [])


async def test_an_unprocessable_message_becomes_a_dead_letter_at_once_with_its_reason() -> None:
    queue = MemoryQueue()

    async def handle(_: Delivery) -> None:
        raise Unprocessable("not_an_event", "body: not JSON")

    await send(queue, "rubbish")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: not queue.messages)
    (letter,) = queue.dead_letters
    assert letter.body == "rubbish"
    assert letter.attributes["reason"] == "not_an_event"
    assert letter.attributes["detail"] == "body: not JSON"


async def test_a_message_that_cannot_become_a_dead_letter_is_not_lost() -> None:
    queue = MemoryQueue(dead_letters_down=True)

    async def handle(_: Delivery) -> None:
        raise Unprocessable("not_an_event", "-")

    await send(queue, "rubbish")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: bool(queue.messages) and queue.messages[0].receive_count >= 2)
        queue.dead_letters_down = False
        await eventually(lambda: not queue.messages)
    assert len(queue.dead_letters) == 1


class RefusingDeadLetters(MemoryQueue):
    async def dead_letter(self, messages: Sequence[OutgoingMessage]) -> list[EntryFailure]:
        return [EntryFailure(index, "InternalError") for index in range(len(messages))]


async def test_a_message_whose_dead_letter_was_refused_is_not_deleted() -> None:
    queue = RefusingDeadLetters()
    begun = asyncio.Event()

    async def handle(_: Delivery) -> None:
        begun.set()
        raise Unprocessable("not_an_event", "-")

    await send(queue, "rubbish")
    async with running(make_consumer(queue, handle)):
        await begun.wait()
    assert [stored.message.body for stored in queue.messages] == ["rubbish"]


async def test_a_message_whose_handler_fails_is_delivered_again() -> None:
    queue = MemoryQueue()
    counts: list[int] = []

    async def handle(delivery: Delivery) -> None:
        counts.append(delivery.message.receive_count)
        if len(counts) < 3:
            raise RuntimeError("a bug")

    await send(queue, "a")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: not queue.messages)
    assert counts == [1, 2, 3]


async def test_one_failing_message_does_not_hold_up_the_others() -> None:
    queue = MemoryQueue()
    handled: list[str] = []

    async def handle(delivery: Delivery) -> None:
        if delivery.message.body == "poison":
            raise RuntimeError("a bug")
        handled.append(delivery.message.body)

    await send(queue, "poison", *map(str, range(20)))
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: len(handled) == 20)
    assert [stored.message.body for stored in queue.messages] == ["poison"]


async def test_a_delete_that_fails_is_repeated() -> None:
    queue = MemoryQueue()
    handled = 0

    async def handle(_: Delivery) -> None:
        nonlocal handled
        handled += 1
        queue.refuse_next = 1

    await send(queue, "a")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: not queue.messages)
    assert handled == 1


async def test_an_outage_of_the_queue_does_not_end_the_consumer() -> None:
    queue = MemoryQueue(down=True)
    async with running(make_consumer(queue, accept)):
        await eventually(lambda: len(queue.asked_for) >= 2)
        queue.down = False
        await send(queue, "a")
        await eventually(lambda: not queue.messages)


class BrokenQueue(MemoryQueue):
    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:  # noqa: ARG002 - the protocol's
        raise ZeroDivisionError("a bug in the poller")


async def test_a_poller_never_dies_silently() -> None:
    running = asyncio.create_task(make_consumer(BrokenQueue(), accept).run())
    await eventually(running.done)
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)


class EndlessPoll(MemoryQueue):
    """Queue whose first poll never ends."""

    async def receive(self, limit: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        if not self.asked_for:
            self.asked_for.append(limit)
            await asyncio.Event().wait()
        return await super().receive(limit, wait_seconds, visibility_seconds)


async def test_a_poll_that_never_ends_is_cancelled() -> None:
    queue = EndlessPoll()
    await send(queue, "a")
    async with running(make_consumer(queue, accept, replace(OPTIONS, wait=0, poll_grace=0.1))):
        await eventually(lambda: not queue.messages)


async def test_the_reason_of_a_dead_letter_has_only_characters_that_sqs_accepts() -> None:
    queue = MemoryQueue()

    async def handle(_: Delivery) -> None:
        raise Unprocessable("unknown_type", "t\uffff\u00fc\n")

    await send(queue, "a")
    async with running(make_consumer(queue, handle)):
        await eventually(lambda: bool(queue.dead_letters))
    assert queue.dead_letters[0].attributes["detail"].isascii()


class TestHeartbeat:
    async def test_a_slowly_handled_message_stays_hidden(self) -> None:
        queue = MemoryQueue()
        finish = asyncio.Event()
        deliveries: list[Delivery] = []

        async def handle(delivery: Delivery) -> None:
            deliveries.append(delivery)
            await finish.wait()
            delivery.ensure_held()

        await send(queue, "long")
        async with running(make_consumer(queue, handle, replace(OPTIONS, visibility=1))):
            await eventually(lambda: bool(deliveries))
            first_deadline = deliveries[0].held_until
            await eventually(lambda: deliveries[0].held_until > first_deadline + 1.0)
            finish.set()
            await eventually(lambda: not queue.messages)
        assert len(deliveries) == 1, "it was given to nobody else"

    @pytest.mark.parametrize("throttled", ["entry", "request"])
    async def test_one_throttle_does_not_end_the_heartbeat(self, throttled: str) -> None:
        queue = ForgetfulQueue(forgets=2, whole=throttled == "request")
        finish = asyncio.Event()
        deliveries: list[Delivery] = []

        async def handle(delivery: Delivery) -> None:
            deliveries.append(delivery)
            await finish.wait()
            delivery.ensure_held()

        await send(queue, "long")
        async with running(make_consumer(queue, handle)):
            await eventually(lambda: bool(deliveries))
            first_deadline = deliveries[0].held_until
            await eventually(lambda: deliveries[0].held_until > first_deadline)
            assert queue.forgets == 0
            finish.set()
            await eventually(lambda: not queue.messages)
        assert len(deliveries) == 1

    async def test_all_messages_in_flight_are_extended_in_batches_of_sqs_size(self) -> None:
        queue = StrictBatches()
        finish = asyncio.Event()
        deliveries: list[Delivery] = []

        async def handle(delivery: Delivery) -> None:
            deliveries.append(delivery)
            await finish.wait()

        await send(queue, *map(str, range(12)))
        async with running(make_consumer(queue, handle, replace(OPTIONS, concurrency=12))):
            await eventually(lambda: len(deliveries) == 12)
            last_deadline = max(delivery.held_until for delivery in deliveries)
            await eventually(lambda: min(delivery.held_until for delivery in deliveries) > last_deadline)
            finish.set()
            await eventually(lambda: not queue.messages)
        assert len(deliveries) == 12

    async def test_a_lost_message_is_stopped_before_its_next_effect(self) -> None:
        queue = MemoryQueue()
        go_on = asyncio.Event()
        outcomes: list[str] = []
        deliveries: list[Delivery] = []

        async def handle(delivery: Delivery) -> None:
            deliveries.append(delivery)
            await go_on.wait()
            try:
                delivery.ensure_held()
            except LeaseLost:
                outcomes.append("stopped")
                raise
            outcomes.append("effect")

        await send(queue, "a")
        async with running(make_consumer(queue, handle)):
            await eventually(lambda: bool(queue.messages[0].receipt))
            queue.messages[0].receipt = "somebody else's"
            await eventually(lambda: deliveries[0].lost)
            go_on.set()
            await eventually(lambda: bool(outcomes))
        assert outcomes == ["stopped"]
        assert len(queue.messages) == 1, "the other one's message must not be deleted"


class ForgetfulQueue(MemoryQueue):
    """Queue whose first visibility changes fail with a transient error."""

    def __init__(self, *, forgets: int, whole: bool) -> None:
        super().__init__()
        self.forgets = forgets
        self.whole = whole

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        if self.forgets:
            self.forgets -= 1
            if self.whole:
                raise QueueUnavailable("RequestThrottled")
            return [EntryFailure(index, "RequestThrottled") for index in range(len(changes))]
        return await super().change_visibility(changes)


class StrictBatches(MemoryQueue):
    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:
        if len(changes) > MAX_BATCH:
            raise QueueUnavailable("TooManyEntriesInBatchRequest")
        return await super().change_visibility(changes)


class TestStop:
    async def test_the_consumer_stops_with_an_empty_queue(self) -> None:
        consumer = make_consumer(MemoryQueue(), accept)
        async with running(consumer):
            pass

    async def test_started_handlings_are_finished_and_acknowledged(self) -> None:
        queue = MemoryQueue()
        begun, finish = asyncio.Event(), asyncio.Event()

        async def handle(_: Delivery) -> None:
            begun.set()
            await finish.wait()

        await send(queue, "a")
        consumer = make_consumer(queue, handle)
        async with running(consumer) as task:
            await begun.wait()
            consumer.stop()
            await asyncio.sleep(0)
            assert not task.done()
            finish.set()
        assert queue.messages == []

    async def test_handlings_that_outlast_the_last_poll_are_finished_too(self) -> None:
        queue = MemoryQueue()
        begun, finish = asyncio.Event(), asyncio.Event()
        finished: list[str] = []

        async def handle(delivery: Delivery) -> None:
            begun.set()
            await finish.wait()
            finished.append(delivery.message.body)

        await send(queue, "a")
        consumer = make_consumer(queue, handle, replace(OPTIONS, concurrency=1))
        async with running(consumer):
            await begun.wait()
            consumer.stop()
            for _ in range(50):  # the poller, which waits for the only permit, comes round and ends
                await asyncio.sleep(0)
            finish.set()
        assert (finished, queue.messages) == (["a"], [])

    async def test_messages_of_the_open_poll_are_released_at_once(self) -> None:
        queue = MemoryQueue()
        handled: list[str] = []

        async def handle(delivery: Delivery) -> None:
            handled.append(delivery.message.body)

        consumer = make_consumer(queue, handle, replace(OPTIONS, visibility=3600))
        async with running(consumer):
            await eventually(lambda: bool(queue.asked_for))
            consumer.stop()
            await send(queue, "late")
        assert handled == []
        (late,) = await queue.receive(10, 1, 30)
        assert late.body == "late"

    async def test_a_poller_that_waits_for_a_permit_does_not_outlast_the_drain_time(self) -> None:
        queue = MemoryQueue()
        begun = asyncio.Event()

        async def handle(_: Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        await send(queue, "endless", "never begun")
        consumer = make_consumer(queue, handle, replace(OPTIONS, concurrency=1, visibility=3600, drain=0.2))
        async with running(consumer):
            await begun.wait()
        assert len(await queue.receive(10, 1, 30)) == 2, "both are there for somebody else, at once"

    async def test_unfinished_handlings_are_cancelled_and_released(self) -> None:
        queue = MemoryQueue()
        begun = asyncio.Event()

        async def handle(_: Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        await send(queue, "endless")
        consumer = make_consumer(queue, handle, replace(OPTIONS, visibility=3600, drain=0.2))
        async with running(consumer):
            await begun.wait()
        (endless,) = await queue.receive(10, 1, 30)
        assert endless.body == "endless"


class TestHealth:
    async def test_idle_time_grows_while_a_poller_is_stuck(self) -> None:
        queue = MemoryQueue()
        gate = asyncio.Event()

        async def handle(_: Delivery) -> None:
            await gate.wait()

        await send(queue, "a", "b")
        consumer = make_consumer(queue, handle, replace(OPTIONS, concurrency=1, visibility=30))
        async with running(consumer):
            await eventually(lambda: consumer.idle_seconds > 0.2)
            gate.set()
            await eventually(lambda: not queue.messages)
            await eventually(lambda: consumer.idle_seconds < 0.2)

    async def test_one_dead_poller_among_others_is_detected(self) -> None:
        queue = EndlessPoll()
        options = replace(OPTIONS, concurrency=30, pollers=3, wait=0, poll_grace=3600.0, drain=0.1)
        consumer = make_consumer(queue, accept, options)
        async with running(consumer):
            await eventually(lambda: len(queue.asked_for) > 3)
            polls = len(queue.asked_for)
            await eventually(lambda: consumer.idle_seconds > 0.1 and len(queue.asked_for) > polls)

    async def test_first_deliveries_and_finished_messages_are_recorded_in_the_backlog(self) -> None:
        queue = MemoryQueue()
        await send(queue, "old", "again")
        queue.messages[0].sent_at -= 60_000
        queue.messages[1].receive_count = 1
        backlog = Backlog()
        async with running(make_consumer(queue, accept, backlog=backlog)):
            await eventually(lambda: not queue.messages)
        now = time.time_ns() // 1_000_000
        backlog.counted(await queue.depth())
        held_back = now - (backlog.sweep_before(now) or 0)
        assert 60_000 <= held_back < 90_000, "the first message waited a minute, the second was delivered before"
        assert backlog.allowance() >= 2


class HungQueue(MemoryQueue):
    """Queue that never responds to deletes and visibility changes."""

    async def delete(self, receipts: Sequence[str]) -> list[EntryFailure]:  # noqa: ARG002 - the protocol's
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[EntryFailure]:  # noqa: ARG002 - as above
        await asyncio.Event().wait()
        raise AssertionError("it never answers")


async def test_a_queue_that_never_responds_cannot_delay_the_shutdown() -> None:
    queue = HungQueue()
    begun = asyncio.Event()

    async def handle(_: Delivery) -> None:
        begun.set()

    await send(queue, "a")
    async with running(make_consumer(queue, handle, replace(OPTIONS, drain=0.1))):
        await begun.wait()
