"""HTTP/1.1 client for AWS's JSON services: POST over kept connections, one request at a time on each.

A general client costs a third of all CPU that is spent on an order; see `docs/decisions/0011`. Parsing is httptools'.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

import httptools
from aiodynamo.http.types import HttpImplementation, Request, Response
from yarl import URL

CONNECT_TIMEOUT = 1.0
TAKE_TIMEOUT = 1.5
"""Seconds until a connection is free or opened."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""DynamoDB answers with 16 MB at most, and SQS with less: more is somebody else's answer."""
MAX_IDLE_SECONDS = 15.0
"""Idle time after which a connection is not used again: the server may be about to close it."""


class _Connection(asyncio.Protocol):
    """One connection. The parser calls the methods named `on_…`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._received = 0
        self._answer: asyncio.Future[Response] | None = None
        self._keeps_alive = True
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        return self._keeps_alive and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, timeout: float) -> Response:  # noqa: ASYNC109 - a timer costs less
        """Send a request and return the response. Raises OSError if the connection or the time ends before."""
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._transport.write(request)
        timer = loop.call_later(timeout, self._fail, TimeoutError(f"no answer within {timeout:g} s"))
        try:
            return await self._answer
        finally:
            timer.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nobody asked; it must not be taken for the answer to what is asked next
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionResetError(f"the answer is not HTTP: {error}"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionResetError("the other side closed the connection"))

    def on_message_begin(self) -> None:
        self._body = []
        self._received = 0

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._received > MAX_ANSWER_BYTES:
            self._fail(ConnectionResetError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes"))
            self.abort()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():  # a second answer in the same piece
            self.abort()
            return
        if self._parser.get_status_code() < HTTPStatus.OK:  # only announces the answer
            return
        self._keeps_alive = self._parser.should_keep_alive()
        self._answer.set_result(Response(self._parser.get_status_code(), b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class _Pool:
    def __init__(self, url: URL, *, timeout: float, connections: int) -> None:
        self._url = url
        self._timeout = timeout
        self._permits = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []  # the one used last comes last, and is used next
        self._tls = ssl.create_default_context() if url.scheme == "https" else None

    async def send(self, request: Request) -> Response:
        """Send a request. After an OSError, TimeoutError included, the outcome is unknown.

        It may take TAKE_TIMEOUT to get a connection, and `timeout` to get an answer.
        """
        connection = await self._take()
        try:
            response = await connection.exchange(_encode(request, self._url.raw_path), self._timeout)
        except BaseException:
            connection.abort()  # what it would still receive is nobody's
            raise
        finally:
            self._permits.release()
        if connection.is_usable:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.abort()
        return response

    async def _take(self) -> _Connection:
        """Return a connection, with the permit to use it."""
        if not self._permits.locked():
            await self._permits.acquire()
            if connection := self._rested():
                return connection
            self._permits.release()
        async with asyncio.timeout(TAKE_TIMEOUT):
            await self._permits.acquire()
            try:
                return self._rested() or await self._connect()
            except BaseException:
                self._permits.release()
                raise

    def _rested(self) -> _Connection | None:
        oldest = time.monotonic() - MAX_IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        host, port = cast("str", self._url.host), cast("int", self._url.port)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port, ssl=self._tls)
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.abort()


def _encode(request: Request, path: str) -> bytes:
    body = request.body or b""
    lines = [
        f"{request.method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in (request.headers or {}).items()),
    ]
    lines.append(f"content-length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + body


@asynccontextmanager
async def open_http(url: URL, *, timeout: float, connections: int) -> AsyncIterator[HttpImplementation]:  # noqa: ASYNC109 - of each request
    """Open a connection pool for one host. `timeout` is the time limit of a response, in seconds."""
    pool = _Pool(url, timeout=timeout, connections=connections)
    try:
        yield pool.send
    finally:
        pool.close()
