"""An HTTP proxy that forwards every host to one local port, and remembers what it was asked for."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

CONNECTED = b"HTTP/1.1 200 Connection established\r\nX-Proxy: test\r\n\r\n"


@dataclass
class Forwarder:
    """`asked` has the method and the target of each request; `login` is required if it is not empty."""

    to: int
    login: str = ""
    refusal: bytes | None = None
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            async with aclosing(_Closing(writer)):
                head = await reader.readuntil(b"\r\n\r\n")
                first = head.split(b"\r\n")[0].decode()
                self.asked.append(" ".join(first.split()[:2]))
                wanted = base64.b64encode(self.login.encode())
                if self.refusal is not None or (self.login and b"Proxy-Authorization: Basic " + wanted not in head):
                    writer.write(self.refusal or b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                    await writer.drain()
                    return
                there, back = await asyncio.open_connection("127.0.0.1", self.to)
                async with aclosing(_Closing(back)):
                    if first.startswith("CONNECT "):
                        writer.write(CONNECTED)
                    else:
                        back.write(head)
                    await asyncio.gather(_copy(reader, back), _copy(there, writer))


class _Closing:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def aclose(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.write_eof()


@asynccontextmanager
async def forwarding(to: int, *, login: str = "", refusal: bytes | None = None) -> AsyncIterator[Forwarder]:
    """Run a proxy to this local port. `login` is `user:password`; `refusal` answers every request."""
    forwarder = Forwarder(to, login, refusal)
    running: set[asyncio.Task[None]] = set()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(forwarder.serve(reader, writer)))

    listener = await asyncio.start_server(start, "127.0.0.1", 0)
    before = f"{login.replace(' ', '%20')}@" if login else ""
    forwarder.url = f"http://{before}127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        try:
            yield forwarder
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
