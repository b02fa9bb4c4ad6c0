"""Health endpoints `/healthz`, `/serving` and `/readyz`, and the lame duck after SIGTERM."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from order_api.health.lifecycle import Lifecycle, Phase
from order_api.server import Server, make_server
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.sockets import listen
from tests.unit.api.conftest import SETTINGS, issuer, make_app
from tests.waiting import eventually

FOREVER = 3600.0


async def answers() -> None:
    """A dependency that responds."""


async def fails() -> None:
    raise ConnectionError


UP = Readiness(required={"dynamodb": answers}, optional={})
DOWN = Readiness(required={"dynamodb": fails}, optional={})


async def test_it_serves_from_the_first_readiness() -> None:
    lifecycle = Lifecycle()
    assert await lifecycle.current(DOWN) is Phase.STARTING
    assert await lifecycle.current(UP) is Phase.SERVING
    assert await lifecycle.current(DOWN) is Phase.SERVING


async def test_a_process_that_stops_never_serves_again() -> None:
    lifecycle = Lifecycle()

    async def told_to_stop() -> None:
        lifecycle.stop()

    asked = Readiness(required={"dynamodb": told_to_stop}, optional={})
    assert await lifecycle.current(asked) is Phase.STOPPING
    assert await lifecycle.current(UP) is Phase.STOPPING


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http,
    ):
        yield http


def with_readiness(app: FastAPI, readiness: Readiness) -> None:
    app.state.services = replace(app.state.services, readiness=readiness)


async def statuses(http: httpx2.AsyncClient) -> dict[str, int]:
    return {path: (await http.get(path)).status_code for path in ("/healthz", "/serving", "/readyz")}


async def test_an_outage_of_dynamodb_takes_no_task_out_of_the_target_group() -> None:
    app = make_app()
    async with opened(app) as http:
        assert await statuses(http) == {"/healthz": 200, "/serving": 200, "/readyz": 200}
        with_readiness(app, DOWN)
        assert await statuses(http) == {"/healthz": 200, "/serving": 200, "/readyz": 503}


async def test_a_task_that_has_never_been_ready_takes_no_requests() -> None:
    app = make_app()
    async with opened(app) as http:
        with_readiness(app, DOWN)
        assert await statuses(http) == {"/healthz": 200, "/serving": 503, "/readyz": 503}
        assert (await http.get("/serving")).json() == {"status": "starting"}


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[tuple[Server, httpx2.AsyncClient, asyncio.Task[None]]]:
    """Real server in this process, a client of it, and the task of the server."""
    settings = SETTINGS.model_copy(update=changes)
    server = make_server(settings, make_app(settings))
    with listen("127.0.0.1", 0) as socket:
        ended = asyncio.create_task(server.serve([socket]))
        base_url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=base_url) as http:
            try:
                assert (await http.get("/serving")).status_code == 200
                yield server, http, ended
            finally:
                server.should_exit = True
                await ended


@pytest.fixture
def terminate() -> Iterator[Callable[[], None]]:
    """Send SIGTERM, which must end the server but not the tests: uvicorn raises it again after its shutdown."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield lambda: signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


async def test_a_lame_duck_serves_on_and_closes_each_connection(terminate: Callable[[], None]) -> None:
    token = {"Authorization": f"Bearer {issuer().token('acme', 'ada')}"}
    async with running(lame_duck_seconds=FOREVER) as (server, http, _):
        kept = await http.get("/v1/products", headers=token)
        assert "Connection" not in kept.headers
        terminate()
        served = await http.get("/v1/products", headers=token)
        assert (served.status_code, served.headers["Connection"]) == (200, "close")
        told = await http.get("/serving")
        assert (told.status_code, told.json(), told.headers["Connection"]) == (503, {"status": "stopping"}, "close")
        assert (await http.get("/healthz")).status_code == 200  # it is no reason to kill the container
        assert not server.should_exit  # what uvicorn looks at, some time after a signal


async def test_a_lame_duck_ends_by_itself_and_closes_the_listener(terminate: Callable[[], None]) -> None:
    async with running(lame_duck_seconds=0.01) as (_, http, ended):
        terminate()
        await eventually(ended.done, "the end of the server")
        with pytest.raises(httpx2.ConnectError):
            await http.get("/healthz")


async def test_a_second_signal_ends_the_lame_duck(terminate: Callable[[], None]) -> None:
    async with running(lame_duck_seconds=FOREVER) as (_, http, ended):
        terminate()
        terminate()
        await eventually(ended.done, "the end of the server")
        with pytest.raises(httpx2.ConnectError):
            await http.get("/healthz")


async def test_without_a_lame_duck_the_listener_closes_at_once(terminate: Callable[[], None]) -> None:
    async with running() as (server, _, ended):
        terminate()
        assert server.should_exit
        await ended
