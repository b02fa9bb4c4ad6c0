"""The requests that h11, a strict parser written from the RFCs, reads from a stream."""

from dataclasses import dataclass

import h11

from tests.fuzz.framing.messages import CRLF, Request, normal_target

MAX_HEAD = 1 << 20


@dataclass(frozen=True)
class Reading:
    """The requests of one connection, and how it ended.

    `closed` says that no more requests are read, `failure` is the error of the parser, if that is the reason.
    """

    requests: tuple[Request, ...]
    closed: bool
    failure: str = ""


def read_strictly(data: bytes, *, heads_only: bool = False) -> Reading:
    """Read a whole stream with h11, answering each request at once."""
    requests: list[Request] = []
    while True:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        connection.receive_data(_skip_empty_lines(data))
        try:
            complete = _read_request(connection, requests, heads_only=heads_only)
        except h11.RemoteProtocolError as error:
            return Reading(tuple(requests), closed=True, failure=str(error))
        if not complete:
            return Reading(tuple(requests), closed=False)
        connection.send(h11.Response(status_code=404, headers=[(b"Content-Length", b"0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is h11.MUST_CLOSE:
            return Reading(tuple(requests), closed=True)
        data = connection.trailing_data[0]


def _read_request(connection: h11.Connection, requests: list[Request], *, heads_only: bool) -> bool:
    """Append the next request, and return whether it is complete; with `heads_only` a head is appended at once."""
    head: h11.Request | None = None
    body = b""
    while True:
        match connection.next_event():
            case h11.Request() as head:
                target = normal_target(head.target)
                if heads_only:
                    requests.append(Request(head.method, target, b""))
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                if head is not None and not heads_only:
                    requests.append(Request(head.method, normal_target(head.target), body))
                return True
            case _:
                return False


def _skip_empty_lines(data: bytes) -> bytes:
    """Drop empty lines before a request line: RFC 9112, section 2.2, says to ignore them, and h11 does not."""
    while data.startswith(CRLF):
        data = data[2:]
    return data
