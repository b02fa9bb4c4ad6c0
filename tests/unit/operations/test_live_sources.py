"""Sources of a snapshot, and errors of single sources."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import pytest

from aws_json_client import Answer, AwsClient, ServiceError
from devstack.stack import local_settings
from order_operations.live import sources
from order_operations.live.exposition import Sample
from order_operations.live.outbox import Outbox
from order_operations.live.queues import Depth, Queues
from order_operations.live.sources import Down, Look, Sources, Stored
from order_operations.live.tasks import API, Task
from order_shared.domain.errors import StorageUnavailable

GOOD, BROKEN, GARBLED, GONE = (
    Task(service=API, address=f"http://{name}") for name in ("good", "broken", "garbled", "gone")
)
STORED = Stored(Outbox(swept=[], parked=[], capped=False), [])
DENIED = ServiceError("AccessDenied", 403, {"message": "not you"})


def answer(request: httpx2.Request) -> httpx2.Response:
    assert request.url.path == "/metrics"
    match request.url.host:
        case "good":
            return httpx2.Response(200, text="order_parked 3\n")
        case "broken":
            return httpx2.Response(503)
        case "garbled":
            return httpx2.Response(200, text="<html>moved</html>")
    raise httpx2.ConnectError("nobody listens", request=request)


async def look(*tasks: Task, depth: Callable[[], Awaitable[Depth]], read: Callable[[], Awaitable[Stored]]) -> Look:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        return await Sources(http, tasks, depth, read).look()


async def some_depth() -> Depth:
    return Depth(visible=5, in_flight=2, dead_letters=1)


async def some_orders() -> Stored:
    return STORED


async def test_an_error_of_one_source_does_not_hide_the_others() -> None:
    seen = await look(GOOD, BROKEN, GARBLED, GONE, depth=some_depth, read=some_orders)
    good = seen.tasks[GOOD]
    assert isinstance(good, Sample)
    assert good.gauge("order_parked") == 3.0
    faults = [each.fault for each in seen.tasks.values() if isinstance(each, Down)]
    assert faults == ["HTTP 503", "ValueError", "ConnectError"]
    assert (seen.queues, seen.stored) == (Depth(visible=5, in_flight=2, dead_letters=1), STORED)


async def test_queues_and_storage_may_be_down() -> None:
    async def denied() -> Depth:
        raise DENIED

    async def unavailable() -> Stored:
        raise StorageUnavailable("network")

    seen = await look(GOOD, depth=denied, read=unavailable)
    assert isinstance(seen.tasks[GOOD], Sample)
    assert seen.queues == Down(fault="AccessDenied", detail=str(DENIED))
    assert isinstance(seen.stored, Down)
    assert seen.stored.fault == "StorageUnavailable"


async def test_a_hanging_source_is_given_up_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> Depth:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(sources, "PATIENCE_SECONDS", 0.01)  # so that the test does not wait either
    seen = await look(depth=hang, read=some_orders)
    assert seen.queues == Down(fault="TimeoutError", detail="")


class TwoQueues:
    """Fake of SQS: the work queue has 5 visible and 2 in flight, the dead letters 3 and 1."""

    name = "sqs"

    def __init__(self) -> None:
        self.resolved: list[str] = []

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        if operation == "GetQueueUrl":
            self.resolved.append(payload["QueueName"])
            return Answer({"QueueUrl": f"http://sqs/{payload['QueueName']}"}, None)
        counts = ("3", "1") if payload["QueueUrl"].endswith("-dead") else ("5", "2")
        return Answer({"Attributes": dict(zip(payload["AttributeNames"], counts, strict=True))}, None)


async def test_hidden_dead_letters_count_and_names_are_resolved_once() -> None:
    sqs = TwoQueues()
    queues = Queues(AwsClient(sqs), local_settings("http://sqs"))
    assert await queues.depth() == await queues.depth() == Depth(visible=5, in_flight=2, dead_letters=4)
    assert sorted(sqs.resolved) == ["local-orders", "local-orders-dead"]
