"""Tokens: only the issuer's signature counts, and only what it says of tenant and customer."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from order_api.auth import (
    KEY_LIFETIME,
    LEEWAY_SECONDS,
    MAX_TOKEN_LENGTH,
    MIN_REFETCH,
    JwksClient,
    KeysUnavailable,
    TokenVerifier,
    Unauthenticated,
)
from order_shared.order.models import Customer
from orderctl.local.issuer import ALL_SCOPES, AUDIENCE, ISSUER, KEY_ID, Issuer


@dataclass(frozen=True)
class KnownKeys:
    keys: Mapping[str, jwt.PyJWK]

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        return self.keys.get(key_id)


class NoKeys:
    async def get(self, key_id: str) -> jwt.PyJWK | None:
        raise KeysUnavailable(f"asked for {key_id}")


@dataclass
class KeyServer:
    """What it answers is what a test makes it answer; it counts how often it is asked."""

    document: object
    status: int = 200
    requests: int = field(default=0, init=False)
    asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        self.asked.set()
        await self.may_answer.wait()
        return web.Response(text=json.dumps(self.document), status=self.status, content_type="application/json")


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(new_key())


@pytest.fixture(scope="module")
def stranger() -> Issuer:
    return Issuer(new_key())


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    keys = KnownKeys({KEY_ID: jwt.PyJWK(issuer.key_set["keys"][0])})
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)


def claims_with(**changes: Any) -> dict[str, Any]:
    """Claims that hold, but for the changes; None takes a claim away."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "tenant": "acme", "exp": now + 600} | changes
    return {name: value for name, value in claims.items() if value is not None}


def signed(issuer: Issuer, *, key_id: str | None = KEY_ID, algorithm: str = "RS256", **changes: Any) -> str:
    headers = None if key_id is None else {"kid": key_id}
    return jwt.encode(claims_with(**changes), issuer.private_key, algorithm=algorithm, headers=headers)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def handmade(header: object, signature: bytes = b"") -> str:
    """What no library would write."""
    return f"{encoded(header)}.{encoded(claims_with())}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def refusal_of(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(token)
    return str(refusal.value)


async def test_a_token_of_the_issuer_names_customer_and_scopes(issuer: Issuer, verifier: TokenVerifier) -> None:
    identity = await verifier.verify(issuer.token("acme", "ada"))
    assert identity.customer == Customer("acme", "ada")
    assert identity.scopes == set(ALL_SCOPES.split())


async def test_a_token_may_be_for_several_audiences(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert (await verifier.verify(signed(issuer, aud=["others", AUDIENCE]))).customer.id == "ada"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iss": "https://another.example"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another"]}, "audience"),
        ({"iss": None}, "iss"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"tenant": None}, "tenant"),
        ({"exp": "soon"}, "exp"),
    ],
)
async def test_a_token_for_others_or_without_what_it_needs_is_refused(
    issuer: Issuer, verifier: TokenVerifier, changes: dict[str, Any], told: str
) -> None:
    assert told in (await refusal_of(verifier, signed(issuer, **changes))).lower()


async def test_an_expired_token_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert "expired" in await refusal_of(verifier, signed(issuer, exp=int(time.time()) - 2 * LEEWAY_SECONDS))


async def test_a_token_that_does_not_hold_yet_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert "not yet valid" in await refusal_of(verifier, signed(issuer, nbf=int(time.time()) + 600))


async def test_clocks_may_differ_a_little(issuer: Issuer, verifier: TokenVerifier) -> None:
    near = LEEWAY_SECONDS // 2
    now = int(time.time())
    assert (await verifier.verify(signed(issuer, exp=now - near, nbf=now + near))).customer.id == "ada"


async def test_an_unsigned_token_is_refused(verifier: TokenVerifier) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        assert "not signed by" in await refusal_of(verifier, handmade({"alg": algorithm, "kid": KEY_ID}))


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    secret = issuer.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = handmade({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}).removesuffix(".")
    signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    forged = f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert "not signed by" in await refusal_of(verifier, forged)


async def test_another_key_s_signature_is_refused(stranger: Issuer, verifier: TokenVerifier) -> None:
    assert "Signature" in await refusal_of(verifier, signed(stranger))


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "RS384"])
async def test_another_algorithm_than_the_key_s_is_refused(
    issuer: Issuer, verifier: TokenVerifier, algorithm: str
) -> None:
    await refusal_of(verifier, signed(issuer, algorithm=algorithm))


@pytest.mark.parametrize("key_id", ["another", "", None])
async def test_an_unknown_key_is_refused(issuer: Issuer, verifier: TokenVerifier, key_id: str | None) -> None:
    assert "not signed by" in await refusal_of(verifier, signed(issuer, key_id=key_id))


@pytest.mark.parametrize("key_id", [7, None, ["local"], {"local": 1}])
async def test_a_key_id_that_is_no_text_is_refused(verifier: TokenVerifier, key_id: object) -> None:
    await refusal_of(verifier, handmade({"alg": "RS256", "kid": key_id}, b"signature"))


