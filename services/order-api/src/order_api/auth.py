"""Authentication: bearer tokens verified against the issuer's published keys.

Tenant and scopes come only from the verified token, and so does the customer, unless the token has the scope
`orders:act` and the request names another customer of its tenant. `docs/authentication.md` describes how to set up an
issuer, and lists every response.
"""

import asyncio
import base64
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self

import aiohttp
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from aws_json_client.proxies import proxy_for
from order_shared.domain.clock import from_micros, to_text
from order_shared.domain.errors import PlatformError
from order_shared.domain.identity import MAX_SUBJECT_LENGTH, is_subject
from order_shared.domain.order.models import Customer
from order_shared.runtime.validation import NAME_PATTERN

log = structlog.get_logger(__name__)

ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "Ed25519": ("EdDSA",),
}
"""Algorithms by key type or curve. All are asymmetric: with `none` or a symmetric algorithm, anyone could sign."""

LEEWAY_SECONDS = 30
"""Allowed difference between the issuer's clock and the local clock."""
NAME = re.compile(NAME_PATTERN)
MAX_TOKEN_LENGTH = 8192
MAX_KEY_ID_LENGTH = 256
MAX_SCOPE_LENGTH = 4096
MAX_SCOPES = 100
MAX_ISSUER_SHOWN = 200
MAX_TIME = 253_402_300_799
"""Last second of the year 9999: a later time in a token is an error of its issuer."""
ACT_SCOPE = "orders:act"
"""Scope to act for other customers of the tenant."""
MAX_VERIFIED = 10_000
"""Maximum number of verified tokens in memory. They take ten megabytes."""

KEY_LIFETIME = 300.0
"""Seconds after which the key set is fetched again, while requests still use the cached keys."""
KEY_TRUST = 600.0
"""Seconds after which requests wait for a new key set: in a long idle time, keys may have been revoked."""
MIN_REFETCH = 5.0
"""Minimum seconds between two fetches, so that neither invented key ids nor an outage cause many fetches."""
FETCH_TIMEOUT = 3.0
MAX_WAITING = 100
"""Maximum requests that wait for the key set at once, so that invented key ids cannot exhaust the process."""
MAX_KEY_SET_BYTES = 256 * 1024
"""Maximum size of the key set, and of the discovery document."""
DISCOVERY_PATH = "/.well-known/openid-configuration"
MAX_KEYS = 100
RSA_BITS = range(2048, 8192 + 1)
"""Allowed key sizes: a smaller key can be broken, and a larger one makes each signature slow to check."""


class Unauthenticated(PlatformError):
    """The request has no bearer token."""


PARTS = 3
"""Parts of a signed JWT."""
INVALID: Mapping[type[Exception], str] = {
    jwt.InvalidSignatureError: "the signature of the token does not match the issuer's key",
    jwt.InvalidAudienceError: "the token's aud is not an audience of this API",
    jwt.InvalidIssuerError: "the token's iss is not a string",
    jwt.exceptions.InvalidSubjectError: "the token's sub is not a string",
    jwt.exceptions.InvalidJTIError: "the token's jti is not a string",
}
"""Reason by error of the verification."""
NO_JWT = "this is not a JWT: its parts are not base64url-encoded JSON"


class InvalidToken(Unauthenticated):
    """The bearer token is not valid."""


class InsufficientScope(PlatformError):
    def __init__(self, scope: str) -> None:
        super().__init__(f"the token lacks the scope {scope}")
        self.scope = scope


class KeysUnavailable(PlatformError):
    """The required key is not known, and the issuer's keys could not be fetched, or too many requests wait for them."""


def bearer_token(*authorizations: str) -> str:
    """Return the token of a request's only Authorization header. Raises Unauthenticated if there is none."""
    if len(authorizations) > 1:
        raise Unauthenticated("send one header Authorization; a proxy and this API could choose different ones")
    scheme, _, token = "".join(authorizations).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send a bearer token in the header Authorization")
    return token.strip()


