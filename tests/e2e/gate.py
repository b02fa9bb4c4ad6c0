"""A TCP gate before a server: shut, it refuses connections and breaks those it has, as an outage does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

HOST = "127.0.0.1"
STEPS_OF_AN_ACCEPT = 5
"""Steps of the event loop until a connection just accepted has reached `_accept`, and is gone if aborted."""


class Gate:
    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname, address.port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self._port, reuse_address=True)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            await server.wait_closed()
            for _ in range(STEPS_OF_AN_ACCEPT):
                await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task. The task would not close it if it were cancelled before its first step."""
        if self._server is None:  # shut after the connection was accepted
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._pipes.add(task)
        task.add_done_callback(self._pipes.discard)
        task.add_done_callback(lambda task: writer.transport.abort() if task.cancelled() else None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _closed(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            with _closed(there_writer):
                await asyncio.gather(_pipe(reader, there_writer), _pipe(there_reader, writer))


@contextlib.contextmanager
def _closed(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close the connection after the block; at once if that was broken off, or it would outlive its event loop."""
    try:
        yield
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def gate_before(target: str) -> AsyncIterator[Gate]:
    gate = Gate(target)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.shut()