@pytest.mark.parametrize(
    "header", [{"kid": KEY_ID}, {"alg": ["RS256"], "kid": KEY_ID}, {"alg": 7, "kid": KEY_ID}, [], 7]
)
async def test_a_header_of_another_shape_is_refused(verifier: TokenVerifier, header: object) -> None:
    await refusal_of(verifier, handmade(header, b"signature"))


async def test_changed_claims_are_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    header, _, signature = signed(issuer).split(".")
    claims = encoded(claims_with(tenant="globex"))
    assert "Signature" in await refusal_of(verifier, f"{header}.{claims}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "\x00",
        "e30.e30.",
        encoded({"alg": "RS256"}),
        "W" * 8000,
        "Ww" * 9,
    ],
)
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    await refusal_of(verifier, token)


async def test_a_header_that_nests_without_end_is_refused(verifier: TokenVerifier) -> None:
    header = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
    await refusal_of(verifier, f"{header}.e30.c2ln")


@pytest.mark.parametrize("name", ["tenant", "sub"])
@pytest.mark.parametrize(
    "value", ["", " ", "a#b", "a b", "a/b", "acme\n", "Ümit", "a\x00", "x" * 129, 7, True, ["acme"], {}]
)
async def test_a_name_with_other_characters_is_refused(
    issuer: Issuer, verifier: TokenVerifier, name: str, value: Any
) -> None:
    await refusal_of(verifier, signed(issuer, **{name: value}))


@pytest.mark.parametrize("name", ["a", "x" * 128, "auth0|64b.7", "ada@example.com", "urn:acme:7", "A_b-C"])
async def test_the_names_that_issuers_give_are_taken(issuer: Issuer, verifier: TokenVerifier, name: str) -> None:
    identity = await verifier.verify(signed(issuer, tenant=name, sub=name))
    assert identity.customer == Customer(name, name)


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        (None, set()),
        ("", set()),
        ("orders:read", {"orders:read"}),
        ("  orders:read   orders:write orders:read ", {"orders:read", "orders:write"}),
    ],
)
async def test_scopes_are_separated_by_blanks(
    issuer: Issuer, verifier: TokenVerifier, scope: str | None, scopes: set[str]
) -> None:
    assert (await verifier.verify(signed(issuer, scope=scope))).scopes == scopes


@pytest.mark.parametrize("scope", [7, ["orders:read"], {"orders:read": True}])
async def test_a_scope_that_is_no_text_is_refused(issuer: Issuer, verifier: TokenVerifier, scope: object) -> None:
    assert "scope" in await refusal_of(verifier, signed(issuer, scope=scope))


async def test_a_token_that_is_too_long_is_refused_before_anybody_is_asked(issuer: Issuer) -> None:
    token = signed(issuer, scope="x" * MAX_TOKEN_LENGTH)
    verifier = TokenVerifier(NoKeys(), issuer=ISSUER, audience=AUDIENCE)
    assert "too long" in await refusal_of(verifier, token)


async def test_a_refusal_does_not_repeat_the_token(stranger: Issuer, verifier: TokenVerifier) -> None:
    token = signed(stranger)
    told = await refusal_of(verifier, token)
    assert not any(part in told for part in token.split("."))


async def test_without_the_issuer_s_keys_nobody_is_blamed(issuer: Issuer) -> None:
    with pytest.raises(KeysUnavailable):
        await TokenVerifier(NoKeys(), issuer=ISSUER, audience=AUDIENCE).verify(signed(issuer))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def published(issuer: Issuer) -> KeyServer:
    return KeyServer(issuer.key_set)


