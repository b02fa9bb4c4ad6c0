"""Changes that make a well-formed request doubtful: each is a place where two parsers may disagree about its end."""

from collections.abc import Callable, Mapping
from random import Random

from tests.fuzz.framing import values
from tests.fuzz.framing.messages import CRLF, INNER, Message, chunked

Oddity = Callable[[Random, Message], None]


def _fill(pattern: bytes, number: int) -> bytes:
    return pattern % ((number,) * pattern.count(b"%")) if b"%" in pattern else pattern


def _drop(message: Message, *names: bytes) -> None:
    message.headers = [line for line in message.headers if line.partition(b":")[0].strip().lower() not in names]


def _insert(dice: Random, message: Message, line: bytes) -> None:
    message.headers.insert(dice.randint(0, len(message.headers)), line)


def _length_value(dice: Random, message: Message) -> None:
    _drop(message, b"content-length", *([b"transfer-encoding"] if dice.random() < 0.8 else []))
    message.sent_body = message.content = message.content or b"hello"
    _insert(dice, message, b"Content-Length: " + _fill(dice.choice(values.CONTENT_LENGTHS), len(message.content)))


def _length_again(dice: Random, message: Message) -> None:
    lengths = [len(message.content), 0, 1, len(message.content) + 5]
    _insert(dice, message, b"Content-Length: %d" % dice.choice(lengths))


def _length_wrong(dice: Random, message: Message) -> None:
    _drop(message, b"content-length")
    _insert(dice, message, b"Content-Length: %d" % max(0, len(message.content) + dice.choice([-3, -1, 1, 3, 20])))


def _length_name(dice: Random, message: Message) -> None:
    if dice.random() < 0.7:
        _drop(message, b"content-length")
    _insert(dice, message, b"%s: %d" % (dice.choice(values.FRAMING_NAMES), len(message.sent_body)))


def _encoding_value(dice: Random, message: Message) -> None:
    _drop(message, b"transfer-encoding", *([b"content-length"] if dice.random() < 0.7 else []))
    if dice.random() < 0.8:
        message.sent_body = chunked(dice, message.content)
    _insert(dice, message, b"Transfer-Encoding: " + dice.choice(values.TRANSFER_ENCODINGS))


def _encoding_again(dice: Random, message: Message) -> None:
    _insert(dice, message, b"Transfer-Encoding: " + dice.choice([b"chunked", dice.choice(values.TRANSFER_ENCODINGS)]))


def _encoding_name(dice: Random, message: Message) -> None:
    if dice.random() < 0.7:
        message.sent_body = chunked(dice, message.content)
    name = dice.choice(values.ENCODING_NAMES)
    _insert(dice, message, name + b": chunked")


def _chunk_size(dice: Random, message: Message) -> None:
    _make_chunked(dice, message)
    content = message.content or b"hello"
    size = _fill(dice.choice(values.CHUNK_SIZES), len(content) + dice.choice([0, 0, 0, 1, -1]))
    message.sent_body = size + CRLF + content + CRLF + b"0\r\n\r\n"


def _chunk_end(dice: Random, message: Message) -> None:
    _make_chunked(dice, message)
    content = message.content or b"hello"
    message.sent_body = b"%x\r\n" % len(content) + content + dice.choice(values.CHUNK_ENDS) + b"0\r\n\r\n"


def _last_chunk(dice: Random, message: Message) -> None:
    _make_chunked(dice, message)
    message.sent_body = b"5\r\nhello\r\n" + dice.choice(values.LAST_CHUNKS)


def _trailers(dice: Random, message: Message) -> None:
    _make_chunked(dice, message)
    lines = dice.sample(values.TRAILERS, dice.randint(1, 3))
    message.sent_body = b"5\r\nhello\r\n0\r\n" + b"".join(line + CRLF for line in lines) + CRLF


def _make_chunked(dice: Random, message: Message) -> None:
    _drop(message, b"content-length", b"transfer-encoding")
    _insert(dice, message, b"Transfer-Encoding: chunked")


def _header_line(dice: Random, message: Message) -> None:
    for _ in range(dice.randint(1, 2)):
        _insert(dice, message, dice.choice(values.HEADER_LINES))


def _connection(dice: Random, message: Message) -> None:
    if dice.random() < 0.7:
        _drop(message, b"connection")
    for _ in range(dice.randint(1, 2)):
        _insert(dice, message, b"Connection: " + dice.choice(values.CONNECTIONS))
    if dice.random() < 0.3:
        _insert(dice, message, b"Upgrade: h2c")


def _method(dice: Random, message: Message) -> None:
    message.method = dice.choice(values.METHODS)
    if message.method == b"CONNECT" and dice.random() < 0.5:
        message.target = b"api.test:443"


def _target(dice: Random, message: Message) -> None:
    message.target = dice.choice(values.TARGETS)


def _version(dice: Random, message: Message) -> None:
    message.version = dice.choice(values.VERSIONS)


def _old_version(dice: Random, message: Message) -> None:
    message.version = dice.choice([b"HTTP/1.0", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0"])
    if dice.random() < 0.5:
        _insert(dice, message, b"Connection: keep-alive")


def _request_line(dice: Random, message: Message) -> None:
    message.request_line = dice.choice(values.REQUEST_LINES)


def _hosts(dice: Random, message: Message) -> None:
    _drop(message, b"host")
    for line in dice.choice(values.HOSTS):
        _insert(dice, message, line)


def _line_end(dice: Random, message: Message) -> None:
    message.line_ends[dice.randint(0, len(message.headers) + 1)] = dice.choice(values.LINE_ENDS)


def _prefix(dice: Random, message: Message) -> None:
    message.prefix = dice.choice(values.PREFIXES)


def _suffix(dice: Random, message: Message) -> None:
    message.sent_body += dice.choice([CRLF, b"\n", b"x", b"\0", INNER, b"0\r\n\r\n", b" "])


def _truncate(dice: Random, message: Message) -> None:
    if message.sent_body:
        message.sent_body = message.sent_body[: -dice.randint(1, min(10, len(message.sent_body)))]


ODDITIES: Mapping[str, Oddity] = {
    "content-length value": _length_value,
    "content-length repeated": _length_again,
    "content-length wrong": _length_wrong,
    "content-length name": _length_name,
    "transfer-encoding value": _encoding_value,
    "transfer-encoding added": _encoding_again,
    "transfer-encoding name": _encoding_name,
    "chunk size": _chunk_size,
    "chunk end": _chunk_end,
    "last chunk": _last_chunk,
    "trailers": _trailers,
    "header line": _header_line,
    "connection": _connection,
    "method": _method,
    "target": _target,
    "version": _version,
    "old version": _old_version,
    "request line": _request_line,
    "host": _hosts,
    "line end": _line_end,
    "prefix": _prefix,
    "suffix": _suffix,
    "truncated body": _truncate,
}


def change_bytes(dice: Random, data: bytes) -> bytes:
    """Insert, delete or replace one to three bytes of a stream."""
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data))
        match dice.randrange(3):
            case 0:
                data = data[:at] + dice.choice(values.SPECIAL_BYTES) + data[at:]
            case 1:
                data = data[:at] + data[at + 1 :]
            case _:
                data = data[:at] + dice.choice(values.SPECIAL_BYTES) + data[at + 1 :]
    return data
