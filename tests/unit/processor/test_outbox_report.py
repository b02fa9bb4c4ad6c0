"""Report of each minute: the log line `outbox` for alarms, and the gauges of outbox and queue."""

import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from order_processor import sweeper as sweeper_module
from order_processor.sweeper import REPORT_EVERY
from order_shared.domain.clock import to_millis
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.messaging.queue import Depth, OutgoingMessage
from order_shared.storage.orders import OpenOrder
from order_shared.storage.outbox import PARKED_SHARDS, parked_rotation
from order_shared.tables import DEFAULT_OPEN_SHARDS
from tests.factories import make_product, make_stock_record
from tests.fakes import MemoryInventoryRepository, MemoryOrderRepository, MemoryQueue
from tests.unit.processor.conftest import Outbox
from tests.waiting import eventually

JUST_AFTER = timedelta(milliseconds=1)


class CountsReads(MemoryOrderRepository):
    parked_reads = 0
    fail_at: int | None = None

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        if open_shard.startswith("parked"):
            self.parked_reads += 1
            if self.parked_reads == self.fail_at:
                raise StorageUnavailable("DynamoDB: timeout")
        return await super().list_due(open_shard, before, limit)


def said(logs: list[MutableMapping[str, Any]]) -> list[tuple[int, float]]:
    """Return and remove the `outbox` log lines as (parked, age of the oldest order)."""
    lines = [(entry["parked"], entry["oldest_open_seconds"]) for entry in logs if entry["event"] == "outbox"]
    logs.clear()
    return lines


async def test_it_is_logged_at_once_and_then_once_per_minute(outbox: Outbox) -> None:
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.report()
        assert said(logs) == [(0, 0.0)]
        outbox.clock.advance(REPORT_EVERY - JUST_AFTER)
        await sweeper.report()
        assert said(logs) == []
        outbox.clock.advance(JUST_AFTER)
        await sweeper.report()
        assert said(logs) == [(0, 0.0)]


async def test_parked_orders_are_counted_for_the_line_and_not_between_two(outbox: Outbox) -> None:
    outbox.orders = watched = CountsReads(outbox.orders.store)
    sweeper = outbox.sweeper()
    order = await outbox.accept()
    with capture_logs() as logs:
        await sweeper.report()
        await outbox.orders.move(order, order.park(outbox.clock(), "overdue"))
        outbox.clock.advance(REPORT_EVERY)
        await sweeper.report()
        assert said(logs) == [(0, 0.0), (1, 0.0)]
        await sweeper.report()
    later = parked_rotation(DEFAULT_OPEN_SHARDS)
    for key in later.look():
        later.was_read(key, found=False)
    assert watched.parked_reads == len(PARKED_SHARDS) + len(later.look())


async def test_the_oldest_is_of_all_looks_since_the_last_line(outbox: Outbox) -> None:
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.report()
        await outbox.accept()
        outbox.clock.advance(timedelta(seconds=50.04))
        await sweeper.sweep()  # finds it, and makes it wait again
        outbox.clock.advance(timedelta(seconds=10))
        await sweeper.sweep()
        await sweeper.report()
        assert said(logs) == [(0, 0.0), (0, 50.0)]
        outbox.clock.advance(REPORT_EVERY)
        await sweeper.report()
        assert said(logs) == [(0, 0.0)]


async def test_orders_rejected_by_sqs_are_reported(outbox: Outbox) -> None:
    await outbox.accept()
    outbox.queue.down = True
    outbox.clock.advance(timedelta(minutes=5))
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.sweep()
        await sweeper.report()
    assert said(logs) == [(0, 300.0)]


async def test_a_late_cancellation_is_as_old_as_its_request(outbox: Outbox) -> None:
    """The customer has waited since the cancellation request, regardless of the age of the order."""
    order = await outbox.accept()
    inventory = MemoryInventoryRepository(outbox.orders.store)
    await inventory.put(make_product(sku=order.lines[0].sku))
    await inventory.adjust("acme", order.lines[0].sku, 10, make_stock_record("acme", order.lines[0].sku))
    confirmed = order.confirm(outbox.clock())
    await outbox.orders.move(order, confirmed)
    outbox.clock.advance(timedelta(hours=20))
    asked = confirmed.request_cancel(outbox.clock(), due_at=to_millis(outbox.clock()))
    await outbox.orders.request_cancel(asked, version=None)
    outbox.clock.advance(timedelta(seconds=40))
    outbox.queue.down = True
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.sweep()
        await sweeper.report()
    assert said(logs) == [(0, 40.0)]
    assert gauge(outbox, "order_unsent_oldest_seconds") == 40.0


class CannotPostpone(MemoryOrderRepository):
    async def postpone(self, *_: object, **__: object) -> Order | None:
        raise StorageUnavailable("DynamoDB: timeout")


