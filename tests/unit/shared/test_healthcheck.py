"""The health check of containers, against real servers."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from types import SimpleNamespace

import pytest

from order_shared import healthcheck
from order_shared.runtime.metrics import Metrics
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.sockets import listen
from order_shared.runtime.worker_health import health_server
from tests.waiting import PATIENCE_SECONDS, eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Open a server that handles one connection, and yield its port."""
    served = asyncio.Event()

    async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve_once, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await eventually(served.is_set)


def saying(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return serve


async def check(port: object) -> tuple[int | None, str]:
    """Run the command, and return its exit code and standard error."""
    others = {name: value for name, value in os.environ.items() if name != "ORDER_PORT"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "order_shared.healthcheck"),
        env=others | ({"ORDER_PORT": str(port)} if port is not None else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def fault_at(port: int) -> str | None:
    return await asyncio.to_thread(healthcheck.find_fault, str(port))


@pytest.mark.parametrize(
    ("idle", "code", "said"), [(0.0, 0, ""), (91.0, 1, "unhealthy: /healthz returned status '503'\n")]
)
async def test_the_exit_code_is_the_health_of_the_service(idle: float, code: int, said: str) -> None:
    with listen("127.0.0.1", 0) as listener:
        readiness = Readiness(required={}, optional={})
        async with health_server(
            listener, readiness=readiness, metrics=Metrics(), idle_seconds=lambda: idle, max_idle_seconds=90.0
        ):
            assert await check(listener.getsockname()[1]) == (code, said)


@pytest.mark.parametrize("port", [None, "", "http", "0", "-1", "65536", "8080x", "٨٠٨٠", "9" * 5000])
async def test_a_missing_port_is_reported(port: str | None) -> None:
    code, said = await check(port)
    assert code == 1
    assert said.startswith("unhealthy: ORDER_PORT is ")
    assert len(said.splitlines()) == 1
    assert len(said) < 100


async def test_a_closed_port_is_unhealthy() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    code, said = await check(port)
    assert (code, said) == (1, f"unhealthy: port {port}: Connection refused\n")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.0 200\n\n", None),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "/healthz returned status '404'"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "/healthz returned status '2000'"),
        (b"HTTP/1.1 \xff\r\n\r\n", "/healthz returned status '\N{REPLACEMENT CHARACTER}'"),
        (b"HTTP/1.1\r\n\r\n", "/healthz returned status ''"),
        (b"SSH-2.0-OpenSSH\r\n", "the response from port {} is not HTTP"),
        (b"x" * 100_000, "the response from port {} is not HTTP"),
        (b"", "the response from port {} is not HTTP"),
    ],
)
async def test_only_a_200_is_healthy(answer: bytes, fault: str | None) -> None:
    async with serving(saying(answer)) as port:
        assert await fault_at(port) == (fault and fault.format(port))


async def test_a_silent_server_is_unhealthy_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reader.read()

    monkeypatch.setattr(healthcheck, "TIMEOUT_SECONDS", 0.1)  # so that the test need not wait for so long either
    async with serving(say_nothing) as port:
        assert await fault_at(port) == f"no response from port {port} within 0.1 s"


async def test_a_slow_response_gets_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    clock = count(0.0, step=1.5)  # of its own, so that time passes between two drops
    monkeypatch.setattr(healthcheck, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    async with serving(drip) as port:
        assert await fault_at(port) == f"no response from port {port} within 2 s"


async def test_an_endless_response_is_read_only_up_to_the_limit_of_its_first_line() -> None:
    async def say_on(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 1024)
            await writer.drain()

    async with serving(say_on) as port:
        assert await fault_at(port) == f"the response from port {port} is not HTTP"


def test_the_health_check_imports_little() -> None:
    program = "import sys; had = set(sys.modules); import order_shared.healthcheck; print(*set(sys.modules) - had)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    imported = set(done.stdout.split())
    ours = {name for name in imported if name.startswith("order_")}
    assert ours == {"order_shared", "order_shared.healthcheck"}
    assert {name.partition(".")[0] for name in imported - ours} <= set(sys.stdlib_module_names)
    assert not imported & {"asyncio", "email", "http.client", "ssl", "urllib.request"}, "slow to start"
