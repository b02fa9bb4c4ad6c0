"""Access to every route: only with a valid token and the required scope. Refused requests change nothing.

tests/integration checks, over fakes and real storage, that authenticated callers reach only their own data.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devstack.issuer import ALGORITHM, AUDIENCE, ISSUER, KEY_ID, Issuer
from order_api.auth import LEEWAY_SECONDS
from order_api.main import create_app
from tests.unit.api.conftest import SETTINGS, issuer, problem_of
from tests.unit.api.isolation import (
    ACT,
    EXAMPLES,
    PROTECTED,
    PUBLIC,
    SCOPES,
    Caller,
    Route,
    World,
    done,
    example_of,
    nobodys,
    open_memory_world,
    routes_of,
)

Claims = dict[str, Any]

every_route = pytest.mark.parametrize("route", PROTECTED, ids=str)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_memory_world() as opened:
        yield opened


@cache
def another_issuer() -> Issuer:
    return Issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def claims_of(caller: Caller) -> Claims:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": caller.customer,
        "tenant": caller.tenant,
        "scope": caller.scope,
        "iat": now,
        "exp": now + 600,
    }


def signed(claims: Claims, by: Issuer | None = None, **header: object) -> str:
    """Return a token signed by the issuer, or by `by`, with the id of the signing key unless the header has another."""
    key = (by or issuer()).private_key
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": KEY_ID, **header})


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def handmade(claims: Claims, algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would create."""
    header = {"alg": algorithm, "typ": "JWT", "kid": KEY_ID}
    unsigned = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{unsigned}.{encoded(sign(unsigned.encode()))}"


def with_public_key_as_secret(claims: Claims) -> str:
    secret = issuer().private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return handmade(claims, "HS256", lambda unsigned: hmac.new(secret, unsigned, hashlib.sha256).digest())


def changed_after(claims: Claims, **changes: object) -> str:
    """Return a token with other claims under the original signature."""
    header, _, signature = signed(claims).split(".")
    return f"{header}.{encoded(json.dumps(claims | changes).encode())}.{signature}"


def without(claims: Claims, name: str) -> str:
    return signed({known: value for known, value in claims.items() if known != name})


def tokens_that_do_not_hold(claims: Claims) -> dict[str, str]:
    now, tenant, customer = int(time.time()), claims["tenant"], claims["sub"]
    return {
        "expired": signed(claims | {"exp": now - 2 * LEEWAY_SECONDS}),
        "not yet valid": signed(claims | {"nbf": now + 2 * LEEWAY_SECONDS}),
        "forged": signed(claims, another_issuer()),
        "forged, with the key for it": signed(claims, another_issuer(), jwk=another_issuer().key_set["keys"][0]),
        "of an unknown key": signed(claims, kid="another"),
        "unsigned": handmade(claims, "none", lambda _: b""),
        "unsigned, in other letters": handmade(claims, "nOnE", lambda _: b""),
        "the signature left out": signed(claims).rpartition(".")[0] + ".",
        "the public key as a secret": with_public_key_as_secret(claims),
        "a secret of one's own": jwt.encode(claims, "s" * 32, headers={"kid": KEY_ID}),
        "changed after it was signed": changed_after(claims, iat=now - 1),
        "of another issuer": signed(claims | {"iss": f"{ISSUER}.example"}),
        "for another audience": signed(claims | {"aud": "another"}),
        **{f"without {name}": without(claims, name) for name in ("iss", "aud", "exp", "sub", "tenant")},
        "of a customer without a name": signed(claims | {"sub": ""}),
        "of two customers": signed(claims | {"sub": [customer, "another"]}),
        "of a tenant without a name": signed(claims | {"tenant": ""}),
        "of two tenants": signed(claims | {"tenant": [tenant, "another"]}),
        "a customer in the tenant's name": signed(claims | {"tenant": f"{tenant}#{customer}"}),
        "no token": "of.good.news",
    }


def unknown_callers(claims: Claims) -> dict[str, dict[str, str]]:
    """Headers of callers that claim an identity without proof."""
    sent = {
        "nothing but a scheme": "Bearer",
        "no scheme": signed(claims),
        "another scheme": f"Basic {signed(claims)}",
        **{name: f"Bearer {token}" for name, token in tokens_that_do_not_hold(claims).items()},
    }
    return {"nothing": {}} | {name: {"Authorization": value} for name, value in sent.items()}


def test_every_route_is_known_to_the_suite() -> None:
    """A new route needs an entry in EXAMPLES, or in PUBLIC if it is public. A removed route has none."""
    assert sorted(EXAMPLES) == PROTECTED


def test_no_route_is_overlooked() -> None:
    """FastAPI finds the documented routes independently of this suite."""
    documented = {
        Route(path, method.upper())
        for path, operations in create_app(SETTINGS).openapi()["paths"].items()
        for method in operations
        if path not in PUBLIC
    }
    assert documented == set(PROTECTED)


def test_a_new_route_fails_the_suite() -> None:
    app = create_app(SETTINGS)
    app.get("/v1/reports/{report_id}")(lambda report_id: report_id)
    app.post("/metrics")(lambda: None)
    app.websocket("/v1/feed")(lambda websocket: websocket)
    new = set(routes_of(app)) - set(PROTECTED)
    assert {str(route) for route in new} == {"GET /v1/reports/{report_id}", "POST /metrics", "* /v1/feed"}
    for route in new:
        with pytest.raises(AssertionError, match="EXAMPLES"):
            example_of(route)