async def test_an_order_that_cannot_be_swept_is_as_old_as_it_is(outbox: Outbox) -> None:
    outbox.orders = CannotPostpone(outbox.orders.store)
    await outbox.accept()
    outbox.clock.advance(timedelta(minutes=5))
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.sweep()
        await sweeper.report()
    assert said(logs) == [(0, 300.0)]


async def test_a_line_that_failed_is_made_up_for_by_the_next_look(outbox: Outbox) -> None:
    outbox.orders = failing = CountsReads(outbox.orders.store)
    failing.fail_at = 3
    await outbox.accept()
    outbox.clock.advance(timedelta(minutes=5))
    sweeper = outbox.sweeper()
    with capture_logs() as logs:
        await sweeper.sweep()
        with pytest.raises(StorageUnavailable):
            await sweeper.report()
        assert said(logs) == []
        await sweeper.report()
    assert said(logs) == [(0, 300.0)]


async def test_it_is_logged_after_the_first_sweep(outbox: Outbox) -> None:
    await outbox.accept()
    outbox.clock.advance(timedelta(minutes=5))
    sweeper = outbox.sweeper(timedelta(milliseconds=1))
    with capture_logs() as logs:
        running = asyncio.create_task(sweeper.run())
        await eventually(lambda: running.done() or any(entry["event"] == "outbox" for entry in logs))
        sweeper.stop()
        await running
    assert said(logs) == [(0, 300.0)]


def gauge(outbox: Outbox, name: str, **labels: str) -> float | None:
    return outbox.metrics.registry.get_sample_value(name, labels)


async def test_the_oldest_stays_measured_until_the_next_report(outbox: Outbox) -> None:
    """A scrape may happen at any time within the minute."""
    sweeper = outbox.sweeper()
    await outbox.accept()
    outbox.clock.advance(timedelta(hours=1))
    await outbox.accept()
    await sweeper.sweep()
    await sweeper.report()
    await sweeper.sweep()
    await sweeper.report()
    assert gauge(outbox, "order_open_oldest_seconds") == 3600
    outbox.clock.advance(REPORT_EVERY)
    await sweeper.report()
    assert gauge(outbox, "order_open_oldest_seconds") == 0


async def test_the_oldest_that_sqs_did_not_take_is_measured(outbox: Outbox) -> None:
    sweeper = outbox.sweeper()
    await outbox.accept()
    outbox.queue.down = True
    outbox.clock.advance(timedelta(minutes=5))
    await sweeper.sweep()
    await sweeper.report()
    assert gauge(outbox, "order_unsent_oldest_seconds") == 300
    outbox.queue.down = False
    outbox.clock.advance(REPORT_EVERY)
    await sweeper.sweep()
    await sweeper.report()
    assert gauge(outbox, "order_unsent_oldest_seconds") == 0
    assert gauge(outbox, "order_open_oldest_seconds") == 360


async def test_a_report_sets_its_timestamp(outbox: Outbox) -> None:
    await outbox.sweeper().report()
    assert gauge(outbox, "order_outbox_report_timestamp_seconds") == outbox.clock().timestamp()


async def test_the_queues_are_counted(outbox: Outbox) -> None:
    await outbox.queue.send([OutgoingMessage("one"), OutgoingMessage("two")])
    await outbox.queue.dead_letter([OutgoingMessage("bad")])
    outbox.counts_queue = True
    await outbox.sweeper().sweep()
    assert gauge(outbox, "order_queue_messages", queue="work") == 2
    assert gauge(outbox, "order_queue_messages", queue="dead") == 1
    assert gauge(outbox, "order_queue_in_flight_messages", queue="work") == 0


async def test_queues_that_were_never_counted_are_not_said_to_be_empty(outbox: Outbox) -> None:
    """Such as by a role that may not ask yet."""
    outbox.queue.down = outbox.counts_queue = True
    await outbox.sweeper().sweep()
    assert gauge(outbox, "order_queue_messages", queue="dead") is None
    assert gauge(outbox, "order_queue_in_flight_messages", queue="work") is None


class SilentQueue(MemoryQueue):
    async def depth(self) -> Depth:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("queue", [MemoryQueue(down=True), SilentQueue()], ids=["down", "silent"])
async def test_a_queue_that_cannot_be_counted_holds_up_no_sweep(
    outbox: Outbox, queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "COUNT_SECONDS", 0.01)  # a test waits no two seconds
    outbox.counts_queue = True
    await outbox.queue.send([OutgoingMessage("one")])
    await outbox.sweeper().sweep()
    outbox.queue = queue
    with capture_logs() as logs:
        await outbox.sweeper().sweep()
        await outbox.sweeper().report()
    assert [entry["event"] for entry in logs] == ["queue_not_counted", "outbox"]
    assert gauge(outbox, "order_queue_messages", queue="work") == 1, "what was counted last stands"
