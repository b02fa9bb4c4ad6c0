"""HTTP connections with limits that uvicorn does not set: on heads, pipelined requests, bytes and time.

With httptools, uvicorn accepts a head of any size. It waits without limit for the first request, for the rest of a
request, and for a client that does not read its response. The application cannot limit any of these.
"""

import asyncio
from typing import ClassVar

from httptools import HttpParserError

from order_api.framing import FramedConnection
from order_api.limits import MAX_BODY_BYTES
from order_api.refusals import LONG_HEAD, MAX_HEAD_BYTES, NOT_HTTP, Refusal, Refused, encode_refusal

MAX_MESSAGE_BYTES = 16 * MAX_BODY_BYTES
"""Maximum bytes of one message, including chunk framing, trailers, and data received after the response."""


class BoundedConnection(FramedConnection):
    """Connection with one deadline at a time: for a head, for a body, or for the client to read a response.

    The deadline for a body is twice `seconds`: the application has a deadline of `seconds` and so responds first. This
    deadline covers a body that the application does not read.
    """

    seconds: ClassVar[float]
    public_address: ClassVar[str] = ""

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_until(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_clock()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data and set the next deadline. Replaces uvicorn's method."""
        self._unset_keepalive_if_required()
        message, was_in_head = self.scope, self._in_head
        try:
            self.parse(data)
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, Refused) else NOT_HTTP)
            return
        if self.transport.is_closing():
            return
        if not self._in_body and self._received > MAX_HEAD_BYTES:
            self._refuse(LONG_HEAD)
        elif not (self._in_head or self._in_body):
            self._stop_reading_clock()
            if self.cycle.response_complete:  # these bytes stopped uvicorn's keep-alive timer
                self._await_until(self.timeout_keep_alive)
        elif self._received > MAX_MESSAGE_BYTES:
            self.transport.close()
        elif self._reading is None or message is not self.scope or was_in_head != self._in_head:
            self._await_until(self.seconds if self._in_head else 2 * self.seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _refuse(self, refusal: Refusal) -> None:
        # Before the first request there is no cycle. During a cycle, a refusal would be a second response to a request.
        if not self._in_body and (self.cycle is None or self.cycle.response_complete):  # type: ignore[redundant-expr]  # declared as never None by uvicorn
            self.transport.write(encode_refusal(refusal, self.public_address))
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
        if self.flow.read_paused:  # this server has paused reading, so the client is not late
            self._await_until(self.seconds)
        else:
            self.transport.close()


def connections(seconds: float, public_address: str = "") -> type[BoundedConnection]:
    """Return the connection class for uvicorn, with a deadline of `seconds`. Problems refer to `public_address`."""
    return type("Connection", (BoundedConnection,), {"seconds": seconds, "public_address": public_address})
