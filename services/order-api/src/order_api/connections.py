"""uvicorn's connections, with the bounds that it does not set itself: on a request's head, on requests in a row, on raw
bytes, on time.

With httptools uvicorn takes a head of any size, and waits for ever for a request that has begun, for one that never
begins, and for a client that does not take up its answer. None of those reaches the application, or leaves it again.
"""

import asyncio
import uuid
from typing import ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from order_api.limits import MAX_BODY_BYTES
from order_api.problems import HEAD_TOO_LARGE, MALFORMED, TARGET_TOO_LONG, ProblemKind, problem_response

log = structlog.get_logger(__name__)

MAX_TARGET_BYTES = 8 * 1024
"""Of the path and the query."""
MAX_HEAD_BYTES = 32 * 1024
"""Of the path, the query and all headers."""
MAX_HEADERS = 100
MAX_PIPELINED = 16
"""Requests that wait on one connection for the one before them; a client that sends on regardless is cut off."""
MAX_MESSAGE_BYTES = 16 * MAX_BODY_BYTES
"""As sent: a body in tiny chunks, trailers, and what still comes after the answer count as well."""

BOUNDS = {
    HEAD_TOO_LARGE: f"Path, query and headers may have {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers at most.",
    TARGET_TOO_LONG: f"Path and query may have {MAX_TARGET_BYTES} bytes at most.",
    MALFORMED: "What was sent is not a request of HTTP/1.1.",
}


class _HeadRefused(Exception):
    """Ends the parser's work on a head."""


class BoundedConnection(HttpToolsProtocol):
    """One deadline at a time: for a head, for what follows it, for the client to take up an answer.

    The deadline for a body is twice `seconds`, so that the application, which gives it `seconds`, answers first;
    this one is for a body that nobody reads.
    """

    seconds: ClassVar[float]

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _in_head = True
    _in_body = False
    _received = 0
    _refusal = MALFORMED

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_until(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_clock()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        self._received += len(data)
        if self.transport.is_closing():
            return
        if not (self._in_head or self._in_body):
            self._stop_reading_clock()
            if self.cycle.response_complete:  # these bytes stopped uvicorn's own clock, which starts after an answer
                self._await_until(self.timeout_keep_alive)
        elif self._in_head and self._received > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        elif self._received > MAX_MESSAGE_BYTES:
            self.transport.close()
        elif self._reading is None or was_in_head != self._in_head:
            self._await_until(self.seconds if self._in_head else 2 * self.seconds)

    def on_message_begin(self) -> None:
        self._stop_reading_clock()
        self._in_head, self._in_body, self._received = True, False, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes after a chunked body is no header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > MAX_TARGET_BYTES:
            self._refusal = TARGET_TOO_LONG
        elif size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refusal = HEAD_TOO_LARGE
        if self._refusal is not MALFORMED or len(self.pipeline) >= MAX_PIPELINED:
            raise _HeadRefused
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's wording, for every fault
        """What uvicorn calls when the parser gives up: our refusal, as a problem like any other."""
        self._refuse(self._refusal)

    def _refuse(self, kind: ProblemKind) -> None:
        # There is no cycle before the first request. Within one, a refusal would stand in the midst of its answer.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]  # uvicorn says never None
            request_id = uuid.uuid4().hex
            log.warning("connection_refused", code=kind.code, request_id=request_id)
            scope = {"path": "", "state": {"request_id": request_id}}
            headers = {"X-Request-Id": request_id, "Connection": "close"}
            answer = problem_response(scope, kind, BOUNDS[kind], headers=headers)
            lines = [b"%s: %s\r\n" % header for header in answer.raw_headers]
            status = f"HTTP/1.1 {kind.status.value} {kind.status.phrase}\r\n".encode()
            self.transport.write(b"".join([status, *lines, b"\r\n", bytes(answer.body)]))
        self.transport.close()

    def _await_until(self, seconds: float) -> None:
        self._stop_reading_clock()
        self._reading = self.loop.call_later(seconds, self._out_of_time)

    def _stop_reading_clock(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _out_of_time(self) -> None:
        self._reading = None
        if self.flow.read_paused:  # then it is we who do not read
            self._await_until(self.seconds)
        else:
            self.transport.close()


def connections(seconds: float) -> type[BoundedConnection]:
    """uvicorn makes its connections of a class, and gives them nothing of ours."""
    return type("Connection", (BoundedConnection,), {"seconds": seconds})
