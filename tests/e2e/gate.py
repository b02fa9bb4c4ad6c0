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
        self._listener: socket.socket | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def open(self) -> None:
        self._listener = socket.create_server((HOST, self._port))
        self._listener.settimeout(0)
        self._port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def shut(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a connection, and forward it in a task. It is closed even if that is cancelled before it begins."""
        with contextlib.suppress(BlockingIOError):
            here, _ = listener.accept()
            here.settimeout(0)
            pipe = asyncio.create_task(self._forward(here))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)
            pipe.add_done_callback(lambda _: here.close())

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
