"""Streams of events, by a real server over stores in memory."""

import asyncio
import gc
import json
import random
import time
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import jwt
import pytest

from order_api.auth import LEEWAY_SECONDS
from order_api.event import stream as streams
from order_api.event.service import Feed
from order_api.main import create_app
from order_api.server import Server, make_server
from order_shared.domain.clock import UniqueClock
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.positions import Position
from order_shared.runtime.sockets import listen
from tests.fakes import MemoryStore, memory_adapters
from tests.unit.api.conftest import KnownKeys, issuer, problem_of
from tests.unit.api.event_log import Log
from tests.unit.api.sockets import with_settings
from tests.waiting import eventually

OWN, TENANT = "/v1/events/stream", "/v1/tenant/events/stream"
STREAMS = 40
SOON = 10.0
"""Seconds after which a test fails."""


@dataclass(frozen=True)
class Message:
    fields: dict[str, str]

    @property
    def id(self) -> str:
        return self.fields["id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.fields["data"])
        return event


@dataclass
class Reader:
    """One open stream. `last` is the last id, as a browser keeps it."""

    lines: AsyncIterator[str]
    last: str = ""
    comments: int = 0
    seen: list[Message] = field(default_factory=list)

    async def message(self) -> Message | None:
        """Return the next message with data, or None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SOON):
            async for line in self.lines:
                if line:
                    name, _, value = line.partition(":")
                    self.comments += not name
                    fields |= {name: value.removeprefix(" ")} if name else {}
                    continue
                self.last = fields.get("id", self.last)
                if "data" in fields:
                    self.seen.append(Message(fields))
                    return self.seen[-1]
                fields = {}
        return None

    async def events(self, count: int) -> list[str]:
        """Return the next events, each as its order and change."""
        found = []
        for _ in range(count):
            message = await self.message()
            assert message is not None, "the stream ended"
            found.append(str(message.event["id"]))
        return found


@dataclass(frozen=True)
class Api:
    http: httpx2.AsyncClient
    log: Log
    server: Server

    def headers(self, customer: str = "ada", scope: str = "orders:read", *, tenant: str = "acme") -> dict[str, str]:
        return {"Authorization": f"Bearer {issuer().token(tenant, customer, scope)}"}

    @property
    def staff(self) -> dict[str, str]:
        return self.headers("staff", "orders:admin")

    @asynccontextmanager
    async def stream(
        self, path: str = OWN, headers: dict[str, str] | None = None, *, resume: str = "", **params: Any
    ) -> AsyncIterator[Reader]:
        sent = (headers or self.headers()) | ({"Last-Event-ID": resume} if resume else {})
        async with self.http.stream("GET", path, headers=sent, params=params) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            yield Reader(response.aiter_lines())

    async def streams(self) -> int:
        return len(self.server._services.event_streams)

    async def closed(self) -> None:
        async def none_is_open() -> bool:
            return await self.streams() == 0

        await eventually(none_is_open, "the end of every stream")


@asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[Api]:
    settings = with_settings(keep_alive_seconds=5, **changes)
    store = MemoryStore(UniqueClock())
    app = create_app(settings, adapters=memory_adapters(store), keys=KnownKeys(), clock=store.clock)
    server = make_server(settings, app)
    server._captured_signals = deque(maxlen=0)  # type: ignore[assignment]
    with listen("127.0.0.1", 0) as socket:
        running = asyncio.create_task(server.serve([socket]))

        async def has_started() -> bool:
            return server.started

        await eventually(has_started, "the server")
        try:
            limits = httpx2.Limits(max_connections=None)
            url = f"http://127.0.0.1:{socket.getsockname()[1]}"
            async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=SOON, trust_env=False) as http:
                yield Api(http, Log(store), server)
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as opened:
        yield opened


async def test_a_stream_catches_up_and_then_follows(api: Api) -> None:
    first = await api.log.place()
    async with api.stream() as reader:
        message = await reader.message()
        assert message is not None
        feed = (await api.http.get("/v1/events", headers=api.headers())).json()
        assert message.event == feed["items"][0]
        assert message.fields["event"] == "order.placed.v1"
        second = await api.log.end(await api.log.place())
        await api.log.end(first)
        assert await reader.events(3) == [
            f"{second.order_id}.1.placed",
            f"{second.order_id}.2.confirmed",
            f"{first.order_id}.2.confirmed",
        ]
    await api.closed()


async def test_a_stream_resumes_after_the_last_id(api: Api) -> None:
    for _ in range(3):
        await api.log.place()
    async with api.stream() as reader:
        events = await reader.events(3)
        ids = [message.id for message in reader.seen]
    for count, position in enumerate(ids, 1):
        await api.log.place()
        async with api.stream(resume=position, after="latest") as reader:
            assert (await reader.events(2))[: 3 - count] == events[count:][:2]
    feed = (await api.http.get("/v1/events", params={"after": ids[1]}, headers=api.headers())).json()
    assert feed["items"][0]["id"] == events[2], "positions of the stream are positions of the feed"


async def test_a_stream_from_the_end_has_a_position_before_its_first_event(api: Api) -> None:
    await api.log.place()
    async with api.stream(after="latest") as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.message()
        position = reader.last
    order = await api.log.place()
    async with api.stream(resume=position) as reader:
        assert await reader.events(1) == [f"{order.order_id}.1.placed"]


async def test_each_stream_gets_its_own_events_only(api: Api) -> None:
    async with (
        api.stream(headers=api.headers("ada")) as ada,
        api.stream(headers=api.headers("bob"), type="order.rejected.v1") as bob,
        api.stream(TENANT, api.staff) as staff,
        api.stream(TENANT, api.headers("staff", "orders:admin", tenant="globex")) as other,
    ):
        await api.log.place("eve", tenant="globex")
        placed = await api.log.place("ada")
        rejected = await api.log.end(await api.log.place("bob"), confirmed=False)
        assert await ada.events(1) == [f"{placed.order_id}.1.placed"]
        assert await bob.events(1) == [f"{rejected.order_id}.2.rejected"]
        assert [event[-8:] for event in await staff.events(3)] == ["1.placed", "1.placed", "rejected"]
        assert [message.event["data"]["customer"] for message in staff.seen] == ["ada", "bob", "bob"]
        assert "customer" not in ada.seen[0].event["data"]
        await other.events(1)
        assert {message.event["tenantid"] for message in other.seen} == {"globex"}
        await api.log.end(placed)
        assert await ada.events(1) == [f"{placed.order_id}.2.confirmed"]


async def test_streams_of_one_tenant_share_one_tail(api: Api) -> None:
    """The log and each order are read once for all of them."""
    async with api.stream(after="latest") as one, api.stream(TENANT, api.staff) as two, api.stream(TENANT, api.staff):
        tails = api.server._services.event_streams._tails

        async def has_joined() -> bool:
            return [len(tail._all()) for tail in tails.values()] == [3]

        await eventually(has_joined, "the tail")
        await api.log.place()
        await one.events(1)
        await two.events(1)
        tail = next(iter(tails.values()))
        assert tail._task is not None
    await api.closed()
    assert tails == {}
    await asyncio.sleep(0)
    assert tail._task.done(), "nothing polls when nobody listens"


@pytest.mark.parametrize("seed", range(4))
async def test_a_reader_that_is_killed_and_resumes_at_random_sees_every_event_once_in_order(
    api: Api, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a fixed order
    done = asyncio.Event()

    async def write() -> None:
        orders = [await api.log.place()]
        for _ in range(39):
            if orders and dice.random() < 0.5:
                await api.log.end(orders.pop(dice.randrange(len(orders))))
            else:
                orders.append(await api.log.place(dice.choice(("ada", "bob"))))
            await asyncio.sleep(dice.random() * 0.01)
        done.set()

    writing = asyncio.create_task(write())
    seen: list[str] = []
    position = ""
    while len(seen) < 40:
        async with api.stream(TENANT, api.staff, resume=position) as reader:
            seen += await reader.events(min(dice.randrange(1, 8), 40 - len(seen)))
            position = reader.last
    await writing
    page = (await api.http.get("/v1/tenant/events", params={"limit": 100}, headers=api.staff)).json()
    assert seen == [event["id"] for event in page["items"]]
    assert len(set(seen)) == 40


async def test_a_heartbeat_moves_the_position_on(api: Api) -> None:
    api.server._services.event_streams._heartbeat = 0.1
    async with api.stream() as reader:
        reading = asyncio.create_task(reader.message())
        await asyncio.sleep(0.5)
        first, beats = reader.last, reader.comments
        await api.log.place("bob")

        async def has_moved() -> bool:
            return reader.last != first

        await eventually(has_moved, "a new position")
        order = await api.log.place()
        message = await reading
        assert message is not None
        assert message.event["subject"] == order.order_id
        assert beats >= 2


async def test_a_stream_ends_when_its_token_expires(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.log.place()
    headers = api.headers()
    claims = jwt.decode(headers["Authorization"].split()[1], options={"verify_signature": False})
    started = time.monotonic()
    ahead = claims["exp"] + LEEWAY_SECONDS - 1 - time.time()
    monkeypatch.setattr(api.server._services.event_streams, "_clock", lambda: time.time() + ahead)
    async with api.stream(headers=headers) as reader:
        await reader.events(1)
        assert await reader.message() is None
    assert 0.5 < time.monotonic() - started < 5
    await api.closed()


async def test_streams_end_at_the_shutdown(api: Api) -> None:
    async with api.stream() as one, api.stream(TENANT, api.staff) as two:
        started = time.monotonic()
        api.server.handle_exit(15, None)
        assert await one.message() is None
        assert await two.message() is None
        assert time.monotonic() - started < 1


async def test_streams_stay_open_in_the_lame_duck_period() -> None:
    async with serving(lame_duck_seconds=1.0) as api, api.stream() as reader:
        api.server.handle_exit(15, None)
        await api.log.place()
        await reader.events(1)
        assert await reader.message() is None


async def test_a_position_that_expires_ends_the_stream_with_a_problem(api: Api) -> None:
    await api.log.place()
    async with api.stream() as reader:
        await reader.events(1)
        api.log.change_head("acme", epoch=1)
        message = await reader.message()
        assert message is not None
        assert message.fields["event"] == "error"
        assert (message.event["code"], message.event["status"]) == ("position_expired", 410)
        assert message.event["instance"] == OWN
        assert "id" not in message.fields
        assert await reader.message() is None
    response = await api.http.get(OWN, headers=api.headers() | {"Last-Event-ID": reader.last})
    problem_of(response, 410, "position_expired")


async def test_no_character_of_an_order_ends_a_line_of_a_message(api: Api) -> None:
    """Clients differ in what ends a line: some take U+2028 and U+0085, which orders of earlier releases may have."""
    reference = "a\u2028b\u0085c"
    await api.log.place(reference=reference)
    async with api.stream() as reader:
        message = await reader.message()
        assert message is not None
        assert message.event["data"]["reference"] == reference


async def test_a_forged_id_is_refused(api: Api) -> None:
    response = await api.http.get(OWN, headers=api.headers() | {"Last-Event-ID": "forged"})
    assert problem_of(response, 400, "invalid_position")["errors"][0]["pointer"] == "header:last-event-id"
    response = await api.http.get(OWN, params={"after": "forged"}, headers=api.headers())
    assert problem_of(response, 400, "invalid_position")["errors"][0]["pointer"] == "query:after"
    problem_of(await api.http.get(OWN, params={"limit": 5}, headers=api.headers()), 400, "validation_failed")


async def test_a_tenant_has_a_limited_number_of_streams() -> None:
    async with serving(max_streams=100, max_streams_per_tenant=2) as api:
        async with api.stream(), api.stream():
            response = await api.http.get(OWN, headers=api.headers("bob"))
            problem = problem_of(response, 429, "too_many_streams")
            assert (problem["retryable"], response.headers["Retry-After"]) == (True, "10")
            async with api.stream(headers=api.headers(tenant="globex")):
                assert await api.streams() == 3
            assert 'order_http_refused_total{limit="tenant_streams"} 1.0' in (await api.http.get("/metrics")).text
        await api.closed()
        async with api.stream():
            pass


async def test_a_tenant_never_takes_all_places() -> None:
    async with (
        serving(max_streams=5, max_streams_per_tenant=100) as api,
        api.stream(),
        api.stream(),
        api.stream(),
        api.stream(),
    ):
        problem_of(await api.http.get(OWN, headers=api.headers()), 429, "too_many_streams")
        async with api.stream(headers=api.headers(tenant="globex")):
            response = await api.http.get(OWN, headers=api.headers(tenant="initech"))
            problem_of(response, 503, "temporarily_unavailable")


async def test_streams_do_not_count_as_concurrent_requests() -> None:
    async with serving(max_in_flight=1) as api, api.stream(), api.stream():
        assert (await api.http.get("/v1/events", headers=api.headers())).status_code == 200
        metrics = (await api.http.get("/metrics")).text
        assert "order_event_streams 2.0" in metrics
        assert "order_http_in_flight 0.0" in metrics


async def test_a_head_of_a_stream_ends_at_once(api: Api) -> None:
    response = await api.http.head(OWN, headers=api.headers())
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    await api.closed()


async def test_a_stream_survives_an_outage_of_the_storage(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_PAUSE", 0.05)
    order = await api.log.place()
    async with api.stream() as reader:
        await reader.events(1)
        reader_of_log: Any = api.server._services.events._event_reader
        works = reader_of_log._head
        failures = 0

        async def fails(tenant: str) -> Any:
            nonlocal failures
            failures += 1
            raise StorageUnavailable(f"no answer about {tenant}")

        monkeypatch.setattr(reader_of_log, "_head", fails)
        await api.log.end(order)
        await asyncio.sleep(0.3)
        assert failures >= 2
        monkeypatch.setattr(reader_of_log, "_head", works)
        assert await reader.events(1) == [f"{order.order_id}.2.confirmed"]


async def test_an_idle_stream_takes_little_memory() -> None:
    """A thousand take less than 100 MB. The clients' ends of the connections, in this process, count too."""
    async with serving(max_streams=1000, max_streams_per_tenant=1000) as api:
        await api.log.place()
        async with api.stream():
            await asyncio.sleep(0.1)
        tokens = [api.headers(f"customer-{number}")["Authorization"] for number in range(STREAMS)]
        gc.collect()
        tracemalloc.start()
        connections = []
        try:
            for token in tokens:
                _, writer = await asyncio.open_connection(*_address(api), limit=1024)
                writer.write(f"GET {OWN} HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\n\r\n".encode())
                connections.append(writer)

            async def are_open() -> bool:
                return await api.streams() == STREAMS

            await eventually(are_open, "the streams")
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            for writer in connections:
                writer.close()
        assert taken / STREAMS < 100_000
        await api.closed()


async def test_a_tail_that_fails_ends_its_streams_and_serves_no_new_one(api: Api) -> None:
    services = api.server._services
    failing = services.event_streams.open(
        Feed(tenant="acme"), await services.events.position(Feed(tenant="acme"), None), expires_at=float("inf")
    )
    examine = services.events.examine

    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault")

    services.events.examine = fail  # type: ignore[method-assign]  # for this test
    assert services.event_streams._join(failing)

    async def has_ended() -> bool:
        return failing.end is not None

    await eventually(has_ended, "the end of the stream")
    services.events.examine = examine  # type: ignore[method-assign]  # as it was
    async with api.stream() as reader:
        order = await api.log.place()
        assert await reader.events(1) == [f"{order.order_id}.1.placed"]
        services.event_streams.release(failing)
        await api.log.end(order)
        await reader.events(1)
    await api.closed()


async def test_a_slow_reader_is_cut_off_and_resumes() -> None:
    async with serving() as api:
        service = api.server._services.event_streams
        request = f"GET {TENANT} HTTP/1.1\r\nHost: api.test\r\nAuthorization: {api.staff['Authorization']}\r\n\r\n"
        _, writer = await asyncio.open_connection(*_address(api), limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
        writer.write(request.encode())

        async def is_open() -> bool:
            return len(service) == 1

        await eventually(is_open, "the stream")
        (stream,) = service._open
        for _ in range(80):
            if stream.end is not None:
                break
            await api.log.place_many(100)
            await asyncio.sleep(0.05)
        assert stream.end == "slow"
        assert len(stream._waiting) == 0
        writer.transport.abort()
        await api.closed()


def _address(api: Api) -> tuple[str, int]:
    url = api.http.base_url
    return url.host, url.port or 0


def test_the_first_reason_of_an_end_counts() -> None:
    stream = streams.Stream(Feed(tenant="acme"), Position(epoch=1, sequence=1), expires_at=float("inf"))
    stream.close(streams.End.STOPPING)
    stream.close(streams.End.GONE)
    assert stream.end is streams.End.STOPPING
