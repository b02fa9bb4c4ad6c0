"""Responses to requests that never reach the application. Each is a problem; the connection then closes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog

from order_api.problems import (
    FRAMEWORK_PROBLEMS,
    HEAD_TOO_LARGE,
    MALFORMED,
    METHODS,
    TARGET_TOO_LONG,
    ProblemKind,
    problem_response,
)
from order_shared.entropy import random_uuid

log = structlog.get_logger(__name__)

MAX_TARGET_BYTES = 8 * 1024
"""Maximum length of path and query together."""
MAX_HEAD_BYTES = 32 * 1024
"""Maximum length of path, query and headers together."""
MAX_HEADERS = 100
MAX_PIPELINED = 16
"""Pipelined requests that may wait on one connection. A client that sends more is disconnected."""


@dataclass(frozen=True)
class Refusal:
    """Problem kind, and a sentence about what the client must change."""

    kind: ProblemKind
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Error raised in a parser callback to stop the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


LONG_HEAD = Refusal(
    HEAD_TOO_LARGE, f"Path, query and headers may have {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers at most."
)
LONG_TARGET = Refusal(TARGET_TOO_LONG, f"Path and query may have {MAX_TARGET_BYTES} bytes at most.")
NOT_HTTP = Refusal(MALFORMED, "The received data is not a valid HTTP/1.1 request.")
HOST = Refusal(
    MALFORMED, "Send exactly one Host header that names the API's host, for example `Host: api.example.com`."
)
TARGET = Refusal(MALFORMED, "Percent-encode every character of the path and query that is not visible ASCII.")
CONTENT_LENGTH = Refusal(
    MALFORMED, "Send one Content-Length header with the body's size in bytes, as a decimal number."
)
TRANSFER_ENCODING = Refusal(
    MALFORMED,
    "Send `Transfer-Encoding: chunked`, once and in HTTP/1.1, or Content-Length; other codings are not supported.",
)
TRAILER = Refusal(MALFORMED, "Send this header before the body; it is not allowed in the trailers of a chunked body.")
TUNNEL = Refusal(
    FRAMEWORK_PROBLEMS[HTTPStatus.METHOD_NOT_ALLOWED],
    "The CONNECT method is not supported.",
    {"Allow": ", ".join(METHODS)},
)

DOCUMENTED = (LONG_HEAD, LONG_TARGET, NOT_HTTP)
"""Refusals in the OpenAPI document: one for each problem code that any request can get."""


def encode_refusal(refusal: Refusal, public_address: str = "") -> bytes:
    """Log the refusal and return the complete response as bytes."""
    kind, request_id = refusal.kind, random_uuid().hex
    log.warning("connection_refused", code=kind.code, detail=refusal.detail, request_id=request_id)
    scope = {"path": "", "state": {"request_id": request_id, "public_address": public_address}}
    headers = {**refusal.headers, "X-Request-Id": request_id, "Connection": "close"}
    response = problem_response(scope, kind, refusal.detail, headers=headers)
    status = f"HTTP/1.1 {kind.status.value} {kind.status.phrase}\r\n".encode()
    lines = [b"%s: %s\r\n" % header for header in response.raw_headers]
    return b"".join([status, *lines, b"\r\n", bytes(response.body)])
