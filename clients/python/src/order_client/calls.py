"""One call of the API: attempts, until there is an answer that counts or no time left."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx2

from order_client.exceptions import Problem, UnexpectedAnswer, Unreachable
from order_client.retries import RetryPolicy, Time

TOKEN_PATTERN = re.compile("[!-~]+")
Token = str | Callable[[], Awaitable[str]]
"""A bearer token, or what gives one; asked before every attempt."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that may be sent any number of times: it has the same effect as when sent once."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: tuple[tuple[str, str], ...] = ()
    body: object | None = None
    held: float = 0.0
    """Seconds for which the API may hold the answer back, because it was asked to."""


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
        """Raises ValueError unless the base URL is an absolute one."""
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"the API's address must begin with https:// (or http://), and is {base_url!r}")
        self._token = token
        self._policy = policy
        self._time = time
        self._http = httpx2.AsyncClient(base_url=base_url, transport=transport, timeout=None)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call) -> httpx2.Response:
        """The answer: 2xx, or 304. Raises Problem, Unreachable, UnexpectedAnswer."""
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
                    headers={**call.headers, "Authorization": authorization},
                )
        except (httpx2.TransportError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError | httpx2.TimeoutException) else str(error)
            raise Unreachable(f"{self._http.base_url}: {why}") from error
        except (httpx2.DecodingError, httpx2.InvalidURL) as error:
            raise UnexpectedAnswer(str(error)) from error
        if response.is_success or response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        if response.is_error:
            raise Problem.of(response)
        raise UnexpectedAnswer(f"{response.url} answered {response.status_code}")


def _bearer(token: str) -> str:
    """Raises ValueError for what no header can carry; the transport's own error would show the token."""
    if not TOKEN_PATTERN.fullmatch(token.strip()):
        raise ValueError("the token is empty, or has characters that no header can carry")
    return f"Bearer {token.strip()}"
