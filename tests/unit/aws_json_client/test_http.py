"""The HTTP client against servers that respond, stay silent, close the connection, or send invalid data."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aws_json_client import http
from aws_json_client.endpoints import Address
from aws_json_client.http import Request, Response, Send, open_http
from tests.waiting import eventually

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FAST = 0.05


class Server:
    """Server that handles each connection with `talk`, and keeps the received requests."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.connections = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head + await reader.readexactly(length)


def answering(*answers: bytes) -> Talk:
    """Return a handler that sends one response per request, and repeats the last one."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await read_request(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            number += 1

    return talk


@asynccontextmanager
async def running(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Server, Address]]:
    server = Server(talk)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server, Address(hostname="127.0.0.1", port=port, tls=tls is not None)


async def post(send: Send, body: bytes = b"{}") -> Response:
    return await send(Request({"x-amz-target": "A.B"}, body))


async def test_sequential_requests_share_a_connection() -> None:
    async with running(answering(OK)) as (server, address), open_http(address, timeout=5, connections=9) as send:
        answers = [await post(send) for _ in range(3)]
    assert answers == [Response(200, b"{}")] * 3
    assert server.connections == 1


async def test_a_request_is_sent_unchanged() -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async with running(talk) as (_, address), open_http(address, timeout=5, connections=1) as send:
        await send(Request({"host": "aws", "x-amz-target": "A.B"}, "é".encode()))
    assert seen == [b"POST / HTTP/1.1\r\nhost: aws\r\nx-amz-target: A.B\r\ncontent-length: 2\r\n\r\n\xc3\xa9"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!", Response(400, b"no!")),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", Response(503, b"")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            Response(200, b"abcd"),
        ),
    ],
)
async def test_every_status_and_framing_is_a_response(answer: bytes, expected: Response) -> None:
    async with running(answering(answer)) as (_, address), open_http(address, timeout=5, connections=1) as send:
        assert await post(send) == expected


async def test_a_response_may_arrive_byte_by_byte() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()

    async with running(talk) as (_, address), open_http(address, timeout=5, connections=1) as send:
        assert await post(send) == Response(200, b"{}")


async def test_a_connection_that_the_server_will_close_is_not_reused() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with running(answering(closing)) as (server, address), open_http(address, timeout=5, connections=1) as send:
        await post(send)
        await post(send)
    assert server.connections == 2


async def test_a_connection_announced_as_closed_is_closed_by_the_client() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await reader.read(-1)

    async with running(talk) as (server, address), open_http(address, timeout=5, connections=1) as send:
        await post(send)
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize(
    "announced", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]
)
async def test_an_interim_response_is_not_the_response(announced: bytes) -> None:
    async with running(answering(announced + OK)) as (_, address), open_http(address, timeout=5, connections=1) as send:
        assert [await post(send) for _ in range(2)] == [Response(200, b"{}")] * 2


async def test_a_connection_that_the_server_closed_while_idle_is_not_reused() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        writer.write_eof()
        await reader.read(-1)  # ends once the client has closed it too

    async with running(talk) as (server, address), open_http(address, timeout=5, connections=1) as send:
        await post(send)
        await eventually(lambda: server.open == 0)
        assert (await post(send)).status == 200


async def test_a_connection_that_was_idle_too_long_is_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_IDLE_SECONDS", -1.0)  # every rest is too long: the clock is the system's
    async with running(answering(OK)) as (server, address), open_http(address, timeout=5, connections=1) as send:
        await post(send)
        await post(send)
        await eventually(lambda: server.open == 1)
    assert server.connections == 2


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK[:-1])
    await writer.drain()


async def half_an_answer_and_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await half_an_answer(reader, writer)
    await reader.read(-1)


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (silence, TimeoutError),
        (half_an_answer_and_silence, TimeoutError),
        (half_an_answer, ConnectionError),
        (hang_up, ConnectionError),
        (answering(b"this is no HTTP\r\n\r\n"), ConnectionError),
        (answering(b"HTTP/1.1 101 Other\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), ConnectionError),
    ],
)
async def test_without_a_complete_response_the_outcome_is_unknown(talk: Talk, error: type[OSError]) -> None:
    """The connection is closed, so that the rest of a response is never read as the next one."""
    async with running(talk) as (server, address), open_http(address, timeout=FAST, connections=1) as send:
        for attempt in (1, 2):
            with pytest.raises(error):
                await post(send)
            assert server.connections == attempt
        await eventually(lambda: server.open == 0)


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with running(silence) as (server, address), open_http(address, timeout=5, connections=1) as send:
        waiting = asyncio.ensure_future(post(send))
        await eventually(lambda: server.open == 1)
        waiting.cancel()
        await eventually(lambda: server.open == 0)
        assert waiting.cancelled()


@pytest.mark.parametrize("in_one_piece", [True, False])
async def test_unsolicited_data_is_not_read_as_a_response(*, in_one_piece: bool) -> None:
    uncalled = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    is_answered = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK + uncalled if in_one_piece else OK)
        await is_answered.wait()
        writer.write(uncalled)
        await reader.read(-1)

    async with running(talk) as (server, address), open_http(address, timeout=5, connections=1) as send:
        await post(send)
        is_answered.set()
        await eventually(lambda: server.open == 0)
        assert (await post(send)).status == 200
    assert server.connections == 2


async def test_an_endless_response_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_RESPONSE_BYTES", 1000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            await writer.drain()

    async with running(talk) as (server, address), open_http(address, timeout=5, connections=1) as send:
        with pytest.raises(ConnectionResetError, match="larger than 1000 bytes"):
            await post(send)
        await eventually(lambda: server.open == 0)


async def test_there_are_never_more_connections_than_allowed() -> None:
    async with running(answering(OK)) as (server, address), open_http(address, timeout=5, connections=3) as send:
        answers = await asyncio.gather(*(post(send, b"x" * size) for size in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert server.connections == 3


async def test_an_unreachable_server_is_a_network_error() -> None:
    async with running(answering(OK)) as (_, address):
        pass
    async with open_http(address, timeout=5, connections=1) as send:
        with pytest.raises(ConnectionError):
            await post(send)


async def test_closing_the_pool_closes_every_connection() -> None:
    async with running(answering(OK)) as (server, address):
        async with open_http(address, timeout=5, connections=5) as send:
            await asyncio.gather(*(post(send) for _ in range(5)))
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_server_with_an_invalid_certificate_gets_no_request(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with running(answering(OK), tls) as (server, address), open_http(address, timeout=5, connections=1) as send:
        if is_trusted:
            assert await post(send) == Response(200, b"{}")
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await post(send)
            assert server.connections == 0
