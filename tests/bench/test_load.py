"""The load that the benchmark makes: all of it, each request once, and what waits is not left out of the figures."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from tests.bench import load
from tests.bench.load import Load, closed_loop, open_loop
from tests.waiting import PATIENCE_SECONDS, eventually

A_WHILE = 100.0
"""Seconds, longer than any test takes."""


class Server:
    """Answers each request with the status that it names, once nothing holds it. Keeps what it was asked, in order."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []
        self.connections = 0
        self.open = 0
        self.held: dict[str, asyncio.Event] = {}

    def hold(self, name: str) -> asyncio.Event:
        """The answer to this request waits for the event."""
        self.held[name] = asyncio.Event()
        return self.held[name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                await self._answer((await reader.readuntil(b"\r\n\r\n")).decode(), writer)
        writer.close()
        self.open -= 1

    async def _answer(self, request: str, writer: asyncio.StreamWriter) -> None:
        _, name, status = request.split(" ", 2)
        self.seen.append(name)
        if name in self.held:
            await self.held[name].wait()
        if not int(status):
            writer.close()
            return
        for piece in (f"HTTP/1.1 {int(status)} Any\r\nContent-", "Length: 4\r\nServer: x\r\n\r\n\r\n", "\r\n"):
            writer.write(piece.encode())
            await writer.drain()


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """Until whoever was served has closed all its connections. Raises TimeoutError where a load never ends."""
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener, asyncio.timeout(PATIENCE_SECONDS):
        yield server
        await eventually(lambda: server.open == 0)


def request(name: str, status: int = 200) -> bytes:
    """Status 0 has the server hang up."""
    return f"GET {name} {status}\r\n\r\n".encode()


def requests(count: int) -> list[bytes]:
    return [request(str(number)) for number in range(count)]


async def test_a_closed_loop_sends_each_request_once() -> None:
    async with running() as server:
        done = await closed_loop(server.port, iter(requests(30)), connections=4)
    assert Counter(server.seen) == Counter(map(str, range(30)))
    assert server.connections == 4
    assert len(done.latencies) == 30
    assert all(0 < latency <= done.seconds for latency in done.latencies)


async def test_an_open_loop_sends_each_request_once_and_in_turn() -> None:
    async with running() as server:
        done = await open_loop(server.port, requests(30), per_second=10_000, connections=1)
    assert server.seen == [*map(str, range(30))]
    assert len(done.latencies) == 30


async def test_a_connection_has_one_request_at_a_time() -> None:
    async with running() as server:
        go_on = server.hold("0")
        running_load = asyncio.create_task(closed_loop(server.port, requests(10), connections=2))
        await eventually(lambda: len(server.seen) == 10)  # all others on the other connection
        assert not running_load.done()
        go_on.set()
        assert (await running_load).statuses == {200: 10}


async def test_every_status_is_counted() -> None:
    mixed = [request("a", 202), request("b", 503), request("c", 202), request("d", 409)]
    async with running() as server:
        closed = await closed_loop(server.port, mixed, connections=2)
        opened = await open_loop(server.port, mixed, per_second=10_000, connections=2)
    assert closed.statuses == opened.statuses == {202: 2, 503: 1, 409: 1}


async def test_an_answer_that_is_held_does_not_hold_the_others_of_an_open_loop() -> None:
    async with running() as server:
        go_on = server.hold("0")
        running_load = asyncio.create_task(open_loop(server.port, requests(10), per_second=10_000, connections=2))
        await eventually(lambda: len(server.seen) == 10)
        assert not running_load.done()
        go_on.set()
        assert (await running_load).statuses == {200: 10}


async def test_waiting_for_a_free_connection_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a server that stops for a while would look slow to one request only."""
    all_due = asyncio.Event()

    async def long_due(count: int, _per_second: float) -> AsyncIterator[float]:
        for number in range(count):
            yield time.perf_counter() - (A_WHILE if number else 0)
        all_due.set()

    monkeypatch.setattr(load, "paced", long_due)  # the clock is the system's
    async with running() as server:
        go_on = server.hold("0")
        running_load = asyncio.create_task(open_loop(server.port, requests(3), per_second=1, connections=1))
        await all_due.wait()
        await eventually(lambda: bool(server.seen))
        assert server.seen == ["0"]
        go_on.set()
        done = await running_load
    assert sorted(server.seen) == ["0", "1", "2"]
    assert sum(latency >= A_WHILE for latency in done.latencies) == 2


async def test_a_pace_is_a_time_for_each_request() -> None:
    times = [at async for at in load.paced(20, 100_000)]
    assert len(times) == 20
    assert times == sorted(times)


@pytest.mark.parametrize("loop", [partial(open_loop, per_second=10_000), closed_loop], ids=["open", "closed"])
async def test_a_server_that_hangs_up_ends_the_load(loop: Callable[..., Awaitable[Load]]) -> None:
    """All of it, though an answer is still held, and with no connection left open."""
    wanted = [request("0"), request("1", 0), request("2")]
    async with running() as server:
        server.hold("0")
        with pytest.raises(ExceptionGroup) as failed:
            await loop(server.port, wanted, connections=2)
        server.held["0"].set()
    assert failed.group_contains(ConnectionResetError)


async def test_nothing_is_sent_on_a_connection_that_was_lost() -> None:
    async with running() as server, load._connected(server.port, 1) as (client,):
        assert await client.send(request("0")) == 200
        with pytest.raises(ConnectionResetError):
            await client.send(request("1", 0))
        with pytest.raises(ConnectionResetError):
            await client.send(request("2"))
    assert server.seen == ["0", "1"]
