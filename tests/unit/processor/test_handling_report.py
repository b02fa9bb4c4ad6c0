"""Log line `handlings`: number and causes of failed handlings per minute."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from order_processor.handlers import make_handler
from order_processor.payments.gateway import FailureReason, PaymentUnavailable
from order_processor.processor import make_handling_report
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.messages import message_of
from order_shared.domain.order.payments import PaymentCall
from order_shared.messaging.consumer import report as consumer_report
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.queue import OutgoingMessage
from order_shared.storage.item_schema import UnknownItemVersion
from tests.factories import make_order
from tests.fakes import MemoryQueue
from tests.unit.processor.conftest import World
from tests.waiting import eventually


def lines(logs: list[MutableMapping[str, Any]]) -> list[tuple[int, int, int, dict[str, int]]]:
    return [
        (entry["handled"], entry["failed"], entry["payments_refused"], entry["causes"])
        for entry in logs
        if entry["event"] == "handlings"
    ]


def test_each_line_counts_the_handlings_since_the_last_line() -> None:
    report = make_handling_report()
    with capture_logs() as logs:
        for cause in (None, None, "crashed", "payment_refused", "payment_no_response"):
            report.count(cause)
        report.report()
        report.report()
    assert lines(logs) == [
        (5, 3, 1, {"crashed": 1, "payment_refused": 1, "payment_no_response": 1}),
        (0, 0, 0, {}),
    ]


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailable("order ord_1 changes too fast"),
        UnknownItemVersion("orders", 9, 0, 2),
        PaymentUnavailable("payment pi_1 is processing", FailureReason.PENDING),
        PaymentUnavailable("the key was used by another release", FailureReason.KEY_REUSED),
    ],
)
def test_causes_that_a_sound_release_meets_are_not_counted_as_failed(
    error: StorageUnavailable | UnknownItemVersion | PaymentUnavailable,
) -> None:
    report = make_handling_report()
    report.count(error.cause)
    with capture_logs() as logs:
        report.report()
    assert lines(logs) == [(1, 0, 0, {error.cause: 1})]


async def test_it_reports_at_intervals_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_report, "REPORT_SECONDS", 0.01)
    report = make_handling_report()
    with capture_logs() as logs:
        running = asyncio.create_task(report.run())
        report.count(None)
        await eventually(lambda: (1, 0, 0, {}) in lines(logs))
        report.count("crashed")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert sum(failed for _, failed, _, _ in lines(logs)) == 1


async def test_a_wrong_payment_key_shows_in_every_attempt_at_ten_paid_orders(world: World) -> None:
    await world.stock("TEA", 100)
    world.payments.refusing = {PaymentCall.CREATE}
    queue, report = MemoryQueue(), make_handling_report()
    for _ in range(10):
        order = await world.accept(make_order(payment_token="pm_card_visa"))
        await queue.send([OutgoingMessage(message_of(order).to_json())])
    options = ConsumerOptions(wait=1, retry_base=0.01, retry_cap=0.01)
    consumer = Consumer(queue, make_handler(world.work), options, ConsumerMetrics(CollectorRegistry()), report.count)
    running = asyncio.create_task(consumer.run())
    try:
        await eventually(lambda: all(message.receive_count > 1 for message in queue.messages))
    finally:
        consumer.stop()
        await running
    with capture_logs() as logs:
        report.report()
    ((handled, failed, refused, causes),) = lines(logs)
    assert handled == failed == refused >= 10
    assert causes == {"payment_refused": refused}
