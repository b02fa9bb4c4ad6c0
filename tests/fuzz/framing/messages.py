"""Well-formed HTTP/1.x requests, generated from a random source, with what a server must read from them."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

CRLF = b"\r\n"
HOST = b"Host: api.test"
INNER = b"GET /inner HTTP/1.1\r\nHost: api.test\r\n\r\n"
"""A request to send as a body: a server that loses track of the body answers it."""

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
TARGETS = (b"/", b"/orders", b"/orders?limit=5&q=a%20b", b"/a/b/c;d=e", b"http://api.test/orders?x=1", b"/orders/ord_1")
HTTP2_SETTINGS = b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"
WEBSOCKET = (b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
OFFERS: tuple[tuple[bytes, ...], ...] = (
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", HTTP2_SETTINGS),
    (b"Connection: Upgrade", *WEBSOCKET),
    (b"connection: upgrade", b"upgrade: TLS/1.2"),
    (b"Connection: Upgrade", b"Upgrade: h2c, websocket, TLS/1.0"),
    (b"Upgrade: h2c", b"Upgrade: websocket", b"Connection: keep-alive, Upgrade"),
    (b"Connection: Upgrade", b"Upgrade:"),
    (b"Upgrade: h2c",),
    (b"Connection: upgrade",),
)
OTHER_HEADERS = (
    b"Accept: */*",
    b"X-Empty:",
    b"X-NO-BLANK:value",
    b"x-blanks: \t two words \t",
    b"X-Latin: caf\xe9",
    b"Authorization: Bearer a.b.c",
    b"X-Length: Content-Length: 5",
    b"Content-Type: application/json",
    b"TE: trailers",
)
TRAILERS = (b"X-Checksum: abc", b"x-empty:", b"Server-Timing: a;dur=1")
CHUNK_EXTENSIONS = (b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a=b;c=d")


class Request(NamedTuple):
    """One request as a server reads it. `target` is the path and the query."""

    method: bytes
    target: bytes
    body: bytes


@dataclass
class Message:
    """One request as a client sends it. `sent_body` follows the head; `content` is the body that it carries."""

    method: bytes = b"GET"
    target: bytes = b"/"
    version: bytes = b"HTTP/1.1"
    headers: list[bytes] = field(default_factory=list)
    content: bytes = b""
    sent_body: bytes = b""
    closes: bool = False
    prefix: bytes = b""
    request_line: bytes | None = None
    line_ends: dict[int, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        line = (
            self.request_line if self.request_line is not None else b" ".join([self.method, self.target, self.version])
        )
        lines = [line, *self.headers, b""]
        head = b"".join(line + self.line_ends.get(number, CRLF) for number, line in enumerate(lines))
        return self.prefix + head + self.sent_body

    @property
    def request(self) -> Request:
        return Request(self.method, normal_target(self.target), self.content)


def normal_target(target: bytes) -> bytes:
    """Return the path and query of a target, which are all that an ASGI application receives."""
    target = target.partition(b"#")[0]
    if not target.startswith(b"/") and b"://" in target:
        _, _, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2]
    return target.removesuffix(b"?")


def make_message(dice: Random, *, may_expect: bool = True) -> Message:
    """Generate one well-formed request, with or without a body, an upgrade offer and an `Expect` header."""
    message = Message(dice.choice(METHODS), dice.choice(TARGETS))
    message.headers = [HOST, *dice.sample(OTHER_HEADERS, dice.randrange(4))]
    if dice.random() < 0.3:
        message.headers += dice.choice(OFFERS)
    elif dice.random() < 0.2:
        message.headers.append(b"Connection: keep-alive")
    if dice.random() < 0.08:
        message.headers.append(b"Connection: close")
        message.closes = True
    if dice.random() < 0.06:
        message.version = b"HTTP/1.0"
        message.closes = True
    if dice.random() < 0.6:
        _add_body(dice, message)
        if may_expect and dice.random() < 0.1:
            message.headers.append(b"Expect: 100-continue")
    dice.shuffle(message.headers)
    if dice.random() < 0.05:
        message.prefix = CRLF * dice.randint(1, 3)
    return message


def _add_body(dice: Random, message: Message) -> None:
    message.content = dice.choice(
        [b"", b"x", b"hello", INNER, b"0\r\n\r\n" + INNER, b"\r\n\r\n", dice.randbytes(dice.randrange(40))]
    )
    if message.version == b"HTTP/1.1" and dice.random() < 0.45:
        message.headers.append(dice.choice([b"Transfer-Encoding: chunked", b"transfer-encoding:  Chunked"]))
        message.sent_body = chunked(dice, message.content)
    else:
        length = b"%d" % len(message.content)
        message.headers.append(dice.choice([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t"]) + length)
        message.sent_body = message.content


def chunked(dice: Random, content: bytes) -> bytes:
    """Encode a body in chunks of random sizes, with extensions and trailers."""
    parts = []
    while content:
        size = dice.randint(1, len(content))
        digits = dice.choice([b"%x", b"%X", b"%04x"]) % size
        parts += [digits, dice.choice(CHUNK_EXTENSIONS), CRLF, content[:size], CRLF]
        content = content[size:]
    trailers = dice.sample(TRAILERS, dice.choice([0, 0, 0, 1, 2]))
    parts += [
        dice.choice([b"0", b"000"]),
        dice.choice(CHUNK_EXTENSIONS),
        CRLF,
        *(line + CRLF for line in trailers),
        CRLF,
    ]
    return b"".join(parts)


def chunked_in_one(content: bytes) -> bytes:
    """Encode a body as one chunk."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
