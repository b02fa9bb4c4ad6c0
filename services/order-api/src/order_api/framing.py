"""Request framing: find the end of each request, and refuse requests whose end is ambiguous (request smuggling).

If a proxy and this server disagree about where a request ends, bytes of one client become a request of another client.
httptools alone is not strict enough. It stops at a request that offers an upgrade, so that the body is parsed as the
next request, and it accepts request lines, transfer codings and trailers that RFC 9112 does not allow.
"""

import re

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from order_api.refusals import (
    CONTENT_LENGTH,
    HOST,
    LONG_HEAD,
    LONG_TARGET,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED,
    MAX_TARGET_BYTES,
    NOT_HTTP,
    TARGET,
    TRAILER,
    TRANSFER_ENCODING,
    TUNNEL,
    Refused,
)

CHECKED_HEADERS = frozenset({b"content-length", b"expect", b"host", b"transfer-encoding"})
NO_TRAILERS = CHECKED_HEADERS | {b"connection", b"upgrade"}
"""Headers that RFC 9110, section 6.5.1, forbids as trailers: they determine how a request is parsed or routed."""
MAX_LENGTH_DIGITS = 20
HOST_VALUE = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])?(?::\d*)?[ \t]*")
EMPTY_LINE = b"\r\n\r\n"
"""End of every head, and of every chunked body."""


class FramedConnection(HttpToolsProtocol):
    """uvicorn's connection with strict framing.

    It feeds the parser pieces of data such that no message begins within a piece. The raw bytes of each head are
    therefore known, and its request line can be compared with the parser's result.
    """

    _in_head = True
    _in_body = False
    _received = 0
    """Bytes of the current message so far, including empty lines before it."""
    _head = b""
    """Bytes of the current head that came in earlier pieces."""
    _piece = b""
    """Bytes of the current head, up to the end of the piece that is being parsed."""
    _last_bytes = b""
    _has_host = False
    _known_host: bytes | None = None
    _chunked = False
    _length = 0
    """Remaining bytes of a body with Content-Length."""
    _keep_alive = True

    def parse(self, data: bytes) -> None:
        """Feed the parser piece by piece. Raises HttpParserError for a refused request."""
        start, size = 0, len(data)
        while start < size:
            if self._in_body and self._length:
                end = min(start + self._length, size)
            elif start == 0 and data[0] in b"\r\n":
                end = self._end_of_line_begun(data)
            else:
                end = data.find(EMPTY_LINE, start) + 4
                if end < 4:
                    end = size
            piece = data[start:end]
            self._received += end - start
            self._piece = self._head + piece if self._head else piece
            try:
                self.parser.feed_data(piece)
            except HttpParserUpgrade as stopped:
                self._reparse_without_upgrade(piece[stopped.args[0] :])
            if not self._in_body:
                self._head = self._piece
            elif self._head:
                self._head = b""
            start = end
        if self._in_head or (self._in_body and not self._length):
            self._last_bytes = data[-3:] if size >= 3 else (self._last_bytes + data)[-3:]

    def _end_of_line_begun(self, data: bytes) -> int:
        """Return the end of the first empty line, which may begin in earlier data; without one, the end of the data."""
        before = len(self._last_bytes)
        found = (self._last_bytes + data).find(EMPTY_LINE)
        return len(data) if found < 0 else found + 4 - before

    def _reparse_without_upgrade(self, rest: bytes) -> None:
        """Parse the head again without its Upgrade header (RFC 9110, section 7.8), so that the body is not skipped."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self._piece = b"\r\n".join([*lines, b"", b""])
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # uvicorn sets the same leniency
        self.parser.feed_data(self._piece + rest)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, or drop a trailer. Raises Refused if it is not allowed.

        It replaces uvicorn's method instead of calling it, to save one call per header.
        """
        name = name.lower()
        if self._in_head:
            if name in CHECKED_HEADERS:
                self._check_header(name, value)
            self.headers.append((name, value))
        elif name in NO_TRAILERS:
            raise Refused(TRAILER)

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self._has_host or (value != self._known_host and not HOST_VALUE.fullmatch(value)):
                raise Refused(HOST)
            self._has_host, self._known_host = True, value
        elif name == b"content-length":
            if len(value) > MAX_LENGTH_DIGITS:
                raise Refused(CONTENT_LENGTH)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if self._chunked or value.lower() != b"chunked":
                raise Refused(TRANSFER_ENCODING)
            self._chunked = True
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        if len(self.url) > MAX_TARGET_BYTES:
            raise Refused(LONG_TARGET)
        if self._received > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            raise Refused(LONG_HEAD)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Refused(NOT_HTTP)
        method = self.parser.get_method()
        self._check_head(method)
        self._has_host = self._chunked = False
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise Refused(TUNNEL)
            return  # the head is parsed again without its Upgrade header
        super().on_headers_complete()
        self._in_head, self._in_body = False, True
        if self.expect_100_continue:
            # A client that gets its response instead of `100 Continue` may send the body or not (RFC 9110, 10.1.1).
            self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def _check_head(self, method: bytes) -> None:
        """Compare the raw request line with the parsed one, and check the requirements of the HTTP version."""
        line, head = b"%s %s HTTP/1.1\r\n" % (method, self.url), self._piece
        if not head.startswith(line):
            head = _without_empty_lines(head)
        if head.startswith(line):
            if not self._has_host:
                raise Refused(HOST)
        elif not head.startswith(line[:-3] + b"0\r\n"):
            raise Refused(NOT_HTTP)
        elif self._chunked:
            raise Refused(TRANSFER_ENCODING)
        if not self.url.isascii():
            raise Refused(TARGET)

    def on_body(self, body: bytes) -> None:
        if self._length:
            self._length -= len(body)
        if self.expect_100_continue:
            self._body_comes()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._in_head:
            return  # the head of a request with an Upgrade header, which is parsed again
        if self.expect_100_continue:
            self._body_comes()
        self._in_body = False
        self._received = 0
        self._piece = b""
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def _body_comes(self) -> None:
        """Keep the connection open: the client sends the body, so the end of this request is unambiguous."""
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive


def _without_empty_lines(head: bytes) -> bytes:
    """Return the head without empty lines before it, which a server should ignore (RFC 9112, section 2.2)."""
    rest = head.lstrip(b"\r\n")
    dropped = len(head) - len(rest)
    return rest if dropped % 2 == 0 and head.startswith(b"\r\n" * (dropped // 2)) else head
