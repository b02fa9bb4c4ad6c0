"""API calls, each retried until a final response or the deadline."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

import httpx2

from order_client.exceptions import Problem, UnexpectedAnswer, Unreachable
from order_client.proxies import proxy_for
from order_client.retries import RetryPolicy, Time

TOKEN_PATTERN = re.compile("[!-~]+")
Token = str | Callable[[], Awaitable[str]]
"""Bearer token, or an async function that returns one; it is called before every attempt."""


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


class Caller:
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
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            transport=transport or httpx2.AsyncHTTPTransport(proxy=proxy_for(base_url)),
            timeout=None,
        )

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a caller that sends these headers with every request, over the same connections."""
        other = copy(self)
        other._headers = headers  # noqa: SLF001 - of a copy of this object
        return other

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call) -> httpx2.Response:
        """Send the request and return its response, 2xx or 304.

        Raises Problem, Unreachable, UnexpectedAnswer, and ValueError for an invalid token.
        """
        end = self._time.clock() + self._policy.deadline + call.held
        attempt = 0
        while True:
            try:
                return await self._attempt(call, end)
            except (Problem, Unreachable) as error:
                pause = self._policy.pause(attempt, self._time.jitter)
                if isinstance(error, Problem):
                    if not error.retryable:
                        raise
                    pause += error.retry_after or 0.0
                if self._time.clock() + pause >= end:
                    raise
            await self._time.sleep(pause)
            attempt += 1

    async def _attempt(self, call: Call, end: float) -> httpx2.Response:
        budget = min(self._policy.attempt_timeout + call.held, end - self._time.clock())
        try:
            async with asyncio.timeout(budget):
                token = self._token if isinstance(self._token, str) else await self._token()
                authorization = _bearer(token)
                response = await self._http.request(
                    call.method,
                    call.path,
                    params=call.params,
                    json=call.body,
                    headers={**self._headers, **call.headers, "Authorization": authorization},
                )
        except (httpx2.TransportError, TimeoutError) as error:
            why = "no response in time" if isinstance(error, TimeoutError | httpx2.TimeoutException) else str(error)
            raise Unreachable(f"{self._http.base_url}: {why}") from error
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
