"""HTTP/1.1 connection pool for one host. It sends POST requests to the path `/` over persistent connections.

httptools parses the responses. A general HTTP client would take several times the CPU time of the rest of this package.
"""

import asyncio
import base64
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, cast
from urllib.parse import SplitResult, unquote, urlsplit

import httptools

from aws_json_client.endpoints import Address
from aws_json_client.proxies import proxy_for

CONNECT_TIMEOUT = 1.0
TAKE_TIMEOUT = 1.5
"""Time limit, in seconds, for waiting for a free connection and opening a new one."""
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""DynamoDB's largest response has 16 MB, and SQS's is smaller: a larger one is not from AWS."""
MAX_PROXY_HEAD_BYTES = 16 * 1024
MAX_IDLE_SECONDS = 15.0
"""Idle time after which a connection is not reused: the server may be about to close it."""


KEPT_HEADERS = frozenset({b"date", b"x-amzn-requestid"})


class Request(NamedTuple):
    """POST request. `headers` contains all headers except `Content-Length`."""

    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """Response. `headers` contains only headers in KEPT_HEADERS, by name in lower case."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = MappingProxyType({})

    def header(self, name: bytes) -> str | None:
        """Return a header's value; None if it is absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


Send = Callable[[Request], Awaitable[Response]]
"""Function that sends a request once. It raises OSError, including TimeoutError, if no response arrives: the outcome of
the request is then unknown."""


class _Connection(asyncio.Protocol):
    """Connection for one request at a time. The parser calls the methods named `on_…`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._received = 0
        self._answer: asyncio.Future[Response] | None = None
        self._keeps_alive = True
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        return self._keeps_alive and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, timeout: float) -> Response:  # noqa: ASYNC109 - a timer costs less than asyncio.timeout
        """Send a request and return the response. Raises OSError if the connection closes or the time limit passes."""
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._received = 0
        self._transport.write(request)
        timer = loop.call_later(timeout, self._fail, TimeoutError(f"no response within {timeout:g} s"))
        try:
            return await self._answer
        finally:
            timer.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not derive from it

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # unexpected data: the next request must not read it as its response
            return
        self._received += len(data)
        if self._received > MAX_RESPONSE_BYTES:
            self._fail(ConnectionResetError(f"the response is larger than {MAX_RESPONSE_BYTES} bytes"))
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionResetError(f"the response is not HTTP: {error}"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in KEPT_HEADERS:
            self._headers[name] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():  # a second response in the same data
            self.abort()
            return
        if self._parser.get_status_code() < HTTPStatus.OK:  # an interim response
            return
        self._keeps_alive = self._parser.should_keep_alive()
        self._answer.set_result(Response(self._parser.get_status_code(), b"".join(self._body), self._headers))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class _Pool:
    def __init__(self, address: Address, *, timeout: float, connections: int) -> None:
        self._address = address
        self._timeout = timeout
        self._permits = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []  # a stack: the connection used last is reused first
        self._tls = ssl.create_default_context() if address.tls else None
        proxy = proxy_for(address.url)
        self._proxy = urlsplit(proxy) if proxy else None

    async def send(self, request: Request) -> Response:
        """Send a request once. Time limits: TAKE_TIMEOUT for a connection, `timeout` for the response."""
        connection = await self._take()
        try:
            response = await connection.exchange(_encode(request), self._timeout)
        except BaseException:
            connection.abort()  # the next request would read a late response as its own
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
        """Acquire a permit and return an idle or new connection. The caller releases the permit."""
        if not self._permits.locked():
            await self._permits.acquire()
            if connection := self._pop_idle():
                return connection
            self._permits.release()
        async with asyncio.timeout(TAKE_TIMEOUT):
            await self._permits.acquire()
            try:
                return self._pop_idle() or await self._connect()
            except BaseException:
                self._permits.release()
                raise

    def _pop_idle(self) -> _Connection | None:
        oldest = time.monotonic() - MAX_IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        host, port, loop = self._address.hostname, self._address.port, asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if self._proxy is None:
                _, connection = await loop.create_connection(_Connection, host, port, ssl=self._tls)
                return connection
            tunnel = await _open_tunnel(self._proxy, self._address)
            try:
                server = host if self._tls else None
                _, connection = await loop.create_connection(
                    _Connection, sock=tunnel, ssl=self._tls, server_hostname=server
                )
            except BaseException:
                tunnel.close()
                raise
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.abort()


async def _open_tunnel(proxy: SplitResult, address: Address) -> socket.socket:
    """Return a socket to the address through the proxy. Raises OSError."""
    loop = asyncio.get_running_loop()
    where = (proxy.hostname or "", proxy.port or 80)
    family, kind, protocol, _, found = (await loop.getaddrinfo(*where, type=socket.SOCK_STREAM))[0]
    tunnel = socket.socket(family, kind, protocol)
    tunnel.setblocking(False)  # noqa: FBT003 - the parameter is positional
    try:
        await loop.sock_connect(tunnel, found)
        await loop.sock_sendall(tunnel, _connect_request(proxy, address))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_PROXY_HEAD_BYTES:
            piece = await loop.sock_recv(tunnel, MAX_PROXY_HEAD_BYTES)
            if not piece:
                break
            head += piece
        _require_success(head, where[0])
    except BaseException:
        tunnel.close()
        raise
    return tunnel


def _require_success(head: bytes, proxy: str) -> None:
    """Raise ConnectionRefusedError unless the response to CONNECT is a success."""
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split()[1:2] != ["200"] or b"\r\n\r\n" not in head:
        raise ConnectionRefusedError(f"the proxy {proxy} refused the connection: {status or 'no response'}")


def _connect_request(proxy: SplitResult, address: Address) -> bytes:
    name = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    lines = [f"CONNECT {name}:{address.port} HTTP/1.1", f"Host: {name}:{address.port}"]
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _encode(request: Request) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST / HTTP/1.1\r\n{headers}content-length: {len(request.body)}\r\n\r\n"
    return head.encode("latin-1") + request.body


@asynccontextmanager
async def open_http(address: Address, *, timeout: float, connections: int) -> AsyncIterator[Send]:  # noqa: ASYNC109 - limit of each request
    """Open a connection pool. `timeout` is the time limit of a response, in seconds.

    Raises ValueError if the environment names a proxy that cannot be used.
    """
    pool = _Pool(address, timeout=timeout, connections=connections)
    try:
        yield pool.send
    finally:
        pool.close()
