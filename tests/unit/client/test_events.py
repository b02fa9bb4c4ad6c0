"""Events in the Python clients: pages, positions, and streams that are resumed."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from order_client import EventType, Forbidden, PositionExpired, SyncOrderClient, UnexpectedAnswer, Unreachable
from tests.unit.client.api import TOKEN, FakeApi, order_body, problem


def event_body(number: int, change: str = "placed", **members: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"ord_{number}.1.{change}",
        "source": "/v1/orders",
        "type": f"order.{change}.v1",
        "subject": f"ord_{number}",
        "time": "2026-01-31T09:05:00.000120Z",
        "tenantid": "acme",
        "datacontenttype": "application/json",
        "data": order_body(f"ord_{number}", {"lines": []}),
        **members,
    }


def page(items: list[dict[str, Any]], position: str, *, more: bool = False) -> httpx2.Response:
    body = {"__typename": "EventPage", "items": items, "next": position, "has_more": more}
    return httpx2.Response(200, json=body)


class Connection(httpx2.AsyncByteStream):
    """Body of a stream, which ends or is lost after its parts."""

    def __init__(self, *parts: str, lost: bool = False) -> None:
        self._parts = parts
        self._lost = lost
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part.encode()
        if self._lost:
            raise httpx2.ReadError("connection reset")

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def response(self) -> httpx2.Response:
        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=self)


def message(number: int, position: str, **members: Any) -> str:
    return f"id: {position}\nevent: order.placed.v1\ndata: {json.dumps(event_body(number, **members))}\n\n"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


async def test_events_have_types_and_positions_to_store(api: FakeApi) -> None:
    api.instead = [page([event_body(1), event_body(2, "confirmed")], "p1", more=True), page([event_body(3)], "p2")]
    async with api.client() as client:
        events = [event async for event in client.events(after="p0", types=[EventType.PLACED, "order.confirmed.v1"])]
    assert [event.position for event in events] == ["p0", "p1", "p2"], (
        "no position passes an event that was not handled"
    )
    assert (events[0].id, events[0].type, events[0].order_id) == ("ord_1.1.placed", EventType.PLACED, "ord_1")
    assert (events[0].tenant, events[0].order and events[0].order.status) == ("acme", "pending")
    assert [str(request.url.query, "ascii") for request in api.requests] == [
        "limit=100&type=order.placed.v1&type=order.confirmed.v1&after=p0",
        "limit=100&type=order.placed.v1&type=order.confirmed.v1&after=p1",
    ]


async def test_pages_move_on_without_an_event(api: FakeApi) -> None:
    api.instead = [page([], "p1", more=True), page([], "p2")]
    async with api.client() as client:
        assert [each.next async for each in client.event_pages(types=["order.refunded.v1"])] == ["p1", "p2"]


async def test_an_unreadable_order_and_a_new_type_are_passed_on(api: FakeApi) -> None:
    unreadable = event_body(1, "shipped")
    del unreadable["data"]
    api.instead = [page([unreadable], "p1")]
    async with api.client() as client:
        (event,) = [each async for each in client.events()]
    assert (event.order, event.type) == (None, "order.shipped.v1")


async def test_the_events_of_a_tenant_have_customers(api: FakeApi) -> None:
    body = event_body(1, data=order_body("ord_1", {"lines": []}) | {"customer": "bob"})
    api.instead = [page([body], "p1"), Connection(f"id: p1\ndata: {json.dumps(body)}\n\n").response]
    async with api.client() as client:
        (event,) = [each async for each in client.tenant_events()]
        streamed = await anext(client.stream_tenant_events())
    assert event.order is not None
    assert event.order.customer == "bob"
    assert streamed == event
    assert [request.url.path for request in api.requests] == ["/v1/tenant/events", "/v1/tenant/events/stream"]


async def test_a_position_that_has_expired_has_an_error_of_its_own(api: FakeApi) -> None:
    api.instead = [problem(410, "position_expired"), problem(410, "position_expired")]
    async with api.client() as client:
        with pytest.raises(PositionExpired):
            await anext(client.events(after="old"))
        with pytest.raises(PositionExpired):
            await anext(client.stream_events(after="old"))


async def test_a_stream_is_resumed_after_the_last_message(api: FakeApi) -> None:
    connections = [
        Connection("retry: 2000\nid: p0\n\n", ": heartbeat\n\n", message(1, "p1"), "id: p5\n\n", lost=True),
        Connection(message(2, "p6"), message(3, "p7")[:40]),
        Connection(message(3, "p7")[:50], message(3, "p7")[50:]),
    ]
    api.instead = [
        connections[0].response,
        httpx2.ConnectError("refused"),
        connections[1].response,
        connections[2].response,
    ]
    async with api.client() as client:
        stream = client.stream_events(after="latest", types=["order.placed.v1"])
        events = [await anext(stream) for _ in range(3)]
        await stream.aclose()  # type: ignore[attr-defined]  # a generator
    assert [event.position for event in events] == ["p1", "p6", "p7"]
    assert [event.order_id for event in events] == ["ord_1", "ord_2", "ord_3"]
    sent = [request.headers.get("Last-Event-ID") for request in api.requests]
    assert sent == [None, "p5", "p5", "p6"], "an incomplete message does not count"
    assert all(connection.is_closed for connection in connections)


async def test_a_stream_is_resumed_with_a_new_token(api: FakeApi) -> None:
    tokens = iter("abc")

    async def token() -> str:
        return next(tokens)

    api.instead = [
        Connection(message(1, "p1")).response,
        problem(401, "unauthenticated"),
        Connection(message(2, "p2")).response,
    ]
    async with api.client(token=token) as client:
        stream = client.stream_events()
        assert [(await anext(stream)).order_id for _ in range(2)] == ["ord_1", "ord_2"]
    assert [request.headers["Authorization"] for request in api.requests] == ["Bearer a", "Bearer b", "Bearer c"]


async def test_a_position_that_expires_while_streaming_raises(api: FakeApi) -> None:
    gone = {"code": "position_expired", "detail": "d", "status": 410, "request_id": "r-1", "retryable": False}
    api.instead = [Connection(message(1, "p1"), f"event: error\ndata: {json.dumps(gone)}\n\n").response]
    async with api.client() as client:
        stream = client.stream_events()
        await anext(stream)
        with pytest.raises(PositionExpired) as expired:
            await anext(stream)
    assert (expired.value.code, expired.value.status, expired.value.request_id) == ("position_expired", 410, "r-1")


async def test_a_stream_gives_up_without_a_connection(api: FakeApi) -> None:
    api.instead = [Connection(message(1, "p1"), lost=True).response, *[httpx2.ConnectError("refused")] * 100]
    async with api.client() as client:
        stream = client.stream_events()
        await anext(stream)
        with pytest.raises(Unreachable):
            await anext(stream)
    assert api.time.now <= 35


async def test_errors_of_a_stream_have_their_types(api: FakeApi) -> None:
    api.instead = [problem(403, "insufficient_scope"), Connection("data: {}\n\n").response]
    async with api.client() as client:
        with pytest.raises(Forbidden):
            await anext(client.stream_events())
        with pytest.raises(UnexpectedAnswer):
            await anext(client.stream_events())


async def test_open_streams_take_no_place_of_other_calls(api: FakeApi) -> None:
    api.instead = [Connection(message(number, "p")).response for number in range(150)]
    async with api.client() as client:
        streams = [client.stream_events() for _ in range(150)]
        for stream in streams:
            await anext(stream)
        await client.place_order({"TEA": 1})


def test_the_synchronous_client_follows_events(api: FakeApi) -> None:
    connection = Connection(message(1, "p1"), message(2, "p2"))
    api.instead = [page([event_body(1)], "p1"), connection.response]
    with SyncOrderClient("http://api", TOKEN, transport=api.transport(), time=api.time.as_time()) as client:
        assert [event.position for event in client.events()] == ["p1"]
        stream = client.stream_events()
        assert next(stream).position == "p1"
        stream.close()  # type: ignore[attr-defined]  # a generator
        assert connection.is_closed
