"""Sweeper: lost messages are republished once, but not while the delay of the queue explains them."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from order_processor.schedule import CAP, JITTER, SweepSchedule
from order_shared.domain.clock import to_millis, to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.messages import ProcessingRequested, parse_message
from order_shared.domain.order.models import Order, Schedule
from order_shared.messaging.queue import OutgoingMessage
from order_shared.runtime.tracing import trace_id_of
from order_shared.storage.orders import OpenOrder
from order_shared.storage.outbox import SWEPT_SHARDS
from tests.factories import make_customer, make_order, make_record
from tests.fakes import MemoryOrderRepository, MemoryStore
from tests.traces import Traces
from tests.unit.processor.conftest import BASE, Outbox
from tests.waiting import eventually

JUST_AFTER = timedelta(milliseconds=1)


async def test_an_order_that_is_not_due_is_left_alone(outbox: Outbox) -> None:
    await outbox.accept()
    outbox.clock.advance(BASE)
    assert await outbox.sweeper().sweep() == 0
    assert outbox.queue.messages == []


async def test_a_republished_message_belongs_to_the_trace_of_its_request(outbox: Outbox) -> None:
    traces, request = Traces(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await outbox.accept(traceparent=request)
    outbox.clock.advance(timedelta(minutes=1))
    assert await outbox.sweeper(tracing=traces.tracing).sweep() == 1
    (message,) = outbox.queue.messages
    assert trace_id_of(parse_message(message.message.body).traceparent) == trace_id_of(request)
    sending = traces.spans["send order.processing_requested.v1"]
    assert sending.parent is not None
    assert f"{sending.parent.span_id:016x}" == "00f067aa0ba902b7"


async def test_an_overdue_order_is_republished(outbox: Outbox) -> None:
    order = await outbox.accept()
    outbox.clock.advance(BASE + JUST_AFTER)
    assert await outbox.sweeper().sweep() == 1
    (stored,) = outbox.queue.messages
    event = parse_message(stored.message.body)
    assert isinstance(event, ProcessingRequested)
    assert event.order().lines == order.lines
    assert (await outbox.stored(order)).schedule.sweeps == 1


async def test_the_wait_doubles_up_to_its_cap(outbox: Outbox) -> None:
    order = await outbox.accept()
    waits: list[timedelta] = []
    for _ in range(9):
        due_at = (await outbox.stored(order)).schedule.due_at
        assert due_at is not None
        outbox.clock.advance(timedelta(milliseconds=due_at - to_millis(outbox.clock())) + JUST_AFTER)
        assert await outbox.sweeper().sweep() == 1
        due_at = (await outbox.stored(order)).schedule.due_at
        assert due_at is not None
        waits.append(timedelta(milliseconds=due_at - to_millis(outbox.clock())))
    for wait, shortest in zip(waits, [*(BASE * 2**n for n in range(6)), CAP, CAP, CAP], strict=True):
        assert shortest <= wait <= shortest * (1 + JITTER)
    assert any(wait % BASE for wait in waits), "orders that were due together do not stay so"


async def test_of_two_sweepers_one_sends(outbox: Outbox) -> None:
    await outbox.accept()
    outbox.clock.advance(BASE + JUST_AFTER)
    assert await outbox.sweeper().sweep() + await outbox.sweeper().sweep() == 1


async def test_an_outage_of_sqs_does_not_count_as_a_sweep(outbox: Outbox) -> None:
    order = await outbox.accept()
    outbox.queue.down = True
    for _ in range(10):
        outbox.clock.advance(BASE + JUST_AFTER)
        assert await outbox.sweeper().sweep() == 0
    stored = await outbox.stored(order)
    assert stored.schedule == Schedule(due_at=to_millis(outbox.clock() + BASE), sweeps=0)
    outbox.queue.down = False
    outbox.clock.advance(BASE + JUST_AFTER)
    assert await outbox.sweeper().sweep() == 1


async def test_a_look_ends_with_the_first_batch_that_sqs_does_not_take(outbox: Outbox) -> None:
    orders: list[Order] = []
    for _ in range(100):
        outbox.clock.advance(timedelta(milliseconds=1))
        orders.append(await outbox.accept())
    outbox.queue.down = True
    outbox.clock.advance(BASE + JUST_AFTER)
    due = to_millis(outbox.clock())
    assert await outbox.sweeper().sweep() == 0
    postponed = [order for order in orders if ((await outbox.stored(order)).schedule.due_at or 0) > due]
    assert 1 <= len(postponed) <= 10


@pytest.mark.parametrize("error", [StorageUnavailable("DynamoDB: timeout"), KeyError("lines")], ids=repr)
async def test_one_order_that_cannot_be_swept_does_not_keep_the_others_waiting(
    outbox: Outbox, error: Exception
) -> None:
    class Broken(MemoryOrderRepository):
        async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
            if entry.customer_key == "acme#eve@example.com":
                raise error
            return await super().postpone(entry, due_at, sweeps=sweeps)

    outbox.orders = Broken(outbox.orders.store)
    broken = make_order(customer=make_customer(id="eve@example.com"), at=outbox.clock(), due_in=BASE)
    await outbox.orders.add(broken, make_record(broken))
    await outbox.accept()
    outbox.clock.advance(BASE + JUST_AFTER)
    with capture_logs() as logs:
        assert await outbox.sweeper().sweep() == 1
    (line,) = [entry for entry in logs if entry["event"] == "order_not_swept"]
    assert (line["tenant"], line["created_at"]) == ("acme", to_text(broken.created_at))
    assert "eve@" not in repr(line), "who a customer is, no log says"


async def test_sweepers_do_not_all_begin_at_the_same_hot_shard(outbox: Outbox) -> None:
    class Watched(MemoryOrderRepository):
        looks: list[list[str]] = []  # noqa: RUF012 - one instance

        async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
            self.looks[-1].append(open_shard)
            return await super().list_due(open_shard, before, limit)

    outbox.orders = watched = Watched(MemoryStore(outbox.clock))
    for _ in range(64):
        watched.looks.append([])
        await outbox.sweeper().sweep()
    assert {frozenset(look) for look in watched.looks} == {frozenset(SWEPT_SHARDS)}
    assert len({look[0] for look in watched.looks}) > 1


async def test_a_key_that_a_look_did_not_come_to_is_the_first_of_the_next(outbox: Outbox) -> None:
    class FailsAtTheThird(MemoryOrderRepository):
        reads: list[str] = []  # noqa: RUF012 - one instance

        async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
            self.reads.append(open_shard)
            if len(self.reads) == 3:
                raise StorageUnavailable("DynamoDB: timeout")
            return await super().list_due(open_shard, before, limit)

    outbox.orders = failing = FailsAtTheThird(MemoryStore(outbox.clock))
    sweeper = outbox.sweeper()
    with pytest.raises(StorageUnavailable):
        await sweeper.sweep()
    await sweeper.sweep()
    assert failing.reads[3] == failing.reads[2]
    assert set(failing.reads) == set(SWEPT_SHARDS)


@pytest.mark.parametrize("error", [StorageUnavailable("DynamoDB: timeout"), KeyError("due_at")], ids=repr)
async def test_a_look_that_fails_is_not_the_silent_end_of_the_sweeper(outbox: Outbox, error: Exception) -> None:
    class FailsOnce(MemoryOrderRepository):
        failed = False

        async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
            if not self.failed:
                self.failed = True
                raise error
            return await super().list_due(open_shard, before, limit)

    outbox.orders = FailsOnce(outbox.orders.store)
    await outbox.accept()
    outbox.clock.advance(BASE + JUST_AFTER)
    sweeper = outbox.sweeper(timedelta(milliseconds=1))
    running = asyncio.create_task(sweeper.run())
    await eventually(lambda: running.done() or len(outbox.queue.messages) == 1)
    sweeper.stop()
    await running


async def test_it_holds_back_while_the_queues_delay_explains_why(outbox: Outbox) -> None:
    await outbox.accept()
    outbox.clock.advance(BASE + timedelta(seconds=59))
    now = to_millis(outbox.clock())
    for _ in range(1_000):
        outbox.backlog.received([now - 60_000], now)
    assert await outbox.sweeper().sweep() == 0
    outbox.clock.advance(timedelta(seconds=3))
    assert await outbox.sweeper().sweep() == 1


async def test_a_look_sends_no_more_than_processors_have_finished_while_messages_wait(outbox: Outbox) -> None:
    for _ in range(30):
        outbox.clock.advance(timedelta(milliseconds=1))
        await outbox.accept()
    outbox.clock.advance(timedelta(hours=1))
    await outbox.queue.send([OutgoingMessage("waiting")])
    outbox.counts_queue = True
    now = to_millis(outbox.clock())
    outbox.seconds += 120
    outbox.backlog.received([now], now)
    for _ in range(7):
        outbox.backlog.finished()
    outbox.backlog.allowance()  # the time before the first look counts too
    for _ in range(7):
        outbox.backlog.finished()
    assert await outbox.sweeper().sweep() == 7


async def test_no_key_is_read_after_stop(outbox: Outbox) -> None:
    """Otherwise a drain would last as long as the reads of all keys, each of which may take seconds."""

    class StopsAtTheFirst(MemoryOrderRepository):
        reads: list[str] = []  # noqa: RUF012 - one instance

        async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
            self.reads.append(open_shard)
            sweeper.stop()
            return await super().list_due(open_shard, before, limit)

    outbox.orders = orders = StopsAtTheFirst(outbox.orders.store)
    sweeper = outbox.sweeper(timedelta(milliseconds=1))
    await sweeper.run()
    assert len(orders.reads) == 1
    await sweeper.count_parked()
    assert len(orders.reads) == 1


async def test_of_two_sweepers_that_choose_the_same_due_time_one_sends(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read the entry before either of them postpones it."""
    monkeypatch.setattr(SweepSchedule, "jittered_wait", SweepSchedule.wait)

    class ReadsTogether(MemoryOrderRepository):
        together = asyncio.Barrier(2)

        async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
            await self.together.wait()
            return await super().postpone(entry, due_at, sweeps=sweeps)

    outbox.orders = ReadsTogether(outbox.orders.store)
    await outbox.accept()
    outbox.clock.advance(BASE + JUST_AFTER)
    assert sum(await asyncio.gather(outbox.sweeper().sweep(), outbox.sweeper().sweep())) == 1