@every_route
async def test_an_unauthenticated_caller_is_refused(world: World, route: Route) -> None:
    names = await world.settle()
    before = await world.snapshot()
    callers = unknown_callers(claims_of(world.owner.as_staff))
    answered = {}
    for name, headers in callers.items():
        response = await world.send(route, headers, names)
        answered[name] = (response.status_code, response.headers.get("WWW-Authenticate", "")[:6])
        if response.status_code == 401:
            problem_of(response, 401, "unauthenticated")
    assert answered == dict.fromkeys(callers, (401, "Bearer"))
    assert await world.snapshot() == before
    known = signed(claims_of(world.owner.entitled_to(route)))
    done(await world.send(route, {"Authorization": f"Bearer {known}"}, names))


@every_route
async def test_one_scope_lets_in_and_no_other(world: World, route: Route) -> None:
    names = await world.settle()
    before = await world.snapshot()
    scope = example_of(route).scope
    others = [other for other in SCOPES if other != scope]
    resource, _, action = scope.partition(":")
    for given in ("", *others, " ".join(others), scope[:-1], scope + "s", scope.upper(), f"{resource}:*", f"{scope},-"):
        caller = Caller(world.owner.tenant, world.owner.customer, given)
        problem_of(await world.send(route, caller.headers, names), 403, "insufficient_scope")
        assert await world.snapshot() == before, f"{given!r} in place of {action} changed something"
    done(await world.send(route, Caller(world.owner.tenant, world.owner.customer, scope).headers, names))


@every_route
async def test_nobody_acts_for_another_without_the_scope_for_it(world: World, route: Route) -> None:
    """The header is refused, not ignored: for oneself, for staff, and whatever it contains."""
    names = await world.settle()
    before = await world.snapshot()
    for caller in (world.owner.entitled_to(route), world.neighbour.entitled_to(route), world.neighbour.as_staff):
        for named in (world.owner.customer, caller.customer, "nobody", ""):
            answer = await world.send(route, caller.headers | {"Order-Customer": named}, names)
            assert problem_of(answer, 403, "insufficient_scope")["detail"] == f"the token lacks the scope {ACT}"
            assert answer.headers["WWW-Authenticate"].endswith(f'scope="{ACT}"')
    assert await world.snapshot() == before


@every_route
async def test_who_acts_for_another_needs_the_scope_of_the_route_too(world: World, route: Route) -> None:
    names = await world.settle()
    before = await world.snapshot()
    scope = example_of(route).scope
    others = " ".join(other for other in SCOPES if other != scope)
    acting = replace(world.owner.by_backend, scope=others)
    problem_of(await world.send(route, acting.headers, names), 403, "insufficient_scope")
    assert await world.snapshot() == before
    done(await world.send(route, replace(acting, scope=f"{scope} {ACT}").headers, names))


@every_route
async def test_a_header_that_names_no_customer_is_refused(world: World, route: Route) -> None:
    for named in ([""], [" "], ["\t"], ["a\tb"], ["x" * 256], ["Zo\xeb"], ["a\x7f"], ["ada", "ada"], ["ada", "bob"]):
        values = [each.encode("latin-1") for each in named]
        sent = dict(zip(("Order-Customer", "order-customer"), values, strict=False))
        headers: dict[str, Any] = world.owner.by_backend.entitled_to(route).headers | sent
        problem = problem_of(await world.send(route, headers, nobodys()), 400, "validation_failed")
        assert [fault["pointer"] for fault in problem["errors"]] == ["header:order-customer"], named


@every_route
async def test_a_token_counts_in_its_header_only(world: World, route: Route) -> None:
    names = await world.settle()
    before = await world.snapshot()
    token = signed(claims_of(world.owner.entitled_to(route)))
    cookies = {"Cookie": f"access_token={token}; Authorization=Bearer {token}", "X-Authorization": f"Bearer {token}"}
    response = await world.send(route, cookies, names, params={"access_token": token, "authorization": token})
    problem_of(response, 401, "unauthenticated")
    assert await world.snapshot() == before


@pytest.mark.parametrize("path", ["/V1/orders", "//v1/orders", "/v1//orders", "/./v1/orders", "/%76%31/orders"])
async def test_no_spelling_of_a_path_gets_round_the_token(world: World, path: str) -> None:
    response = await world.http.get(path)
    assert response.status_code in {401, 404}
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_public_routes_return_no_customer_data(world: World, path: str) -> None:
    names = await world.settle()
    address = path.format(code="unknown_sku", name="pages.css")
    response = done(await world.http.get(address, follow_redirects=True))
    for secret in (world.owner.tenant, world.stranger.tenant, names.order_id):
        assert secret not in response.text


async def test_a_shop_that_asks_too_much_costs_no_other_shop_anything() -> None:
    frugal = SETTINGS.model_copy(update={"rate_limit_per_second": 0.001, "rate_limit_burst": 2})
    route, names = Route("/v1/products", "GET"), nobodys()
    async with open_memory_world(frugal) as world:
        for _ in range(2):
            done(await world.send(route, world.owner.headers, names))
        problem_of(await world.send(route, world.neighbour.headers, names), 429, "rate_limited")
        done(await world.send(route, world.stranger.headers, names))
