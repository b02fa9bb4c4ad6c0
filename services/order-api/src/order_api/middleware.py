"""Round every request: its id, its log line, its numbers, the limit on its body, who asks, the last net for errors."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from order_api.auth import TokenVerifier, bearer_token
from order_api.metrics import ApiMetrics
from order_api.problems import INTERNAL_ERROR, PAYLOAD_TOO_LARGE, error_response, problem_response
from order_api.schemas import V1
from order_shared.exceptions import PlatformError

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class _BodyTooLarge(BaseException):
    """Passes through the framework, which would make a bad request of it."""


class RequestContext:
    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise _BodyTooLarge
            return message

        async def tagged_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            if _declared_length(scope) > MAX_BODY_BYTES:
                raise _BodyTooLarge  # noqa: TRY301 - one place answers both
            await self._app(scope, limited_receive, tagged_send)
        except _BodyTooLarge:
            detail = f"The body may have {MAX_BODY_BYTES} bytes at most."
            await problem_response(scope, PAYLOAD_TOO_LARGE, detail)(scope, receive, tagged_send)
        except Exception:
            log.exception("request_crashed")
            if status:
                raise  # the answer has begun: all that is left is to break it off
            detail = "Something went wrong on our side; the request id leads us to it."
            await problem_response(scope, INTERNAL_ERROR, detail)(scope, receive, tagged_send)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(route, scope["method"], str(status)).inc()
        if status == 202:
            self._metrics.accept_seconds.observe(seconds)
        log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))


class Authentication:
    """Nothing below `/v1` is read, parsed or looked up for a caller who is not known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{V1}/"):
            tokens: TokenVerifier = scope["app"].state.services.tokens
            try:
                scope["state"]["identity"] = await tokens.verify(bearer_token(Headers(scope=scope)))
            except PlatformError as error:
                await error_response(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _declared_length(scope: Scope) -> int:
    declared = Headers(scope=scope).get("content-length", "0")
    return int(declared) if declared.isdecimal() else 0
