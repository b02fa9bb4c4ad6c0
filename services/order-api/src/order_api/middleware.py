"""Middleware of every request.

RequestContext adds the request id, the log line, metrics and the handling of unexpected errors. Admission adds
authentication and limits.
"""

import asyncio
import re
import time
from http import HTTPStatus

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from order_api.auth import TokenVerifier, bearer_token
from order_api.dependencies import OPERATIONAL
from order_api.health.lifecycle import Lifecycle
from order_api.limits import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    BodyTooSlow,
    LimitExceeded,
    Overloaded,
    RateLimited,
    TenantBuckets,
)
from order_api.metrics import ApiMetrics
from order_api.problems import INTERNAL_ERROR, METHODS, error_response, problem_response
from order_api.schemas import V1
from order_shared.domain.errors import PlatformError
from order_shared.entropy import random_uuid
from order_shared.runtime.tracing import TRACEPARENT, trace_id_of
from order_shared.runtime.tracing.port import Tracing

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
CLOSE = (b"connection", b"close")


class RequestContext:
    """Middleware around all others but PageHeaders: request id, log line, metrics and unexpected errors.

    Every response, errors included, gets the headers in `state["response_headers"]`. A HEAD request is handled as GET,
    and its response is sent without the body.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: ApiMetrics, tracing: Tracing, lifecycle: Lifecycle, public_address: str
    ) -> None:
        self._app = app
        self._public_address = public_address
        self._metrics = metrics
        self._tracing = tracing
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"]
        is_head = method == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}  # a copy: the server must not send the body
        request_id = _request_id(scope)
        response_headers = [(b"x-request-id", request_id.encode())]
        traceparent = self._tracing.traceparent() or _traceparent(scope)
        scope.setdefault("state", {}).update(
            request_id=request_id,
            response_headers=response_headers,
            traceparent=traceparent,
            public_address=self._public_address,
            is_head=is_head,
        )
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if traceparent is not None:
            structlog.contextvars.bind_contextvars(trace_id=trace_id_of(traceparent))
        status = 0

        async def tagged_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._tracing.describe(structlog.contextvars.get_contextvars())
                if self._lifecycle.is_stopping:  # so that the load balancer sends no further request on this connection
                    response_headers.append(CLOSE)
                message["headers"] = [*message.get("headers", ()), *response_headers]
            elif is_head:
                message["body"] = b""
            await send(message)

        try:
            await self._app(scope, receive, tagged_send)
        except Exception:
            log.exception("request_crashed")
            if status:
                raise  # the response has begun, so it can only be aborted
            detail = "An unexpected error occurred. Include the request id when you ask for support."
            await problem_response(scope, INTERNAL_ERROR, detail)(scope, receive, tagged_send)
        finally:
            self._record(scope, method, status, time.perf_counter() - started)

    def _record(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        counted = method if method in METHODS else "other"  # limits the number of series
        self._metrics.requests(route, counted, str(status)).inc()
        if status == HTTPStatus.ACCEPTED and route == f"{V1}/orders":
            self._metrics.accept_seconds.observe(seconds)
        is_probe = status == HTTPStatus.OK and route in OPERATIONAL  # several per second would hide other log lines
        write_log = log.debug if is_probe else log.info
        write_log("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Refused(BaseException):
    """Wrapper that carries an error through the framework, which turns other errors while reading a body into a 400."""

    def __init__(self, error: PlatformError) -> None:
        self.error = error


class Admission:
    """Middleware that checks the number of concurrent requests, the token, the tenant's rate, and then the body.

    A request that becomes a stream calls `state["leave_in_flight"]`: it then counts as a stream only.

    Below `/v1`, a request without a valid token is rejected before its body is read and before it counts towards the
    rate of a tenant. The route checks the scope before it reads the body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        buckets: TenantBuckets,
        max_in_flight: int,
        body_seconds: float,
        metrics: ApiMetrics,
        release: str,
    ) -> None:
        self._app = app
        self._buckets = buckets
        self._policy = (b"ratelimit-policy", buckets.policy.encode())
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._body_seconds = body_seconds
        self._refused = metrics.refused
        self._release = (b"order-release", release.encode())
        metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPERATIONAL:
            await self._app(scope, receive, send)
            return
        self._in_flight += 1
        is_counted = True

        def leave() -> None:
            nonlocal is_counted
            self._in_flight -= is_counted
            is_counted = False

        scope["state"]["leave_in_flight"] = leave
        try:
            if self._in_flight > self._max_in_flight:
                raise Overloaded
            if scope["path"].startswith(f"{V1}/"):
                await self._authenticate(scope)
            await self._app(scope, self._bounded(scope, receive), send)
        except (PlatformError, _Refused) as refused:
            error = refused.error if isinstance(refused, _Refused) else refused
            if isinstance(error, LimitExceeded):
                self._refused.labels(error.limit).inc()
            await error_response(scope, error)(scope, receive, send)
        finally:
            leave()

    async def _authenticate(self, scope: Scope) -> None:
        """Authenticate the caller and apply the rate limit of the tenant. Add the release and rate limit headers."""
        response_headers = scope["state"]["response_headers"]
        response_headers.append(self._policy)
        tokens: TokenVerifier = scope["app"].state.services.tokens
        identity = await tokens.verify(bearer_token(*_headers(scope, b"authorization")))
        response_headers.append(self._release)
        allowance = self._buckets.take(identity.customer.tenant)
        response_headers.append((b"ratelimit", b'"default";r=%d;t=%d' % (allowance.remaining, allowance.reset)))
        if not allowance.granted:
            raise RateLimited(allowance.retry_after)
        structlog.contextvars.bind_contextvars(tenant=identity.customer.tenant)
        scope["state"]["identity"] = identity

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that limits the size and duration of the body. It raises _Refused beyond a limit."""
        received = 0
        ends_at: float | None = None
        is_complete = False

        async def bounded() -> Message:
            nonlocal received, ends_at, is_complete
            if is_complete:
                return await receive()  # waits for the client's disconnect, without a deadline
            if ends_at is None:
                if _declared_length(scope) > MAX_BODY_BYTES:
                    raise _Refused(BodyTooLarge())
                ends_at = asyncio.get_running_loop().time() + self._body_seconds
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise _Refused(BodyTooSlow(self._body_seconds)) from None
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise _Refused(BodyTooLarge())
            is_complete = not message.get("more_body", False)
            return message

        return bounded


def _request_id(scope: Scope) -> str:
    given = _header(scope, b"x-request-id") or ""
    return given if REQUEST_ID.fullmatch(given) else random_uuid().hex


def _traceparent(scope: Scope) -> str | None:
    """Return the caller's `traceparent` header, or None if it is missing or not valid."""
    given = _header(scope, b"traceparent")
    return given if given and TRACEPARENT.fullmatch(given) else None


def _declared_length(scope: Scope) -> int:
    declared = _header(scope, b"content-length") or "0"
    return int(declared) if declared.isdecimal() else 0


def _header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of this name, which must be lower case."""
    return next(iter(_headers(scope, name)), None)


def _headers(scope: Scope, name: bytes) -> list[str]:
    """Return the headers of this name, which must be lower case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
