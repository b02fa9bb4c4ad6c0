"""HTTP load: so many requests over so many connections, one after the other on each (closed loop), or each at its time
whatever became of those before it (open loop)."""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What came of some requests. `latencies` are seconds, in no order."""

    seconds: float
    statuses: Counter[int]
    latencies: Sequence[float]


class _Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        length = LENGTH.search(self._buffer, 0, end + 2) if end >= 0 else None
        if length is None or len(self._buffer) < end + len(HEAD_END) + int(length[1]):
            return
        status = int(self._buffer[9:12])
        self._buffer = b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    async def send(self, request: bytes) -> int:
        """The status of the answer. Raises OSError if the connection ends before it, or has ended."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def _connected(port: int, count: int) -> AsyncIterator[list[_Client]]:
    loop = asyncio.get_running_loop()
    clients: list[_Client] = []
    try:
        for _ in range(count):
            _, client = await loop.create_connection(_Client, "127.0.0.1", port)
            clients.append(client)  # one by one: if the next one fails, this one is closed
        yield clients
    finally:
        for client in clients:
            client.close()


async def closed_loop(port: int, requests: Iterable[bytes], *, connections: int) -> Load:
    """Each connection sends its next request as soon as it has its answer."""
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    left: Iterator[bytes] = iter(requests)

    async def work(client: _Client) -> None:
        for request in left:
            sent_at = time.perf_counter()
            statuses[await client.send(request)] += 1
            latencies.append(time.perf_counter() - sent_at)

    async with _connected(port, connections) as clients:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(work(client))
        seconds = time.perf_counter() - started
    return Load(seconds, statuses, latencies)


async def open_loop(port: int, requests: Sequence[bytes], *, per_second: float, connections: int) -> Load:
    """Each request at its time. Its latency counts from then, also while it waits for a free connection."""
    free: deque[_Client] = deque()
    due: deque[tuple[float, bytes]] = deque()
    statuses: Counter[int] = Counter()
    latencies: list[float] = []

    async def carry_out(client: _Client) -> None:
        while due:
            at, request = due.popleft()
            statuses[await client.send(request)] += 1
            latencies.append(time.perf_counter() - at)
        free.append(client)

    left = iter(requests)
    async with _connected(port, connections) as clients:
        free.extend(clients)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            async for at in paced(len(requests), per_second):
                due.append((at, next(left)))
                if free:
                    group.create_task(carry_out(free.popleft()))
        seconds = time.perf_counter() - started
    return Load(seconds, statuses, latencies)


async def paced(count: int, per_second: float) -> AsyncIterator[float]:
    """Comes round `count` times, the nth at n / `per_second` seconds, with the time on the performance counter.

    The loop's timers come up to a millisecond late; what comes late for that is due when it comes, since it is this
    process and not the one under load that is late.
    """
    started = time.perf_counter()
    for number in range(count):
        wait = started + number / per_second - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        yield time.perf_counter()
