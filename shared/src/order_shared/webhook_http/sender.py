"""One POST to a webhook endpoint, within bounds of time and size.

A receiver is never trusted: redirects are not followed, cookies and proxies are not used, compressed responses are not
expanded. The name of the host is resolved by `CheckedResolver`, and each socket is opened to a checked address, so
that an answer of a name server that changes between the check and the connection has no effect.
"""

import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.webhook_http.addresses import InvalidUrl, NotPublic, check_url, is_allowed
from order_shared.webhook_http.resolver import AddressNotPublic, CheckedResolver, DnsLookup, Lookup, NameNotFound

TOTAL_SECONDS = 20.0
"""Time limit of a request, from the look-up of the name to the end of the response."""
MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of a response that are read. The connection of a longer one is closed."""
KEPT_RESPONSE_BYTES = 1024
KEEP_ALIVE_SECONDS = 4.0
"""Time that an idle connection is kept: less than the five seconds after which Node.js closes its end."""
DNS_CACHE_SECONDS = 10


class WebhookSender(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Send one request and return its result. Raises nothing that a receiver causes."""
        ...


@asynccontextmanager
async def open_sender(
    *,
    local_receivers: bool = False,
    lookup: Lookup | None = None,
    trust: ssl.SSLContext | None = None,
    seconds: float = TOTAL_SECONDS,
    clock: Clock = utc_now,
) -> AsyncIterator["HttpSender"]:
    """Open a sender until the end of the block.

    With `local_receivers`, http and addresses of this machine are allowed. `trust` has the certificate authorities;
    by default those of the system.
    """

    def checked_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), local_receivers=local_receivers):
            raise AddressNotPublic(f"{address[0]} is not public")
        return socket.socket(family, kind, protocol)

    resolver = CheckedResolver(lookup or DnsLookup(), local_receivers=local_receivers)
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=checked_socket,
        ssl=trust or True,
        limit=0,  # the caller limits the requests that run at the same time
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ttl_dns_cache=DNS_CACHE_SECONDS,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        proxy=None,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=seconds),
        headers={"accept-encoding": "identity"},
    ) as http:
        try:
            yield HttpSender(http, local_receivers=local_receivers, clock=clock)
        finally:
            await resolver.close()


class HttpSender:
    def __init__(self, http: aiohttp.ClientSession, *, local_receivers: bool, clock: Clock) -> None:
        self._http = http
        self._local_receivers = local_receivers
        self._clock = clock

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        at, began = self._clock(), time.monotonic()
        status: int | None = None
        error: AttemptError | None = None
        received = bytearray()
        try:
            target = check_url(url, local_receivers=self._local_receivers)
            async with self._http.post(target, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                await _read(response, received)
        except _FAILURES as failure:
            error = _error_of(failure)
        return Attempt(
            at=at,
            status=status,
            error=error,
            milliseconds=round((time.monotonic() - began) * 1000),
            response=printable(bytes(received[:KEPT_RESPONSE_BYTES])),
        )


def printable(body: bytes) -> str:
    """Return the body as text. Each byte or character that cannot be shown becomes U+FFFD."""
    text = body.decode("utf-8", "replace")
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


async def _read(response: aiohttp.ClientResponse, received: bytearray) -> None:
    """Read the body, and close the connection if it is longer than allowed."""
    async for piece in response.content.iter_any():
        received += piece
        if len(received) > MAX_RESPONSE_BYTES:
            response.close()
            return


_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)  # a TimeoutError is an OSError

_ERRORS: tuple[tuple[type[BaseException], AttemptError], ...] = (
    (AddressNotPublic, AttemptError.ADDRESS_NOT_PUBLIC),
    (NotPublic, AttemptError.ADDRESS_NOT_PUBLIC),
    (NameNotFound, AttemptError.NAME_NOT_FOUND),
    (TimeoutError, AttemptError.TIMED_OUT),
    (aiohttp.ClientSSLError, AttemptError.TLS_FAILED),
    (aiohttp.InvalidURL, AttemptError.INVALID_URL),
    (InvalidUrl, AttemptError.INVALID_URL),
    (aiohttp.ClientResponseError, AttemptError.INVALID_RESPONSE),
    (aiohttp.ClientPayloadError, AttemptError.INVALID_RESPONSE),
    (HttpProcessingError, AttemptError.INVALID_RESPONSE),
    (aiohttp.ClientConnectionError, AttemptError.CONNECTION_FAILED),
    (OSError, AttemptError.CONNECTION_FAILED),
)
"""Error of each exception, the most specific first."""


def _error_of(failure: BaseException) -> AttemptError:
    """Return the error of a failure, or of the failure of the operating system that it wraps."""
    wrapped = getattr(failure, "os_error", None)
    cause = wrapped if isinstance(wrapped, AddressNotPublic | NameNotFound) else failure
    return next((error for kind, error in _ERRORS if isinstance(cause, kind)), AttemptError.INVALID_RESPONSE)