@dataclass(frozen=True, slots=True)
class Identity:
    """Customer whose orders a request concerns, and the scopes of its token.

    `actor` is the subject of the token if it acts for the customer; otherwise None.
    """

    customer: Customer
    scopes: frozenset[str]
    actor: str | None = None
    expires_at: float = math.inf
    """Time in epoch seconds from which the token is refused."""

    def acting_for(self, subject: str) -> "Identity":
        """Return the identity that acts for another customer of the same tenant. Raises InsufficientScope."""
        if ACT_SCOPE not in self.scopes:
            raise InsufficientScope(ACT_SCOPE)
        if subject == self.customer.id:
            return self
        return replace(self, customer=replace(self.customer, id=subject), actor=self.customer.id)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Public key of the issuer and the algorithms allowed for it: its `alg`, or all those of its type."""

    public: Any
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, jwk: Mapping[str, Any]) -> Self:
        """Return the key of a JWK.

        Raises ValueError or jwt.PyJWTError unless it is a public signature key of a supported algorithm and size.
        """
        of_type = ALGORITHMS.get(str(jwk.get("kty") if jwk.get("kty") == "RSA" else jwk.get("crv")), ())
        algorithms = tuple(name for name in of_type if jwk.get("alg", name) == name)
        if not algorithms or jwk.get("use", "sig") != "sig" or "d" in jwk:
            raise ValueError("not a public signature key of a supported algorithm")
        public = jwt.PyJWK(dict(jwk), algorithms[0]).key
        if isinstance(public, RSAPublicKey) and public.key_size not in RSA_BITS:
            raise ValueError(f"unsupported size of an RSA key: {public.key_size} bits")
        return cls(public, algorithms)


class KeySource(Protocol):
    async def get(self, key_id: str) -> SigningKey | None:
        """Return the issuer's key with this id, or None if the issuer has none. Raises KeysUnavailable."""


def open_session() -> aiohttp.ClientSession:
    """Open a session without a proxy: each request has its own, because addresses may have different hosts.

    Names are resolved by the operating system. Without a resolver aiohttp would use aiodns, which webhooks need.
    """
    return aiohttp.ClientSession(proxy=None, connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()))


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """OpenID Connect discovery of the address of an issuer's keys."""

    issuer: str
    https_only: bool

    @property
    def url(self) -> str:
        return self.issuer.removesuffix("/") + DISCOVERY_PATH

    def keys_url(self, document: Any) -> str:
        """Return `jwks_uri` of the discovery document. Raises ValueError if the document is not this issuer's."""
        found = document if isinstance(document, dict) else {}
        if found.get("issuer") != self.issuer:
            raise ValueError("the issuer in the document is not the issuer that this API trusts")
        url = found.get("jwks_uri")
        if not isinstance(url, str) or not url.startswith("https://" if self.https_only else ("https://", "http://")):
            raise ValueError(f"jwks_uri in the document is not an https URL: {url!r}")
        return url


UNUSABLE = (aiohttp.ClientError, TimeoutError, ValueError, RecursionError)
"""Errors of a fetch, whose cause is the issuer, its documents or the network."""


class JwksClient:
    """Cache of the issuer's key set, fetched over HTTP. While the issuer is down, the cached keys stay in use.

    With `discovery`, each fetch reads the address of the keys from the issuer's discovery document first. If that
    fails, the address of the last fetch is used.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession, discovery: Discovery | None = None) -> None:
        self._url = url
        self._http = http
        self._discovery = discovery
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0

    async def get(self, key_id: str) -> SigningKey | None:
        """Return the key with this id, or None if the key set has no such key.

        A cached key is returned at once; after KEY_LIFETIME a fetch begins in the background. An unknown key, or a key
        set older than KEY_TRUST, makes the call wait for a fetch. While the issuer does not respond, cached keys stay
        in use, and unknown keys, which may be new, raise KeysUnavailable.
        """
        key = self._keys.get(key_id)
        age = time.monotonic() - self._fetched_at
        if key is not None and age <= KEY_LIFETIME:
            return key
        fetching = self._refresh()
        if key is not None and (age <= KEY_TRUST or self._failed):
            return key
        if fetching is not None:
            await self._wait_for(fetching)
        key = self._keys.get(key_id)
        if key is None and self._failed:
            raise KeysUnavailable(f"no key set could be fetched from {self._source}")
        return key

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress; if there is none, start one.

        Return None if the last fetch began less than MIN_REFETCH ago and has ended.
        """
        now = time.monotonic()
        if self._fetching is None and now - self._tried_at >= MIN_REFETCH:
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _wait_for(self, fetching: asyncio.Task[None]) -> None:
        if self._waiting >= MAX_WAITING:
            raise KeysUnavailable("too many requests wait for the issuer's keys")
        self._waiting += 1
        try:
            await asyncio.shield(fetching)  # a cancelled request must not cancel the fetch that others await
        finally:
            self._waiting -= 1

    async def _fetch(self) -> None:
        """Fetch the key set. Keep the cached keys if that fails."""
        try:
            await self._discover()
            self._keys = _usable_keys(json.loads(await self._document(self._url)))
            self._fetched_at = time.monotonic()
            self._failed = False
        except UNUSABLE as error:
            self._failed = True
            log.warning("keys_not_fetched", url=self._source, error=repr(error))
        finally:
            self._fetching = None

    async def _discover(self) -> None:
        """Read the address of the keys. Keep the known address if that fails; raise the error if there is none."""
        if self._discovery is None:
            return
        try:
            self._url = self._discovery.keys_url(json.loads(await self._document(self._discovery.url)))
        except UNUSABLE as error:
            if not self._url:
                raise
            log.warning("issuer_not_discovered", url=self._discovery.url, error=repr(error))

    @property
    def _source(self) -> str:
        return self._url or (self._discovery.url if self._discovery else "")

    async def _document(self, url: str) -> bytes:
        document = bytearray()
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
        async with self._http.get(url, proxy=proxy_for(url), timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"HTTP status {response.status} instead of 200")
            async for piece in response.content.iter_any():
                document += piece
                if len(document) > MAX_KEY_SET_BYTES:
                    raise ValueError(f"the document is larger than {MAX_KEY_SET_BYTES} bytes")
        return bytes(document)


