"""`orderctl listen`: each event is forwarded once, signed, and the stream is resumed where it was lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from order_client import EventType, verify_webhook
from order_shared.documents.asyncapi import EXAMPLE_ORDER
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.webhook.body import webhook_body
from order_shared.domain.webhook.signing import new_secret
from orderctl.commands import listen
from orderctl.exceptions import Failed
from tests.waiting import eventually

EVENT = next(iter(OrderEvents.of(EXAMPLE_ORDER)))
SECRET = new_secret()
TOKEN = "token"


def numbered(number: int) -> bytes:
    return webhook_body(EVENT, EXAMPLE_ORDER).replace(b".1.placed", b".%d.placed" % number)


@dataclass
class Server:
    """API whose stream ends after each message, and receiver, at one address."""

    url: str = ""
    messages: list[bytes] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    status: int = 200

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.queries.append({name: request.query.getall(name) for name in request.query})
        if request.headers["Authorization"] != "Bearer token":
            body = json.dumps({"code": "insufficient_scope", "detail": "no", "retryable": False})
            return web.Response(status=403, text=body, content_type="application/problem+json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if self.messages:
            await response.write(self.messages.pop(0))
        else:
            await asyncio.Event().wait()
        return response

    async def receive(self, request: web.Request) -> web.Response:
        webhook = verify_webhook(request.headers, await request.read(), SECRET)
        self.received.append(webhook.id)
        return web.Response(status=self.status, text="no\x1b[31m" if self.status != 200 else "")


@asynccontextmanager
async def served() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get(listen.STREAM, server.stream)
    app.router.add_post("/hooks", server.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(server: Server, *types: EventType, token: str = TOKEN) -> AsyncIterator[None]:
    task = asyncio.create_task(listen._forward(server.url, token, f"{server.url}/hooks", SECRET, types))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_are_forwarded_once_over_lost_connections(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listen, "PAUSE_SECONDS", 0.01)
    async with served() as server:
        server.messages = [
            b"id: p1\n\n",
            b": heartbeat\n\nid: p2\nevent: order.placed.v1\ndata: %s\n\n" % numbered(1),
            b"id: p3\nevent: order.placed.v1\ndata: %s\n\n" % numbered(2),
        ]
        async with listening(server, EventType.PLACED):
            await eventually(lambda: len(server.queries) == 4, "the last connection")
    order_id = EXAMPLE_ORDER.order_id
    assert server.received == [f"{order_id}.1.placed", f"{order_id}.2.placed"]
    assert [query["after"] for query in server.queries] == [["latest"], ["p1"], ["p2"], ["p3"]]
    assert server.queries[0]["type"] == ["order.placed.v1"]
    assert capsys.readouterr().out.count("OK    HTTP 200") == 2


async def test_a_refusal_of_the_receiver_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async with served() as server:
        server.status = 500
        server.messages = [b"id: p\nevent: order.placed.v1\ndata: %s\n\n" % numbered(1)]
        async with listening(server):
            await eventually(lambda: bool(server.received), "the event")
            await eventually(lambda: len(server.queries) == 2, "the next connection")
    assert "FAIL  HTTP 500  no\\x1b[31m" in capsys.readouterr().out


async def test_a_refusal_of_the_api_ends_the_command() -> None:
    async with served() as server:
        with pytest.raises(Failed, match="insufficient_scope"):
            await listen._forward(server.url, "another", f"{server.url}/hooks", SECRET, ())


async def test_an_expired_position_ends_the_command() -> None:
    async with served() as server:
        server.messages = [b'event: error\ndata: {"code": "position_expired"}\n\n']
        with pytest.raises(Failed, match="position_expired"):
            await listen._forward(server.url, "token", f"{server.url}/hooks", SECRET, ())
