"""Request framing: one request gets one response, and requests with an ambiguous end are refused.

`make fuzz-framing` searches for further differences. Each difference found has a case here.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from order_api.connections import MAX_MESSAGE_BYTES
from order_api.limits import MAX_BODY_BYTES
from order_api.problems import METHODS
from order_api.refusals import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, MAX_TARGET_BYTES
from tests.fuzz.framing.messages import INNER, OFFERS, Request, chunked_in_one
from tests.fuzz.framing.server import MemoryServer
from tests.unit.api.conftest import issuer
from tests.unit.api.sockets import connected, exchange, head, post_head, problem_in, serving

ORDER = b'{"lines":[{"sku":"TEA-GREEN-100","quantity":1}]}'
NEXT = b"GET /next HTTP/1.1\r\nHost: api.test\r\n\r\n"
NEXT_REQUEST = Request(b"GET", b"/next", b"")
OFFER = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

JAVA_17 = b"""\
POST /v1/orders HTTP/1.1
Connection: Upgrade, HTTP2-Settings
Content-Length: 48
Host: 127.0.0.1:8999
HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA
Upgrade: h2c
User-Agent: Java-http-client/17.0.15
Authorization: Bearer TOKEN
Content-Type: application/json
Idempotency-Key: java-3947782288872

