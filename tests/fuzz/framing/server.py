"""The API's own connection in memory: bytes in, and the requests that its application receives."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from order_api.server import make_server
from tests.fuzz.framing.messages import Request
from tests.fuzz.framing.strict import Reading
from tests.unit.api.conftest import SETTINGS

if TYPE_CHECKING:
    from fastapi import FastAPI


class RecordingApp:
    """ASGI application that records each request whose body arrived whole; `early`: each request, before its body."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.early = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = not self.early
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        self.requests.append(Request(scope["method"].encode(), target, body))
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class MemoryTransport(asyncio.Transport):
    """Transport of a connection without a socket; while reading is paused, it holds back the bytes that arrive."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.written = bytearray()
        self._protocol = protocol
        self._held: deque[bytes] = deque()
        self._paused = False
        self._closing = False

    def receive(self, piece: bytes) -> None:
        self._held.append(piece)
        self._deliver()

    def _deliver(self) -> None:
        while self._held and not (self._paused or self._closing):
            self._protocol.data_received(self._held.popleft())

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - asyncio's signature
        return default

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        asyncio.get_running_loop().call_soon(self._deliver)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


class MemoryServer:
    """The API's server, as `make_server` configures it, over a recording application."""

    def __init__(self) -> None:
        self.app = RecordingApp()
        self._config = make_server(SETTINGS, cast("FastAPI", self.app)).config
        self._config.load()
        self._state = ServerState()

    async def read(self, pieces: Sequence[bytes], *, answers_early: bool = False) -> tuple[Reading, bytes]:
        """Send the pieces over a new connection; return what the application received, and the bytes sent back."""
        self.app.requests, self.app.early = [], answers_early
        connection = cast("type[Any]", self._config.http_protocol_class)(self._config, self._state, {})
        transport = MemoryTransport(connection)
        connection.connection_made(transport)
        for piece in pieces:
            transport.receive(piece)
            await self._settle(connection)
        requests, closed = tuple(self.app.requests), transport.is_closing()
        transport.close()
        await self._settle(connection)
        return Reading(requests, closed), bytes(transport.written)

    async def _settle(self, connection: Any) -> None:
        """Let every request that can run finish: each one that waits its turn takes one pass of the loop."""
        if self._state.tasks or connection.transport.is_closing():
            for _ in range(len(connection.pipeline) + 2):
                await asyncio.sleep(0)