def _usable_keys(document: Any) -> dict[str, SigningKey]:
    """Return the signature keys by key id. Ignore encryption keys, symmetric keys and unknown types.

    Raises ValueError if the document lists too many keys or no usable key.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"the document has no list of at most {MAX_KEYS} keys")
    usable: dict[str, SigningKey] = {}
    for key in listed:
        if isinstance(key, dict) and _is_key_id(key.get("kid")):
            with suppress(jwt.PyJWTError, ValueError, TypeError):
                usable[key["kid"]] = SigningKey.of(key)
    if not usable:
        raise ValueError("the document has no usable signature key")
    return usable


def _is_key_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY_ID_LENGTH


def _sentence(error: Exception) -> str:
    """Return the reason why a token is not valid. Only the text of our own errors is used."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no claim {error.claim}"
    known = (text for kind, text in INVALID.items() if isinstance(error, kind))
    return next(known, NO_JWT)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check `exp`, `nbf` and `iat`. Raises InvalidToken, also for a time that is not a number (RFC 7519)."""
    for name in ("exp", "nbf", "iat"):
        at = claims.get(name, 0)
        if isinstance(at, bool) or not isinstance(at, int | float):
            raise InvalidToken(f"the token's {name} is not a number")
        if not -MAX_TIME <= at <= MAX_TIME:
            raise InvalidToken(f"the token's {name} is not a time in seconds")
        if name != "exp" and at > now + LEEWAY_SECONDS:
            raise InvalidToken("the token is not yet valid: its nbf or iat is in the future")
    if claims["exp"] <= now - LEEWAY_SECONDS:
        expired = to_text(from_micros(max(0, int(claims["exp"])) * 1_000_000))
        raise InvalidToken(f"the token expired at {expired}")


def _decoded(part: str) -> Any:
    """Return the JSON value of a part of a token. Raises ValueError or RecursionError."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _header(token: str) -> dict[str, Any]:
    """Return the token's header, which contains the key id. PyJWT parses it again to check the signature."""
    part, *others = token.split(".")
    if len(others) != PARTS - 1:
        raise InvalidToken(f"this is not a JWT: expected {PARTS} parts separated by dots, found {len(others) + 1}")
    header = _decoded(part)
    if not isinstance(header, dict):
        raise InvalidToken("the token's header is not a JSON object")
    if "crit" in header:
        raise InvalidToken("the token's header has crit, and this API supports no critical extension")
    return header