""".replace(b"\n", b"\r\n")
"""Recorded head of java.net.http.HttpClient of Java 17 with default settings; the body follows."""


def lines(*headers: bytes) -> bytes:
    return b"".join(header + b"\r\n" for header in headers)


def post(*headers: bytes, body: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"POST /orders %s\r\n%s\r\n%s" % (version, lines(b"Host: api.test", length, *headers), body)


def in_pieces(data: bytes, how: str) -> Sequence[bytes]:
    """Return the request as one piece, split between head and body, or split after each byte."""
    top, _, rest = data.partition(b"\r\n\r\n")
    pieces = {"whole": [data], "head, body": [top + b"\r\n\r\n", rest], "bytes": [bytes([byte]) for byte in data]}
    return pieces[how]


async def received(*pieces: bytes, early: bool = False) -> tuple[tuple[Request, ...], bool, bytes]:
    """Return the requests that the application received, whether the connection is closed, and the bytes sent back."""
    reading, sent = await MemoryServer().read(pieces, answers_early=early)
    return reading.requests, reading.closed, sent


@asynccontextmanager
async def serving_a_product() -> AsyncIterator[int]:
    async with serving() as port:
        headers = {"Authorization": f"Bearer {issuer().token('acme', 'keeper')}"}
        product = {"name": "Green tea", "unit_price": 590, "currency": "EUR"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
            (await http.put("/v1/products/TEA-GREEN-100", json=product)).raise_for_status()
        yield port


@pytest.mark.parametrize("how", ["whole", "head, body", "bytes"])
@pytest.mark.parametrize("offer", OFFERS)
async def test_an_order_with_an_upgrade_offer_is_placed(offer: tuple[bytes, ...], how: str) -> None:
    close = b"Connection: close"
    request = post_head(f"Content-Length: {len(ORDER)}")[:-2] + lines(*offer, close) + b"\r\n" + ORDER
    async with serving_a_product() as port:
        answer = await exchange(port, *in_pieces(request, how))
    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_java_s_http_client_places_orders() -> None:
    token = issuer().token("acme", "ada").encode()
    first = JAVA_17.replace(b"TOKEN", token) + ORDER
    last = (
        JAVA_17.replace(b"TOKEN", token).replace(b"3947782288872", b"2").replace(b"Upgrade,", b"close, Upgrade,")
        + ORDER
    )
    async with serving_a_product() as port:
        answer = await exchange(port, first, last)
    assert answer.count(b"HTTP/1.1 202 Accepted\r\n") == answer.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("how", ["whole", "head, body", "bytes"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS)
async def test_a_request_within_the_body_of_an_upgrade_offer_is_not_answered(
    offer: tuple[bytes, ...], how: str, *, chunked: bool
) -> None:
    request = post(*offer, body=INNER)
    if chunked:
        framing = lines(b"Host: api.test", b"Transfer-Encoding: chunked", *offer)
        request = b"POST /orders HTTP/1.1\r\n" + framing + b"\r\n" + chunked_in_one(INNER)
    expected = Request(b"POST", b"/orders", INNER)
    requests, closed, _ = await received(*in_pieces(request + request + NEXT, how))
    assert (requests, closed) == ((expected, expected, NEXT_REQUEST), False)


async def test_an_upgrade_offer_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "uvicorn"):
        await received(post(OFFER[:-2], body=INNER) + NEXT)
        await received(b"what is this?\r\n\r\n")
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_an_upgrade_offer_in_http_1_0_is_ignored() -> None:
    requests, closed, sent = await received(post(OFFER[:-2], body=INNER, version=b"HTTP/1.0") + NEXT)
    assert (requests, closed) == ((Request(b"POST", b"/orders", INNER),), True)
    assert sent.count(b"HTTP/1.1 ") == 1


async def test_an_upgrade_offer_may_expect_100_continue() -> None:
    request = post(OFFER[:-2], b"Expect: 100-continue", body=INNER)
    requests, closed, sent = await received(*in_pieces(request, "head, body"), NEXT)
    assert (requests, closed) == ((Request(b"POST", b"/orders", INNER), NEXT_REQUEST), False)
    assert [part[:3] for part in sent.split(b"HTTP/1.1 ")[1:]] == [b"100", b"404", b"404"]


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (b"/" + b"x" * MAX_TARGET_BYTES, b"", 414),
        (b"/", b"X-Long: " + b"x" * MAX_HEAD_BYTES + b"\r\n", 431),
        (b"/", b"X: x\r\n" * MAX_HEADERS, 431),
    ],
    ids=["target", "head", "headers"],
)
async def test_bounds_of_the_head_hold_for_upgrade_offers(target: bytes, headers: bytes, status: int) -> None:
    sent = b"GET " + target + b" HTTP/1.1\r\nHost: api.test\r\n" + OFFER + headers + b"\r\n"
    requests, closed, answer = await received(sent)
    assert (requests, closed, problem_in(answer)["status"]) == ((), True, status)


async def test_bounds_of_pipelining_and_of_the_body_hold_for_upgrade_offers() -> None:
    offering = b"GET / HTTP/1.1\r\nHost: api.test\r\n" + OFFER + b"\r\n"
    requests, closed, _ = await received(offering * 10 * MAX_PIPELINED)
    assert closed
    assert len(requests) <= 1 + MAX_PIPELINED
    endless = b"PUT / HTTP/1.1\r\n" + lines(b"Host: api.test", b"Transfer-Encoding: chunked") + OFFER + b"\r\n"
    requests, closed, _ = await received(endless, *[b"1\r\nx\r\n" * 10_000] * (MAX_MESSAGE_BYTES // 60_000 + 1))
    assert (requests, closed) == ((), True)


async def test_connect_is_refused_and_nothing_after_it_is_read() -> None:
    for target in (b"api.test:443", b"/orders"):
        requests, closed, sent = await received(b"CONNECT " + target + b" HTTP/1.1\r\nHost: api.test\r\n\r\n" + NEXT)
        assert (requests, closed, problem_in(sent)["code"]) == ((), True, "method_not_allowed")
        assert b"\r\nallow: " + ", ".join(METHODS).encode() in sent


def with_body(*headers: bytes, version: bytes = b"HTTP/1.1", body: bytes = b"") -> bytes:
    return b"POST / " + version + b"\r\n" + lines(*headers) + b"\r\n" + body


HOST = b"Host: api.test"
TE = b"Transfer-Encoding: "
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
REFUSED = {
    "no host": with_body(),
    "two hosts": with_body(HOST, b"Host: other"),
    "host twice": with_body(HOST, HOST),
    "host with a path": with_body(b"Host: api.test/x"),
    "host with a user": with_body(b"Host: ada@api.test"),
    "list of hosts": with_body(b"Host: a, b"),
    "coding before chunked": with_body(HOST, TE + b"gzip, chunked", body=HELLO),
    "coding after chunked": with_body(HOST, TE + b"chunked, gzip", body=HELLO),
    "chunked twice": with_body(HOST, TE + b"chunked", TE + b"chunked", body=HELLO),
    "other coding": with_body(HOST, TE + b"gzip", body=HELLO),
    "coding with a parameter": with_body(HOST, TE + b"chunked;q=1", body=HELLO),
    "coding that begins like chunked": with_body(HOST, TE + b"chunkedx", body=HELLO),
    "empty coding": with_body(HOST, TE, body=HELLO),
    "chunked in HTTP/1.0": with_body(HOST, TE + b"chunked", version=b"HTTP/1.0", body=HELLO),
    "chunked and a length": with_body(HOST, TE + b"chunked", b"Content-Length: 5", body=HELLO),
    "two lengths": with_body(HOST, b"Content-Length: 5", b"Content-Length: 6", body=b"hello"),
    "length twice": with_body(HOST, b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "list of lengths": with_body(HOST, b"Content-Length: 5, 5", body=b"hello"),
    "signed length": with_body(HOST, b"Content-Length: +5", body=b"hello"),
    "length of 26 digits": with_body(HOST, b"Content-Length: " + b"5".zfill(26), body=b"hello"),
    "blank before a colon": with_body(HOST, b"Content-Length : 5", body=b"hello"),
    "folded header": with_body(HOST, b"X: a\r\n b"),
    "HTTP/0.9": with_body(HOST, version=b"HTTP/0.9"),
    "HTTP/1.2": with_body(HOST, version=b"HTTP/1.2"),
    "HTTP/2.0": with_body(HOST, version=b"HTTP/2.0"),
    "no version": b"GET /\r\nHost: api.test\r\n\r\n",
    "RTSP": with_body(HOST, version=b"RTSP/1.0"),
    "ICE": b"SOURCE / ICE/1.0\r\nHost: api.test\r\n\r\n",
    "two blanks before the target": b"GET  / HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "two blanks before the version": b"GET /  HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "line feed before the request": b"\n" + NEXT,
    "carriage return before the request": b"\r" + NEXT,
    "mixed line ends before the request": b"\r\r\n\n" + NEXT,
    "target beyond ASCII": b"GET /?caf\xe9 HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "target that is no path": b"GET orders HTTP/1.1\r\nHost: api.test\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("how", ["whole", "bytes"])
@pytest.mark.parametrize("before", [b"", NEXT], ids=["first", "second"])
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_that_parsers_could_read_in_two_ways_is_refused(sent: bytes, before: bytes, how: str) -> None:
    requests, closed, answer = await received(*in_pieces(before, how), *in_pieces(sent + NEXT, how))
    assert (requests, closed) == ((NEXT_REQUEST,) if before else (), True)
    assert problem_in(answer[answer.index(b"HTTP/1.1 400 ") :])["code"] == "malformed_request"


@pytest.mark.parametrize(
    "trailer",
    [
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Host: other",
        b"Expect: 100-continue",
    ],
)
async def test_a_trailer_that_would_change_the_framing_closes_the_connection(trailer: bytes) -> None:
    body = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"
    requests, closed, sent = await received(with_body(HOST, TE + b"chunked", body=body) + NEXT)
    assert (requests, closed, sent) == ((), True, b"")


async def test_a_body_that_is_malformed_after_the_response_gets_no_second_response() -> None:
    requests, closed, sent = await received(with_body(HOST, TE + b"chunked"), b"not a chunk\r\n", early=True)
    assert (len(requests), closed, sent.count(b"HTTP/1.1 ")) == (1, True, 1)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\n" + NEXT,
        b"GET /next HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET /next HTTP/1.1\r\nHost: [::1]:8000\t\r\n\r\n",
        b"GET /next HTTP/1.1\r\nHost: api.test:443 \r\n\r\n",
        b"GET http://other.test/next HTTP/1.1\r\nHost: api.test\r\n\r\n",
    ],
    ids=["empty lines before it", "empty host", "address as host", "port", "absolute target"],
)
async def test_unusual_requests_that_are_well_formed_are_accepted(sent: bytes) -> None:
    for how in ("whole", "bytes"):
        requests, closed, _ = await received(*in_pieces(sent, how), NEXT)
        assert (requests, closed) == ((NEXT_REQUEST, NEXT_REQUEST), False)


async def test_a_head_that_begins_behind_a_large_body_is_accepted() -> None:
    body = b"x" * min(MAX_BODY_BYTES, HIGH_WATER_LIMIT)
    requests, closed, _ = await received(post(body=body) + NEXT[:20], NEXT[20:])
    assert (requests, closed) == ((Request(b"POST", b"/orders", body), NEXT_REQUEST), False)


async def test_empty_lines_without_end_are_cut_off() -> None:
    requests, closed, _ = await received(NEXT, b"\r\n" * MAX_HEAD_BYTES, NEXT)
    assert (requests, closed) == ((NEXT_REQUEST,), True)


async def test_an_early_response_to_expect_100_continue_closes_the_connection() -> None:
    expecting = head("/v1/orders", "Content-Length: 500", "Expect: 100-continue", method="POST")
    async with serving() as port:
        answer = await exchange(port, expecting)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer


async def test_a_response_after_the_expected_body_keeps_the_connection() -> None:
    expecting = post_head(f"Content-Length: {len(ORDER)}", "Expect: 100-continue")
    async with serving_a_product() as port, connected(port) as (reader, writer):
        writer.write(expecting)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(ORDER)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"connection: close" not in answer
        writer.write(head("/healthz", "Connection: close"))
        assert b"HTTP/1.1 200 OK\r\n" in await reader.read()