@pytest.fixture
async def running(published: KeyServer) -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.router.add_get("/keys", published.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        yield server


@pytest.fixture
def client(running: BaseTestServer, http: aiohttp.ClientSession) -> JwksClient:
    return JwksClient(str(running.make_url("/keys")), http)


def let_pass(client: JwksClient, seconds: float) -> None:
    """As if its last fetch had been so much earlier: it reads the machine's clock, which no test can turn."""
    client._fetched_at -= seconds
    client._tried_at -= seconds


async def fetched(client: JwksClient) -> None:
    """Until what it fetches beside the requests has come."""
    if client._refreshing is not None:
        await client._refreshing


def keys_named(issuer: Issuer, *key_ids: str) -> dict[str, object]:
    return {"keys": [issuer.key_set["keys"][0] | {"kid": key_id} for key_id in key_ids]}


async def test_the_published_key_verifies_the_issuer_s_tokens(issuer: Issuer, client: JwksClient) -> None:
    identity = await TokenVerifier(client, issuer=ISSUER, audience=AUDIENCE).verify(issuer.token("acme", "ada"))
    assert identity.customer == Customer("acme", "ada")


async def test_nothing_is_fetched_before_it_is_needed(client: JwksClient, published: KeyServer) -> None:
    assert isinstance(client, JwksClient)
    assert published.requests == 0


async def test_keys_are_fetched_once_for_many(client: JwksClient, published: KeyServer) -> None:
    found = await asyncio.gather(*(client.get(KEY_ID) for _ in range(20)))
    assert await client.get(KEY_ID) is found[0] is not None
    assert published.requests == 1


async def test_old_keys_are_given_at_once_and_fetched_again_meanwhile(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    before = await client.get(KEY_ID)
    published.document = keys_named(issuer, "next")
    let_pass(client, KEY_LIFETIME + 1)
    published.may_answer.clear()
    assert await client.get(KEY_ID) is await client.get(KEY_ID) is before is not None
    published.may_answer.set()
    await fetched(client)
    assert await client.get(KEY_ID) is None
    assert await client.get("next") is not None
    assert published.requests == 2


async def test_a_new_key_is_found_by_a_fetch_that_is_under_way(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    await client.get(KEY_ID)
    published.document = keys_named(issuer, KEY_ID, "next")
    let_pass(client, KEY_LIFETIME + 1)
    published.may_answer.clear()
    published.asked.clear()
    await client.get(KEY_ID)
    await published.asked.wait()
    asking = asyncio.create_task(client.get("next"))
    asyncio.get_running_loop().call_soon(published.may_answer.set)
    assert await asking is not None
    assert published.requests == 2


async def test_a_new_key_is_found_before_the_others_are_old(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    await client.get(KEY_ID)
    published.document = keys_named(issuer, KEY_ID, "next")
    let_pass(client, MIN_REFETCH + 1)
    assert await client.get("next") is not None
    assert published.requests == 2


async def test_made_up_key_ids_do_not_turn_into_requests(client: JwksClient, published: KeyServer) -> None:
    found = await asyncio.gather(*(client.get(f"made-up-{number}") for number in range(20)))
    assert set(found) == {None}
    assert published.requests == 1


async def test_made_up_key_ids_cost_one_request_in_a_while(client: JwksClient, published: KeyServer) -> None:
    for _ in range(3):
        await asyncio.gather(*(client.get(f"made-up-{number}") for number in range(5)))
        let_pass(client, MIN_REFETCH + 1)
    assert published.requests == 3


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, {}), (404, {}), (200, {}), (200, {"keys": []}), (200, []), (200, "keys"), (200, {"keys": {"kid": KEY_ID}})],
)
async def test_an_outage_of_the_issuer_keeps_the_keys_there_were(
    client: JwksClient, published: KeyServer, status: int, document: object
) -> None:
    before = await client.get(KEY_ID)
    published.status, published.document = status, document
    let_pass(client, KEY_LIFETIME + 1)
    assert await client.get(KEY_ID) is before is not None
    await fetched(client)
    assert await client.get(KEY_ID) is before
    assert await client.get("another") is None
    assert published.requests == 2


async def test_an_issuer_that_is_gone_keeps_the_keys_there_were(client: JwksClient, running: BaseTestServer) -> None:
    before = await client.get(KEY_ID)
    await running.close()
    let_pass(client, KEY_LIFETIME + 1)
    assert await client.get(KEY_ID) is before is not None
    await fetched(client)
    assert await client.get(KEY_ID) is before


async def test_an_outage_is_over_when_the_issuer_answers_again(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    await client.get(KEY_ID)
    published.status = 500
    let_pass(client, KEY_LIFETIME + 1)
    await client.get(KEY_ID)
    await fetched(client)
    published.status, published.document = 200, keys_named(issuer, "next")
    let_pass(client, MIN_REFETCH + 1)
    assert await client.get("next") is not None


async def test_without_any_key_the_outage_is_told_and_not_made_worse(client: JwksClient, published: KeyServer) -> None:
    published.status = 503
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            await client.get(KEY_ID)
    assert published.requests == 1


async def test_the_first_keys_are_found_after_an_outage_at_the_start(client: JwksClient, published: KeyServer) -> None:
    published.status = 503
    with pytest.raises(KeysUnavailable):
        await client.get(KEY_ID)
    published.status = 200
    let_pass(client, MIN_REFETCH + 1)
    assert await client.get(KEY_ID) is not None


async def test_what_is_not_for_signatures_is_left_out(client: JwksClient, published: KeyServer, issuer: Issuer) -> None:
    good = issuer.key_set["keys"][0]
    published.document = {
        "keys": [
            {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0", "alg": "HS256"},
            good | {"kid": "encryption", "use": "enc"},
            {name: value for name, value in good.items() if name != "kid"},
            good | {"kid": 7},
            {"kty": "LATTICE", "kid": "future"},
            {"kty": "RSA", "kid": "broken"},
            "no key at all",
            good,
        ]
    }
    assert await client.get(KEY_ID) is not None
    for key_id in ("symmetric", "encryption", "future", "broken"):
        assert await client.get(key_id) is None