def _check_issuer(token: str, issuer: str) -> None:
    """Raise InvalidToken, which names both issuers, for the token of another one.

    Nothing is verified yet, so this only refuses: no key is fetched for such a token. Another issuer's name is shown
    only if it is printable and short.
    """
    claims = _decoded(token.split(".")[1])
    claimed = claims.get("iss") if isinstance(claims, dict) else None
    if isinstance(claimed, str) and claimed != issuer:
        is_shown = claimed.isprintable() and 0 < len(claimed) <= MAX_ISSUER_SHOWN
        by = claimed if is_shown else "another issuer"
        raise InvalidToken(f"the token was issued by {by}; this API accepts tokens of {issuer}")


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """Required values of a token's claims, and the names of the claims that differ between issuers."""

    issuer: str
    audiences: tuple[str, ...]
    audience_claim: str = "aud"
    tenant_claim: str = "tenant"
    customer_claim: str = "sub"
    scope_claims: tuple[str, ...] = ("scope",)
    scope_prefix: str = ""


class _Verified(NamedTuple):
    identity: Identity
    key_id: str
    key: SigningKey
    until: float
    """Expiry in epoch seconds."""


class TokenVerifier:
    """Verifier of tokens. It caches valid tokens by digest until they expire or the key set is fetched again."""

    def __init__(self, keys: KeySource, rules: TokenRules, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._has_aud = rules.audience_claim == "aud"
        self._options: Any = {
            "require": ["exp", "iss", rules.customer_claim, rules.audience_claim],
            "verify_aud": self._has_aud,
            **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False),  # `_check_times` does it
        }
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Identity:
        """Return the identity in a token. Raises KeysUnavailable, and InvalidToken with a reason for the caller."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken("the token is too long")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known and self._clock() < known.until and await self._keys.get(known.key_id) is known.key:
            return known.identity
        verified = await self._verify(token)
        self._remember(digest, verified)
        return verified.identity

    async def _verify(self, token: str) -> _Verified:
        try:
            header = _header(token)
            _check_issuer(token, self._rules.issuer)
            key = await self._keys.get(header["kid"]) if _is_key_id(header.get("kid")) else None
            if key is None or header.get("alg") not in key.algorithms:
                raise InvalidToken("the token is not signed with a key of the issuer")
            claims = jwt.decode(
                token,
                key.public,
                algorithms=key.algorithms,
                audience=self._rules.audiences if self._has_aud else None,
                issuer=self._rules.issuer,
                options=self._options,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise InvalidToken(_sentence(error)) from error
        _check_times(claims, self._clock())
        identity = self._identity(claims)
        return _Verified(identity, header["kid"], key, identity.expires_at)

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        """Cache a valid token, and evict the oldest entry if the cache is full. Invalid tokens are never cached."""
        self._verified.pop(digest, None)
        if len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        rules = self._rules
        if not self._has_aud and claims[rules.audience_claim] not in rules.audiences:
            raise InvalidToken(f"the token's {rules.audience_claim} is not an audience of this API")
        if claims.get("token_use", "access") != "access":
            raise InvalidToken("the token is not an access token")
        tenant, subject = claims.get(rules.tenant_claim), claims[rules.customer_claim]
        if not isinstance(tenant, str) or not NAME.fullmatch(tenant):
            raise InvalidToken(f"the token's claim {rules.tenant_claim} is missing, or is not a tenant's name")
        if not is_subject(subject):
            raise InvalidToken(
                f"the token's claim {rules.customer_claim} is not 1 to {MAX_SUBJECT_LENGTH} characters of ASCII"
            )
        expires_at = float(claims["exp"]) + LEEWAY_SECONDS
        return Identity(Customer(tenant=tenant, id=subject), self._scopes(claims), expires_at=expires_at)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the scopes of all scope claims, without the issuer's prefix. Scopes of other APIs are ignored."""
        named = [scope for claim in self._rules.scope_claims for scope in _scopes_in(claims, claim)]
        if len(named) > MAX_SCOPES:
            raise InvalidToken(f"the token has more than {MAX_SCOPES} scopes")
        prefix = self._rules.scope_prefix
        return frozenset(name.removeprefix(prefix) for name in named if name.startswith(prefix))


def _scopes_in(claims: Mapping[str, Any], claim: str) -> list[str]:
    """Return the scopes of one claim: a text, separated by blanks, or a list of texts. Raises InvalidToken."""
    value = claims.get(claim)
    scopes = value.split() if isinstance(value, str) else [] if value is None else value
    if not isinstance(scopes, list) or not all(isinstance(each, str) for each in scopes):
        raise InvalidToken(f"the token's claim {claim} is neither a text nor a list of texts")
    if sum(map(len, scopes)) > MAX_SCOPE_LENGTH:
        raise InvalidToken(f"the token's claim {claim} is too long")
    return scopes
