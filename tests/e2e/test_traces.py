"""One order is one trace, from the HTTP request to its confirmation, and its log lines say which."""

import asyncio
import json
from pathlib import Path
from typing import Any

from devstack.stack import Stack, running_stack
from tests.e2e.collector import Collected, Collector, running_collector
from tests.e2e.conftest import QUICK, open_shop
from tests.waiting import eventually

CARD = "pm_card_visa"
API, PROCESSOR = "order-api", "order-processor"


async def test_one_order_is_one_trace_over_both_services(tmp_path: Path) -> None:
    with running_collector() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with running_stack(tmp_path, overrides=QUICK | traced) as stack:
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 10)
                order = await shop.ended((await shop.post(payment_token=CARD)).json()["id"])
                assert order["status"] == "confirmed"
                trace_id = await trace_of(order["id"], collector)
                assert_one_tree(collector.of(trace_id))
                placed = [line for line in log_lines(stack, API, order["id"]) if line.get("method") == "POST"]
                ended = log_lines(stack, PROCESSOR, order["id"])
                assert [(line["event"], line["trace_id"], line["tenant"]) for line in placed] == [
                    ("request", trace_id, shop.tenant)
                ]
                assert ("order_ended", trace_id) in [(line["event"], line.get("trace_id")) for line in ended]
                assert {line.get("trace_id") for line in ended} == {trace_id}

                declined = await shop.ended((await shop.post(payment_token="pm_card_chargeDeclined")).json()["id"])
                failed = [span for span in collector.of(await trace_of(declined["id"], collector)) if span.failed]
                assert [(span.name, span.attributes["error.type"]) for span in failed] == [
                    ("payment.confirm", "PaymentDeclined")
                ]

                collector.answering.clear()
                await shop.ended((await shop.post()).json()["id"])
            stops = (asyncio.to_thread(stack.children[service].stop) for service in (API, PROCESSOR))
            exits = await asyncio.gather(*stops)
            assert exits == [0, 0]  # a collector that hangs keeps nobody from ending


async def trace_of(order_id: str, collector: Collector) -> str:
    """The trace of an order, once its last span is there."""

    def handled() -> list[Collected]:
        return [
            span
            for span in list(collector.spans)
            if span.name == "process order.processing_requested.v1" and span.attributes["order.id"] == order_id
        ]

    await eventually(lambda: bool(handled()), f"the trace of {order_id}")
    trace_id = handled()[0].trace_id
    await eventually(lambda: any(span.name == "POST /v1/orders" for span in collector.of(trace_id)), "its request")
    return trace_id


def assert_one_tree(spans: list[Collected]) -> None:
    by_id = {span.span_id: span for span in spans}
    below = [
        (by_id[span.parent_id].name if span.parent_id else None, span.service, span.name)
        for span in spans
        if span.name != "dynamodb.BatchGetItem"  # prices: only if nobody asked in the last seconds
    ]
    request, sending, handling = (
        "POST /v1/orders",
        "send order.processing_requested.v1",
        "process order.processing_requested.v1",
    )
    assert sorted(below, key=repr) == sorted(
        [
            (None, API, request),
            (request, API, "dynamodb.TransactWriteItems"),  # order, key and outbox
            (request, API, sending),
            (sending, PROCESSOR, handling),
            (handling, PROCESSOR, "dynamodb.GetItem"),
            (handling, PROCESSOR, "dynamodb.TransactWriteItems"),  # stock held
            (handling, PROCESSOR, "payment.create"),
            (handling, PROCESSOR, "dynamodb.UpdateItem"),  # the payment noted
            (handling, PROCESSOR, "payment.confirm"),
            (handling, PROCESSOR, "dynamodb.UpdateItem"),  # confirmed
        ],
        key=repr,
    )


def log_lines(stack: Stack, service: str, order_id: str) -> list[dict[str, Any]]:
    """What a service logged of an order."""
    lines = [json.loads(line) for line in stack.children[service].log().splitlines()]
    return [line for line in lines if line.get("order_id") == order_id]
