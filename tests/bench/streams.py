"""What open streams of events cost: memory of an API with 1,000 streams, and its CPU per accepted order beside them.

Two APIs over the same canned AWS accept the same orders in turn. One of them has the streams, of ten tenants.
"""

import asyncio
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from devstack.issuer import Issuer
from tests.bench.accept import accept_orders
from tests.bench.figures import Figure, Say
from tests.bench.machines import open_lab

WITHOUT, WITH = "no stream", "1,000 streams"
STREAMS = 1000
TENANTS = 10
FILES = 4096
MEGABYTE = 1_000_000


async def measure(rounds: int, say: Say) -> list[Figure]:
    """Measure the CPU per order with and without open streams in each round, and the memory of the streams once."""
    allow_files(FILES)
    cpu: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with open_lab("streams") as lab:
        apis = {
            WITHOUT: lab.start_service("order_api", "api"),
            WITH: lab.start_service("order_api", "api-with-streams"),
        }
        for api in apis.values():
            await accept_orders(lab.issuer, api)  # warm-up
        before = apis[WITH].memory_bytes()
        async with _open_streams(lab.issuer, apis[WITH].port):
            memory = (apis[WITH].memory_bytes() - before) / MEGABYTE
            for number in range(1, rounds + 1):
                for name, api in apis.items():
                    milliseconds, _ = await accept_orders(lab.issuer, api)
                    cpu[name].append(milliseconds)
                say(
                    f"streams, round {number}: {cpu[WITHOUT][-1]:.3f} ms CPU/order without streams, "
                    f"{cpu[WITH][-1]:.3f} beside {STREAMS}, which take {memory:.0f} MB"
                )
    return [
        *(Figure(name, "cpu_per_order", "ms", tuple(values)) for name, values in cpu.items()),
        Figure(WITH, "memory", "MB", (memory,)),
    ]


def allow_files(number: int) -> None:
    """Raise the limit of open files of this process to at least `number`, within what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))


@asynccontextmanager
async def _open_streams(issuer: Issuer, port: int) -> AsyncIterator[None]:
    """Keep STREAMS streams open until the end of the block."""
    tokens = [issuer.token(f"tenant-{number}", "ada") for number in range(TENANTS)]
    async with AsyncExitStack() as opened:
        for number in range(STREAMS):
            await opened.enter_async_context(_stream(port, tokens[number % TENANTS]))
        yield


@asynccontextmanager
async def _stream(port: int, token: str) -> AsyncIterator[None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading: asyncio.Task[None] | None = None
    try:
        writer.write(_request(token))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"a stream was refused: {head.decode().splitlines()[0]}")
        reading = asyncio.create_task(_discard(reader))
        yield
    finally:
        if reading is not None:
            reading.cancel()
        writer.close()


def _request(token: str) -> bytes:
    lines: Sequence[str] = (
        "GET /v1/events/stream?after=latest HTTP/1.1",
        "Host: orders",
        f"Authorization: Bearer {token}",
        "Accept: text/event-stream",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass
