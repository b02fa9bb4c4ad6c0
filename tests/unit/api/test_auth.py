"""Tokens: only the issuer's signature counts, and only its claims determine tenant and customer."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from devstack.issuer import ALL_SCOPES, AUDIENCE, ISSUER, KEY_ID, Issuer
from order_api.auth import (
    KEY_LIFETIME,
    KEY_TRUST,
    LEEWAY_SECONDS,
    MAX_KEY_ID_LENGTH,
    MAX_KEY_SET_BYTES,
    MAX_KEYS,
    MAX_SCOPE_LENGTH,
    MAX_SCOPES,
    MAX_TOKEN_LENGTH,
    MAX_WAITING,
    MIN_REFETCH,
    Discovery,
    JwksClient,
    KeysUnavailable,
    SigningKey,
    TokenRules,
    TokenVerifier,
    Unauthenticated,
)
from order_api.config import ApiSettings
from order_shared.domain.order.models import Customer
from tests.unit.api.conftest import SETTINGS

RULES = TokenRules(issuer=ISSUER, audiences=(AUDIENCE,))


@dataclass(frozen=True)
class KnownKeys:
    keys: Mapping[str, SigningKey]

    async def get(self, key_id: str) -> SigningKey | None:
        return self.keys.get(key_id)


class NoKeys:
    async def get(self, key_id: str) -> SigningKey | None:
        raise KeysUnavailable(f"asked for {key_id}")


@dataclass
class KeyServer:
    """Key server with responses set by the test. It counts its requests."""

    document: object
    status: int = 200
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: int = field(default=0, init=False)
    asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        self.asked.set()
        await self.may_answer.wait()
        text = json.dumps(self.document) if self.text is None else self.text
        return web.Response(text=text, status=self.status, content_type="application/json", headers=self.headers)


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
    keys = KnownKeys({KEY_ID: SigningKey.of(issuer.key_set["keys"][0])})
    return TokenVerifier(keys, RULES)


def claims_with(**changes: Any) -> dict[str, Any]:
    """Return valid claims with the changes applied; None removes a claim."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "tenant": "acme", "exp": now + 600} | changes
    return {name: value for name, value in claims.items() if value is not None}


def signed(issuer: Issuer, *, key_id: str | None = KEY_ID, algorithm: str = "RS256", **changes: Any) -> str:
    headers = None if key_id is None else {"kid": key_id}
    return jwt.encode(claims_with(**changes), issuer.private_key, algorithm=algorithm, headers=headers)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def handmade(header: object, signature: bytes = b"") -> str:
    """Return a token that no library would create."""
    return f"{encoded(header)}.{encoded(claims_with())}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def refusal_of(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(token)
    return str(refusal.value)


async def test_a_token_of_the_issuer_names_customer_and_scopes(issuer: Issuer, verifier: TokenVerifier) -> None:
    identity = await verifier.verify(issuer.token("acme", "ada"))
    assert identity.customer == Customer(tenant="acme", id="ada")
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
        ({"sub": 7}, "sub"),
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
        assert "not signed with" in await refusal_of(verifier, handmade({"alg": algorithm, "kid": KEY_ID}))


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    secret = issuer.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = handmade({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}).removesuffix(".")
    signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    forged = f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert "not signed with" in await refusal_of(verifier, forged)


async def test_another_key_s_signature_is_refused(stranger: Issuer, verifier: TokenVerifier) -> None:
    assert "signature" in await refusal_of(verifier, signed(stranger))


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "RS384"])
async def test_another_algorithm_than_the_key_s_is_refused(
    issuer: Issuer, verifier: TokenVerifier, algorithm: str
) -> None:
    await refusal_of(verifier, signed(issuer, algorithm=algorithm))


FOREIGN = "the token was issued by {}; this API accepts tokens of " + ISSUER


@pytest.mark.parametrize("iss", ["https://login.example.org/realms/shop", "svc@shop.example", "Zürich", "x" * 200])
async def test_another_issuer_is_named_with_the_one_that_is_trusted(stranger: Issuer, iss: str) -> None:
    """Its keys are unknown, and none are fetched for its tokens."""
    token = signed(stranger, key_id="theirs", iss=iss)
    assert await refusal_of(TokenVerifier(NoKeys(), RULES), token) == FOREIGN.format(iss)


@pytest.mark.parametrize("iss", ["", "x" * 201, "a\nb", "a\x1b[31m", "a\u202eb", "a\u2028b", "\ud800"])
async def test_another_issuer_with_a_strange_name_is_not_shown(iss: str) -> None:
    token = handmade({"alg": "RS256", "kid": "theirs"}).split(".")
    token[1] = encoded(claims_with(iss=iss))
    assert await refusal_of(TokenVerifier(NoKeys(), RULES), ".".join(token)) == FOREIGN.format("another issuer")


async def test_a_forged_issuer_is_still_refused(stranger: Issuer, verifier: TokenVerifier) -> None:
    assert "signature" in await refusal_of(verifier, signed(stranger, iss=ISSUER))


@pytest.mark.parametrize("key_id", ["another", "", None])
async def test_an_unknown_key_is_refused(issuer: Issuer, verifier: TokenVerifier, key_id: str | None) -> None:
    assert "not signed with" in await refusal_of(verifier, signed(issuer, key_id=key_id))


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
    assert "signature" in await refusal_of(verifier, f"{header}.{claims}.{signature}")


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


@pytest.mark.parametrize(
    "value", ["", " ", "a#b", "a b", "a/b", "acme\n", "Ümit", "a\x00", "x" * 129, 7, True, ["acme"], {}]
)
async def test_a_tenant_with_other_characters_is_refused(issuer: Issuer, verifier: TokenVerifier, value: Any) -> None:
    await refusal_of(verifier, signed(issuer, tenant=value))


SUBJECTS = [
    "auth0|64b",
    "user+tag@example.com",
    "spiffe://acme/web",
    "repo:o/r:ref",
    "urn:x:1",
    "a b",
    "x" * 255,
    "CN=Ada,O=Acme",
    "samlp|c|u@e.c",
    "AbC_-",
    "100%",
    "a#b",
    "tab\tnewline\n",
    "~",
]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_every_subject_that_openid_connect_allows_is_taken(
    issuer: Issuer, verifier: TokenVerifier, subject: str
) -> None:
    assert (await verifier.verify(signed(issuer, sub=subject))).customer == Customer(tenant="acme", id=subject)


@pytest.mark.parametrize("subject", ["", "x" * 256, "Zoë", 7, True, ["ada"], {}])
async def test_what_is_no_subject_is_refused(issuer: Issuer, verifier: TokenVerifier, subject: Any) -> None:
    assert "sub" in await refusal_of(verifier, signed(issuer, sub=subject))


@pytest.mark.parametrize("name", ["a", "x" * 128, "auth0|64b.7", "ada@example.com", "urn:acme:7", "A_b-C"])
async def test_the_names_that_issuers_give_are_taken(issuer: Issuer, verifier: TokenVerifier, name: str) -> None:
    identity = await verifier.verify(signed(issuer, tenant=name, sub=name))
    assert identity.customer == Customer(tenant=name, id=name)


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


@pytest.mark.parametrize("scope", [7, True, {"orders:read": True}, [7], [["orders:read"]], [None]])
async def test_a_scope_that_is_no_text_is_refused(issuer: Issuer, verifier: TokenVerifier, scope: object) -> None:
    assert "scope" in await refusal_of(verifier, signed(issuer, scope=scope))


async def test_a_list_of_scopes_is_taken_as_it_is(issuer: Issuer, verifier: TokenVerifier) -> None:
    listed = ["orders:read", "orders:write", "products:read products:write"]
    assert (await verifier.verify(signed(issuer, scope=listed))).scopes == set(listed), "a blank separates none of them"


@pytest.mark.parametrize("claim", ["scope", "scp", "roles", "permissions"])
@pytest.mark.parametrize("value", ["orders:read orders:write", ["orders:read", "orders:write"]])
async def test_scopes_are_in_the_claims_of_the_settings(issuer: Issuer, claim: str, value: Any) -> None:
    keys = KnownKeys({KEY_ID: SigningKey.of(issuer.key_set["keys"][0])})
    token = signed(issuer, **{claim: value})
    named = TokenVerifier(keys, replace(RULES, scope_claims=("other", claim)))
    assert (await named.verify(token)).scopes == {"orders:read", "orders:write"}
    unnamed = TokenVerifier(keys, replace(RULES, scope_claims=("other",)))
    assert (await unnamed.verify(token)).scopes == frozenset()


async def test_the_scopes_of_all_claims_count_and_are_counted(issuer: Issuer) -> None:
    keys = KnownKeys({KEY_ID: SigningKey.of(issuer.key_set["keys"][0])})
    verifier = TokenVerifier(keys, replace(RULES, scope_claims=("scp", "roles")))
    token = signed(issuer, scp="orders:read", roles=["orders:write"], scope="orders:admin")
    assert (await verifier.verify(token)).scopes == {"orders:read", "orders:write"}
    half = [f"s{number}" for number in range(MAX_SCOPES // 2)]
    assert "scopes" in await refusal_of(verifier, signed(issuer, scp=half, roles=[*half, "more"]))


async def test_the_customer_is_in_the_claim_of_the_settings(issuer: Issuer) -> None:
    keys = KnownKeys({KEY_ID: SigningKey.of(issuer.key_set["keys"][0])})
    verifier = TokenVerifier(keys, replace(RULES, customer_claim="oid"))
    assert (await verifier.verify(signed(issuer, oid="00aa-11"))).customer.id == "00aa-11"
    assert (await verifier.verify(signed(issuer, oid="00aa-11", sub=None))).customer.id == "00aa-11"
    assert "oid" in await refusal_of(verifier, signed(issuer)), "sub does not take its place"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 1e300, float("inf"), float("nan"), "1", "soon", True, [1], {}, 10**12]
)
async def test_a_time_that_is_none_is_refused(issuer: Issuer, verifier: TokenVerifier, name: str, value: Any) -> None:
    text = str(int(time.time()) + 60) if value == "1" else value
    assert f"the token's {name} is not a" in await refusal_of(verifier, signed(issuer, **{name: text}))


async def test_a_time_may_have_a_fraction(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = time.time()
    assert (await verifier.verify(signed(issuer, exp=now + 60.5, nbf=0, iat=now - 0.5))).customer.id == "ada"


async def test_a_token_that_is_too_long_is_refused_before_keys_are_fetched(issuer: Issuer) -> None:
    token = signed(issuer, scope="x" * MAX_TOKEN_LENGTH)
    verifier = TokenVerifier(NoKeys(), RULES)
    assert "too long" in await refusal_of(verifier, token)


async def test_a_refusal_does_not_repeat_the_token(stranger: Issuer, verifier: TokenVerifier) -> None:
    token = signed(stranger)
    told = await refusal_of(verifier, token)
    assert not any(part in told for part in token.split("."))


async def test_without_the_issuer_s_keys_tokens_cannot_be_verified(issuer: Issuer) -> None:
    with pytest.raises(KeysUnavailable):
        await TokenVerifier(NoKeys(), RULES).verify(signed(issuer))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUDIENCE", ""),
        ("AUDIENCE", "one,,two"),
        ("AUDIENCE_CLAIM", "azp"),
        ("TENANT_CLAIM", ""),
        ("CUSTOMER_CLAIM", ""),
        ("SCOPE_CLAIMS", ""),
        ("SCOPE_CLAIMS", "scp,,roles"),
        ("ISSUER", ""),
    ],
)
def test_settings_that_would_let_in_anybody_are_refused(name: str, value: str) -> None:
    settings = SETTINGS.model_dump() | {f"jwt_{name}".lower(): value}
    with pytest.raises(ValidationError):
        ApiSettings.model_validate(settings)


async def test_a_token_may_have_only_so_many_scopes_of_such_a_length(issuer: Issuer, verifier: TokenVerifier) -> None:
    most = " ".join(f"s{number}" for number in range(MAX_SCOPES))
    assert len((await verifier.verify(signed(issuer, scope=most))).scopes) == MAX_SCOPES
    assert "scopes" in await refusal_of(verifier, signed(issuer, scope=f"{most} more"))
    assert "too long" in await refusal_of(verifier, signed(issuer, scope="x" * (MAX_SCOPE_LENGTH + 1)))


KEY_KINDS: dict[str, tuple[Any, Any]] = {
    "RS256": (new_key(), jwt.algorithms.RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
    "ES384": (ec.generate_private_key(ec.SECP384R1()), jwt.algorithms.ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm),
}


def public_jwk(kind: str, **changes: Any) -> dict[str, Any]:
    private, algorithm = KEY_KINDS[kind]
    jwk = {**algorithm.to_jwk(private.public_key(), as_dict=True), "kid": KEY_ID, **changes}
    return {name: value for name, value in jwk.items() if value is not None and name != "key_ops"}


def verifier_of(jwk: dict[str, Any]) -> TokenVerifier:
    return TokenVerifier(KnownKeys({KEY_ID: SigningKey.of(jwk)}), RULES)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [(kind, kind) for kind in KEY_KINDS] + [("RS256", "RS384"), ("RS256", "RS512"), ("RS256", "PS256")],
)
async def test_a_key_that_names_no_algorithm_verifies_those_of_its_type(kind: str, algorithm: str) -> None:
    token = jwt.encode(claims_with(), KEY_KINDS[kind][0], algorithm=algorithm, headers={"kid": KEY_ID})
    assert (await verifier_of(public_jwk(kind)).verify(token)).customer.id == "ada"
    for other in set(KEY_KINDS) - {kind}:
        assert "not signed with" in await refusal_of(verifier_of(public_jwk(other)), token)


async def test_a_key_that_names_its_algorithm_verifies_no_other() -> None:
    keys = verifier_of(public_jwk("RS256", alg="PS256"))
    for algorithm, holds in (("PS256", True), ("RS256", False)):
        token = jwt.encode(claims_with(), KEY_KINDS["RS256"][0], algorithm=algorithm, headers={"kid": KEY_ID})
        if holds:
            await keys.verify(token)
        else:
            assert "not signed with" in await refusal_of(keys, token)


@pytest.mark.parametrize("size", [1024, 8200])
def test_an_rsa_key_of_another_size_is_no_key(size: int) -> None:
    modulus = (1 << size) - 1
    encoded_modulus = base64.urlsafe_b64encode(modulus.to_bytes((size + 7) // 8, "big")).decode().rstrip("=")
    with pytest.raises(ValueError, match="RSA key"):
        SigningKey.of({"kty": "RSA", "kid": KEY_ID, "n": encoded_modulus, "e": "AQAB"})


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
    """Move the time of the last fetch back: the client reads the monotonic clock, which a test cannot set."""
    client._fetched_at -= seconds
    client._tried_at -= seconds


async def fetched(client: JwksClient) -> None:
    """Wait until the background fetch has finished."""
    if client._fetching is not None:
        await client._fetching


def keys_named(issuer: Issuer, *key_ids: str) -> dict[str, object]:
    return {"keys": [issuer.key_set["keys"][0] | {"kid": key_id} for key_id in key_ids]}


async def test_the_published_key_verifies_the_issuer_s_tokens(issuer: Issuer, client: JwksClient) -> None:
    identity = await TokenVerifier(client, RULES).verify(issuer.token("acme", "ada"))
    assert identity.customer == Customer(tenant="acme", id="ada")


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
    with pytest.raises(KeysUnavailable):
        await client.get("another")  # it may be new: nobody can tell
    assert published.requests == 2


async def test_an_issuer_that_is_gone_keeps_the_keys_there_were(client: JwksClient, running: BaseTestServer) -> None:
    before = await client.get(KEY_ID)
    await running.close()
    let_pass(client, KEY_LIFETIME + 1)
    assert await client.get(KEY_ID) is before is not None
    await fetched(client)
    assert await client.get(KEY_ID) is before


async def test_an_outage_ends_when_the_issuer_responds_again(
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


async def test_keys_not_for_signatures_are_ignored(client: JwksClient, published: KeyServer, issuer: Issuer) -> None:
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


async def test_a_key_that_left_the_set_is_refused_from_the_next_fetch_on(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    verifier = TokenVerifier(client, RULES)
    await verifier.verify(signed(issuer))
    published.document = keys_named(issuer, "next")
    let_pass(client, KEY_LIFETIME + 1)
    await verifier.verify(signed(issuer))
    await fetched(client)
    assert "not signed with" in await refusal_of(verifier, signed(issuer))
    await verifier.verify(signed(issuer, key_id="next"))


async def test_after_a_long_rest_a_key_that_left_the_set_is_refused_at_once(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    await client.get(KEY_ID)
    published.document = keys_named(issuer, "next")
    let_pass(client, KEY_TRUST + 1)
    assert set(await asyncio.gather(client.get(KEY_ID), client.get(KEY_ID))) == {None}
    assert published.requests == 2


async def test_an_issuer_that_comes_back_is_used_again_by_itself(
    client: JwksClient, published: KeyServer, issuer: Issuer
) -> None:
    published.status = 503
    verifier = TokenVerifier(client, RULES)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(signed(issuer))
    assert published.requests == 1, "an outage does not turn into requests"
    published.status = 200
    let_pass(client, MIN_REFETCH)
    assert (await verifier.verify(signed(issuer))).customer.id == "ada"


async def test_only_so_many_wait_for_the_issuer(client: JwksClient, published: KeyServer) -> None:
    published.may_answer.clear()
    waiting = [asyncio.create_task(client.get(f"made-up-{number}")) for number in range(MAX_WAITING)]
    await published.asked.wait()
    with pytest.raises(KeysUnavailable, match="too many"):
        await client.get("one-more")
    published.may_answer.set()
    assert set(await asyncio.gather(*waiting)) == {None}
    assert await client.get(KEY_ID) is not None


async def test_who_goes_away_does_not_end_the_fetch_of_the_others(client: JwksClient, published: KeyServer) -> None:
    published.may_answer.clear()
    leaving, staying = (asyncio.create_task(client.get(KEY_ID)) for _ in range(2))
    await published.asked.wait()
    leaving.cancel()
    published.may_answer.set()
    assert await staying is not None


@dataclass
class DiscoveredIssuer:
    """Issuer of which only the address is known."""

    server: BaseTestServer
    metadata: KeyServer
    keys: KeyServer
    http: aiohttp.ClientSession

    @property
    def document(self) -> dict[str, Any]:
        assert isinstance(self.metadata.document, dict)
        return self.metadata.document

    @property
    def url(self) -> str:
        return str(self.server.make_url("/realms/shop"))

    def client(self, issuer: str | None = None, *, https_only: bool = False) -> JwksClient:
        return JwksClient("", self.http, Discovery(issuer=issuer or self.url, https_only=https_only))


@pytest.fixture
async def discovered(issuer: Issuer, http: aiohttp.ClientSession) -> AsyncIterator[DiscoveredIssuer]:
    metadata, keys = KeyServer({}), KeyServer(issuer.key_set)
    app = web.Application()
    app.router.add_get("/realms/shop/.well-known/openid-configuration", metadata.answer)
    app.router.add_get("/keys", keys.answer)
    app.router.add_get("/keys-moved", keys.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        found = DiscoveredIssuer(server, metadata, keys, http)
        metadata.document = {"issuer": found.url, "jwks_uri": str(server.make_url("/keys")), "scopes_supported": []}
        yield found


async def test_the_keys_of_an_issuer_are_found_by_its_address(discovered: DiscoveredIssuer) -> None:
    client = discovered.client()
    assert await client.get(KEY_ID) is not None
    assert await client.get(KEY_ID) is not None
    assert (discovered.metadata.requests, discovered.keys.requests) == (1, 1)


async def test_a_slash_at_the_end_of_an_issuer_is_a_part_of_its_name_only(discovered: DiscoveredIssuer) -> None:
    with pytest.raises(KeysUnavailable):
        await discovered.client(f"{discovered.url}/").get(KEY_ID)
    discovered.metadata.document = {**discovered.document, "issuer": f"{discovered.url}/"}
    assert await discovered.client(f"{discovered.url}/").get(KEY_ID) is not None
    assert discovered.metadata.requests == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://another.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_another_document_of_discovery_is_an_outage(
    discovered: DiscoveredIssuer, changes: dict[str, object]
) -> None:
    discovered.metadata.document = {**discovered.document, **changes}
    with pytest.raises(KeysUnavailable):
        await discovered.client().get(KEY_ID)
    assert discovered.keys.requests == 0


@pytest.mark.parametrize("text", ["[]", "7", "no JSON", "[" * 200_000, "x" * (MAX_KEY_SET_BYTES + 1)])
async def test_what_is_no_document_of_discovery_is_an_outage(discovered: DiscoveredIssuer, text: str) -> None:
    discovered.metadata.text = text
    with pytest.raises(KeysUnavailable):
        await discovered.client().get(KEY_ID)


async def test_discovered_keys_are_fetched_by_https_outside_of_the_local_stack(discovered: DiscoveredIssuer) -> None:
    with pytest.raises(KeysUnavailable):
        await discovered.client(https_only=True).get(KEY_ID)
    assert (discovered.metadata.requests, discovered.keys.requests) == (1, 0)


async def test_the_address_of_the_keys_is_read_again_with_them(discovered: DiscoveredIssuer, issuer: Issuer) -> None:
    client = discovered.client()
    await client.get(KEY_ID)
    discovered.metadata.document = {**discovered.document, "jwks_uri": str(discovered.server.make_url("/keys-moved"))}
    discovered.keys.document = keys_named(issuer, "next")
    let_pass(client, MIN_REFETCH + 1)
    assert await client.get("next") is not None
    assert (discovered.metadata.requests, discovered.keys.requests) == (2, 2)


async def test_without_its_metadata_an_issuer_s_keys_are_where_they_were(
    discovered: DiscoveredIssuer, issuer: Issuer
) -> None:
    client = discovered.client()
    await client.get(KEY_ID)
    discovered.metadata.status = 503
    discovered.keys.document = keys_named(issuer, "next")
    let_pass(client, MIN_REFETCH + 1)
    assert await client.get("next") is not None


NO_PARTS: tuple[Any, ...] = (7, [], {}, True, "", "!", "A", "AAAA")
HOSTILE: dict[str, Any] = {
    "too many keys": {"keys": [{"kid": f"key-{number}"} for number in range(MAX_KEYS + 1)]},
    "too many bytes": {"keys": [], "filler": "x" * MAX_KEY_SET_BYTES},
    "a symmetric key": {"keys": [{"kty": "oct", "kid": KEY_ID, "k": "c2VjcmV0"}]},
    "a symmetric key that says RS256": {"keys": [{"kty": "oct", "kid": KEY_ID, "k": "c2VjcmV0", "alg": "RS256"}]},
    "a private key": {"keys": [{**public_jwk("RS256"), "d": "AQAB"}]},
    "a key for encryption": {"keys": [public_jwk("RS256", use="enc")]},
    "a key of another algorithm": {"keys": [public_jwk("RS256", alg="HS256")]},
    "a key of another type's algorithm": {"keys": [public_jwk("RS256", alg="ES256")]},
    "a key without id": {"keys": [public_jwk("RS256", kid=None)]},
    "a key whose id is too long": {"keys": [public_jwk("RS256", kid="x" * (MAX_KEY_ID_LENGTH + 1))]},
    "keys that are none": {"keys": [None, 7, "key", [], {}, {"kid": KEY_ID}]},
    "key parts of other types": {
        "keys": [public_jwk("RS256", n=part) for part in (*NO_PARTS, "x" * 9000)]
        + [public_jwk("RS256", e=part) for part in NO_PARTS]
        + [public_jwk("ES256", x=part) for part in NO_PARTS]
        + [public_jwk("ES256", **{name: []}) for name in ("kty", "crv", "alg", "use")]
        + [public_jwk("EdDSA", x=part) for part in NO_PARTS]
    },
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
async def test_a_key_set_of_another_making_is_an_outage(
    client: JwksClient, published: KeyServer, document: object
) -> None:
    published.document = document
    with pytest.raises(KeysUnavailable):
        await client.get(KEY_ID)


async def test_a_key_set_that_nests_without_end_is_an_outage(client: JwksClient, published: KeyServer) -> None:
    published.text = "[" * 200_000
    with pytest.raises(KeysUnavailable):
        await client.get(KEY_ID)


async def test_a_key_set_elsewhere_is_not_followed(client: JwksClient, published: KeyServer) -> None:
    published.status, published.headers = 302, {"Location": "/keys?again"}
    with pytest.raises(KeysUnavailable):
        await client.get(KEY_ID)
    assert published.requests == 1


async def test_one_bad_key_does_not_spoil_the_set(client: JwksClient, published: KeyServer, issuer: Issuer) -> None:
    published.document = {"keys": [*HOSTILE["key parts of other types"]["keys"], *issuer.key_set["keys"]]}
    assert await client.get(KEY_ID) is not None
