"""A TCP gate before a server: shut, it refuses connections and breaks those it has, as an outage does."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

HOST = "127.0.0.1"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Gate:
    """It accepts connections itself: a server of asyncio that is closed meanwhile may leave accepted ones open."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname, address.port)
        self._serving: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def open(self) -> None:
        listener = socket.create_server((HOST, self._port))
        listener.settimeout(0)
        self._port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._serve(listener))
        await asyncio.sleep(0)  # a task that is cancelled before its first step would not close the listener

    async def shut(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
            self._serving = None

    async def _serve(self, listener: socket.socket) -> None:
        """Serve connections until cancelled; then end them all."""
        with listener:
            async with asyncio.TaskGroup() as pipes:
                while True:
                    here, _ = await asyncio.get_running_loop().sock_accept(listener)
                    pipe = pipes.create_task(self._forward(here))
                    pipe.add_done_callback(lambda _, here=here: here.close())  # type: ignore[misc]

    async def _forward(self, here: socket.socket) -> None:
        with contextlib.suppress(OSError):
            async with _streams(sock=here) as (reader, writer), _streams(self._target) as (there_reader, there_writer):
                await asyncio.gather(_pipe(reader, there_writer), _pipe(there_reader, writer))


@contextlib.asynccontextmanager
async def _streams(
    address: tuple[str | None, int | None] = (None, None), sock: socket.socket | None = None
) -> AsyncIterator[Streams]:
    """Open a connection, and close it after the block; without a delay if that was broken off."""
    reader, writer = await asyncio.open_connection(*address, sock=sock)
    try:
        yield reader, writer
        writer.close()
        await writer.wait_closed()
    except BaseException:
        writer.transport.abort()
        raise


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
