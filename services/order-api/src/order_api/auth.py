"""Who asks: bearer tokens verified against the issuer's published keys.

The tenant and the customer come from the verified token and from nowhere else.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import jwt
import structlog

from order_shared.exceptions import PlatformError
from order_shared.order.models import Customer
from order_shared.patterns import NAME_PATTERN

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""Asymmetric only: with `none` or a symmetric algorithm, anyone could sign."""

LEEWAY_SECONDS = 30
NAME = re.compile(NAME_PATTERN)
MAX_TOKEN_LENGTH = 8192

KEY_LIFETIME = 300.0
"""Seconds until the key set is asked for again."""
MIN_REFETCH = 5.0
"""Seconds between two fetches, so that made-up key ids do not turn into requests, nor an outage into a queue."""
FETCH_TIMEOUT = 3.0


class Unauthenticated(PlatformError):
    """No token, or none that holds."""


class InsufficientScope(PlatformError):
    def __init__(self, scope: str) -> None:
        super().__init__(f"the token lacks the scope {scope}")
        self.scope = scope


class KeysUnavailable(PlatformError):
    """The issuer's keys could not be fetched, and none are known."""


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of the header Authorization; raises Unauthenticated if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send a bearer token in the header Authorization")
    return token.strip()


@dataclass(frozen=True, slots=True)
class Identity:
    customer: Customer
    scopes: frozenset[str]


class KeySource(Protocol):
    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """The issuer's key of this id. Raises KeysUnavailable."""


class JwksClient:
    """The issuer's key set over HTTP, kept while it is fresh, and kept on while the issuer is down."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = -KEY_LIFETIME
        self._tried_at = -MIN_REFETCH
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """A known key at once, whatever its age; only an unknown one waits for the issuer."""
        key = self._keys.get(key_id)
        if key is not None:
            if self._is_stale() and (self._refreshing is None or self._refreshing.done()):
                self._refreshing = asyncio.create_task(self._refresh())
            return key
        await self._refresh(unless_known=key_id)
        if not self._keys:
            raise KeysUnavailable(f"{self._url} gives no keys")
        return self._keys.get(key_id)

    def _is_stale(self) -> bool:
        return time.monotonic() - self._fetched_at > KEY_LIFETIME

    async def _refresh(self, unless_known: str | None = None) -> None:
        """One fetch at a time; whoever waited for one looks first whether it brought what they want."""
        async with self._lock:
            if unless_known not in self._keys:
                await self._fetch()

    async def _fetch(self) -> None:
        """Fetches the key set, unless that was tried a moment ago. A failure keeps what is known."""
        now = time.monotonic()
        if now - self._tried_at < MIN_REFETCH:
            return
        self._tried_at = now
        try:
            async with self._http.get(self._url, timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT)) as response:
                response.raise_for_status()
                self._keys = _usable_keys(await response.json(content_type=None))
                self._fetched_at = now
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("keys_not_fetched", url=self._url, error=repr(error))


def _usable_keys(document: Any) -> dict[str, jwt.PyJWK]:
    """By key id. What is not for signatures, symmetric, or of a kind nobody here knows is left out."""
    listed = document.get("keys") if isinstance(document, dict) else None
    usable: dict[str, jwt.PyJWK] = {}
    for key in listed if isinstance(listed, list) else []:
        if not isinstance(key, dict) or not isinstance(key.get("kid"), str):
            continue
        if key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            continue
        with suppress(jwt.PyJWTError):
            usable[key["kid"]] = jwt.PyJWK(key)
    if not usable:
        raise ValueError("the document holds no key for signatures")
    return usable


class TokenVerifier:
    def __init__(self, keys: KeySource, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> Identity:
        """Raises Unauthenticated, with a reason that tells nothing secret, and KeysUnavailable."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            key = await self._keys.get(key_id) if isinstance(key_id, str) else None
            if key is None or header.get("alg") not in ALGORITHMS:
                raise Unauthenticated("the token is not signed by a key of the issuer")
            claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token does not hold: {error}") from error
        return _identity(claims)


def _identity(claims: Mapping[str, Any]) -> Identity:
    tenant, customer, scope = claims.get("tenant"), claims.get("sub"), claims.get("scope", "")
    for name, value in (("tenant", tenant), ("sub", customer)):
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise Unauthenticated(f"the token's claim {name} is missing or has characters that are not allowed")
    if not isinstance(scope, str):
        raise Unauthenticated("the token's claim scope is not text")
    return Identity(Customer(str(tenant), str(customer)), frozenset(scope.split()))
