"""API calls, each retried until a final response or the deadline."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import Self
from urllib.parse import urlsplit

import httpx2

from order_client.exceptions import Problem, Unauthenticated, UnexpectedAnswer, Unreachable
from order_client.proxies import proxy_for
from order_client.retries import RetryPolicy, Time

log = logging.getLogger("order_client")

TOKEN_PATTERN = re.compile("[!-~]+")
Token = str | Callable[[], Awaitable[str]]
"""Bearer token, or an async function that returns one; it is called before every attempt."""
USER_AGENT = f"order-client-python/{version('order-client')}"
MAX_CALLS = 100
"""Calls of one client at the same time. Further calls wait for their turn, within their deadlines."""
MAX_WAITS = 1000
"""The same for calls in which the API waits for a change of an order."""
KEPT_CONNECTIONS = 100
"""Idle connections that are kept open."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Idempotent request: sending it several times has the same effect as sending it once."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: tuple[tuple[str, str], ...] = ()
    body: object | None = None
    held: float = 0.0
    """Seconds that the API may wait before it responds, as requested with `Prefer: wait`."""


@dataclass(kw_only=True)
class _Link:
    """Connections to the API, which several callers share.

    The pool itself has no limit: a cancelled call would keep its place in the pool's queue.
    """

    http: httpx2.AsyncClient
    calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CALLS))
    waits: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_WAITS))
    is_reached: bool = True
    """False from the first attempt without a response until a response."""


class Caller:
    """Sender of calls with one token."""

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        policy: RetryPolicy,
        time: Time,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        """Create a caller. Raises ValueError for a base URL that is no HTTP URL, or a proxy that cannot be used."""
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"the base URL of the API must begin with https:// or http://, but it is {base_url!r}")
        self._token = token
        self._headers: Mapping[str, str] = {}
        self._policy = policy
        self._time = time
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS)
        self._link = _Link(
            http=httpx2.AsyncClient(
                base_url=base_url,
                headers={"User-Agent": USER_AGENT},
                transport=transport or httpx2.AsyncHTTPTransport(proxy=proxy_for(base_url), limits=limits),
                timeout=None,
            )
        )

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a caller that sends these headers with every request, over the same connections."""
        other = copy(self)
        other._headers = headers  # noqa: SLF001 - of a copy of this object
        return other

    async def aclose(self) -> None:
        await self._link.http.aclose()

    @asynccontextmanager
    async def stream(self, call: Call, *, silence: float) -> AsyncIterator[httpx2.Response]:
        """Send the request and yield its response, whose body is read as it arrives.

        Raises the errors of `send`. Reading the body raises TransportError if the connection is lost, or if nothing
        arrives for `silence` seconds.
        """
        timeout = httpx2.Timeout(None, read=silence)
        response = await self._until_final(call, lambda end: self._take_turn(call, end, timeout))
        try:
            yield response
        finally:
            await response.aclose()

    async def send(self, call: Call) -> httpx2.Response:
        """Send the request and return its response, 2xx or 304.

        If the token comes from a function and is refused, one attempt with a new token is made.
        Raises Problem, Unreachable, UnexpectedAnswer, and ValueError for an invalid token.
        """
        return await self._until_final(call, lambda end: self._take_turn(call, end))

    async def _until_final(
        self, call: Call, attempt_until: Callable[[float], Awaitable[httpx2.Response]]
    ) -> httpx2.Response:
        """Make attempts until a final response or the deadline."""
        end = self._time.clock() + self._policy.deadline + call.held
        attempt = 0
        may_renew = not isinstance(self._token, str)
        while True:
            try:
                response = await attempt_until(end)
            except Unauthenticated:
                if not may_renew:
                    raise
                may_renew = False
                continue
            except (Problem, Unreachable) as error:
                self._report(error, end)
                pause = self._policy.pause(attempt, self._time.jitter)
                if isinstance(error, Problem):
                    if not error.retryable:
                        raise
                    pause += error.retry_after or 0.0
                if self._time.clock() + pause >= end:
                    raise
            else:
                self._link.is_reached = True
                return response
            await self._time.sleep(pause)
            attempt += 1

    def _report(self, error: Problem | Unreachable, end: float) -> None:
        """Log the first attempt of an outage that gets no response."""
        if isinstance(error, Unreachable) and self._link.is_reached:
            log.warning("%s; calls are repeated, this one for %.0f s more", error, max(0.0, end - self._time.clock()))
        self._link.is_reached = not isinstance(error, Unreachable)

    async def _take_turn(self, call: Call, end: float, stream_timeout: httpx2.Timeout | None = None) -> httpx2.Response:
        """Make an attempt as soon as less than the maximum of calls is in progress."""
        turn = self._link.waits if call.held else self._link.calls
        try:
            async with asyncio.timeout(end - self._time.clock()):
                await turn.acquire()
        except TimeoutError as error:
            raise Unreachable(f"{self._link.http.base_url}: too many calls are waiting for a response") from error
        try:
            return await self._attempt(call, end, stream_timeout)
        finally:
            turn.release()

    async def _attempt(self, call: Call, end: float, stream_timeout: httpx2.Timeout | None) -> httpx2.Response:
        """Send the request once. With `stream_timeout` the body of a successful response is not read yet."""
        streams = stream_timeout is not None
        budget = min(self._policy.attempt_timeout + call.held, end - self._time.clock())
        try:
            async with asyncio.timeout(budget):
                token = self._token if isinstance(self._token, str) else await self._token()
                authorization = _bearer(token)
                request = self._link.http.build_request(
                    call.method,
                    call.path,
                    params=call.params,
                    json=call.body,
                    headers={**self._headers, **call.headers, "Authorization": authorization},
                    timeout=stream_timeout,
                )
                response = await self._link.http.send(request, stream=streams)
                if streams and not response.is_success:
                    await response.aread()
        except (httpx2.TransportError, TimeoutError) as error:
            why = "no response in time" if isinstance(error, TimeoutError | httpx2.TimeoutException) else str(error)
            raise Unreachable(f"{self._link.http.base_url}: {why}") from error
        except (httpx2.DecodingError, httpx2.InvalidURL) as error:
            raise UnexpectedAnswer(str(error)) from error
        if response.is_success or response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        if response.is_error:
            raise Problem.of(response)
        raise UnexpectedAnswer(f"{response.url} returned the unexpected status {response.status_code}")


def _bearer(token: str) -> str:
    """Return the value of the Authorization header. Raises ValueError, without the token, if the token is invalid."""
    if not TOKEN_PATTERN.fullmatch(token.strip()):
        raise ValueError("the token is empty, or has characters that are not allowed in a header")
    return f"Bearer {token.strip()}"