async def test_stop_ends_the_sweeper(outbox: Outbox) -> None:
    sweeper = outbox.sweeper()
    sweeper.stop()
    await sweeper.run()


class TestParking:
    async def overdue(self, outbox: Outbox) -> Order:
        """Return an order that has been swept for a day, and is due again."""
        order = await outbox.accept()
        started = outbox.clock()
        while not SweepSchedule(BASE).is_overdue((await outbox.stored(order)).schedule.sweeps):
            await self.become_due(outbox, order)
            assert await outbox.sweeper().sweep() == 1
        await self.become_due(outbox, order)
        assert timedelta(hours=24) < outbox.clock() - started < timedelta(hours=25)
        outbox.queue.messages.clear()
        return order

    async def become_due(self, outbox: Outbox, order: Order) -> None:
        due_at = (await outbox.stored(order)).schedule.due_at or 0
        outbox.clock.advance(timedelta(milliseconds=due_at - to_millis(outbox.clock())) + JUST_AFTER)

    async def test_what_was_swept_for_a_day_is_parked_and_not_swept_any_more(self, outbox: Outbox) -> None:
        order = await self.overdue(outbox)
        assert await outbox.sweeper().sweep() == 0
        stored = await outbox.stored(order)
        assert stored.parking.parked is not None
        assert stored.parking.parked.reason == "overdue"
        assert (stored.status, stored.version, stored.is_open) == (order.status, order.version, True)
        outbox.clock.advance(timedelta(days=30))
        assert await outbox.sweeper().sweep() == 0
        assert outbox.queue.messages == []

    async def test_time_without_processors_parks_nothing(self, outbox: Outbox) -> None:
        order = await outbox.accept()
        outbox.clock.advance(timedelta(days=3))
        assert await outbox.sweeper().sweep() == 1
        assert (await outbox.stored(order)).parking.parked is None

    async def test_parked_orders_are_counted(self, outbox: Outbox) -> None:
        await self.overdue(outbox)
        assert await outbox.sweeper().count_parked() == 0
        await outbox.sweeper().sweep()
        assert await outbox.sweeper().count_parked() == 1
        assert outbox.metrics.registry.get_sample_value("order_parked") == 1

    async def test_an_unparked_order_is_swept_again(self, outbox: Outbox) -> None:
        order = await self.overdue(outbox)
        await outbox.sweeper().sweep()
        parked = await outbox.stored(order)
        await outbox.orders.move(parked, parked.unpark(outbox.clock(), due_at=to_millis(outbox.clock())))
        outbox.clock.advance(JUST_AFTER)
        assert await outbox.sweeper().sweep() == 1
        assert await outbox.sweeper().count_parked() == 0
