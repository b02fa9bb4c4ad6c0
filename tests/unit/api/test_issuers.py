"""The settings that docs/authentication.md gives for each issuer, with tokens of the form that the issuer documents."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from devstack.issuer import ALGORITHM, KEY_ID
from order_api.auth import Discovery, InvalidToken, TokenVerifier
from order_api.config import ApiSettings
from order_api.main import token_rules
from order_shared.domain.order.models import Customer
from order_shared.runtime.settings import read_settings
from tests.unit.api.conftest import KnownKeys, issuer, make_app

GUIDE = Path(__file__).parents[3] / "docs" / "authentication.md"
MAX_SETTINGS = 6
OTHERS = {"AWS_REGION": "eu-central-1", "ORDER_ENV": "prod", "ORDER_CURSOR_SECRETS": "a-secret-for-tests"}
"""Settings of the service that have nothing to do with the issuer."""

ORDERS = {"orders:read", "orders:write"}
BACKEND = ORDERS | {"orders:act"}
ENTRA = "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0"
ENTRA_TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"


@dataclass(frozen=True)
class Token:
    """Claims of an access token without its times, and the customer and scopes that it stands for."""

    claims: Mapping[str, Any]
    tenant: str
    customer: str
    scopes: set[str]


@dataclass(frozen=True)
class Described:
    """Section of the guide, the issuer's documented address of discovery, and its tokens: valid and refused ones."""

    discovery: str
    tokens: Mapping[str, Token]
    refused: Mapping[str, tuple[Mapping[str, Any], str]]


OKTA_USER = {
    "ver": 1,
    "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
    "iss": "https://example.okta.com/oauth2/default",
    "aud": "api://orders",
    "sub": "ada+shop@example.com",
    "cid": "nmdP1fcyvdVO11AL7ECm",
    "uid": "00ujmkLgagxeRrAg20g3",
    "scp": ["openid", "email", "orders:read", "orders:write"],
    "tenant": "acme",
}
ENTRA_USER = {
    "aud": "11112222-bbbb-3333-cccc-4444dddd5555",
    "iss": ENTRA,
    "aio": "opaque",
    "azp": "00001111-aaaa-2222-bbbb-3333cccc4444",
    "azpacr": "0",
    "name": "Ada Lovelace",
    "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
    "preferred_username": "ada@example.com",
    "rh": "opaque",
    "scp": "orders:read orders:write",
    "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "tid": ENTRA_TENANT,
    "uti": "uqTnK4QFhk-6HABcp9x2AA",
    "ver": "2.0",
}
ENTRA_APPLICATION = {
    **{name: ENTRA_USER[name] for name in ("aud", "iss", "aio", "azp", "rh", "tid", "uti", "ver")},
    "azpacr": "1",
    "oid": "bbbbbbbb-1111-2222-3333-cccccccccccc",
    "roles": ["orders:read", "orders:write", "orders:act"],
    "sub": "bbbbbbbb-1111-2222-3333-cccccccccccc",
}
AUTH0_TENANT = "https://orders.example.com/tenant"
AUTH0_USER = {
    "iss": "https://example.eu.auth0.com/",
    "sub": "auth0|123456",
    "aud": ["https://orders.example.com", "https://example.eu.auth0.com/userinfo"],
    "azp": "my_client_id",
    "scope": "openid profile orders:read orders:write",
    AUTH0_TENANT: "acme",
}
COGNITO_USER = {
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "cognito:groups": ["admin"],
    "token_use": "access",
    "scope": "openid orders-api/orders:read orders-api/orders:write other-api/products:write products:read",
    "auth_time": 1562190524,
    "iss": COGNITO,
    "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "client_id": "4qk0example1",
    "username": "janedoe@example.com",
    "tenant": "acme",
}
KEYCLOAK_USER = {
    "jti": "000cdca9-a124-4ce3-9284-150e0978f208",
    "iss": "https://sso.example.com/realms/shop",
    "aud": ["order-api", "account"],
    "sub": "1d2d88f8-8b68-4b6b-883f-1af68b598612",
    "typ": "Bearer",
    "azp": "web-shop",
    "acr": "1",
    "realm_access": {"roles": ["default-roles-shop", "offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
    "scope": "openid email profile orders:read orders:write",
    "email_verified": False,
    "preferred_username": "ada",
    "tenant": "acme",
}

ISSUERS: Mapping[str, Described] = {
    "Okta": Described(
        "https://example.okta.com/oauth2/default/.well-known/openid-configuration",
        {
            "user": Token(OKTA_USER, "acme", "ada+shop@example.com", ORDERS | {"openid", "email"}),
            "application": Token(
                {name: value for name, value in OKTA_USER.items() if name != "uid"}
                | {"sub": OKTA_USER["cid"], "scp": ["orders:read", "orders:write", "orders:act"]},
                "acme",
                "nmdP1fcyvdVO11AL7ECm",
                BACKEND,
            ),
        },
        {
            "an ID token": (OKTA_USER | {"aud": "nmdP1fcyvdVO11AL7ECm"}, "aud"),
            "of the org authorization server": (OKTA_USER | {"iss": "https://example.okta.com"}, "iss"),
            "without the claim of the tenant": (OKTA_USER | {"tenant": None}, "tenant"),
        },
    ),
    "Microsoft Entra ID": Described(
        f"{ENTRA}/.well-known/openid-configuration",
        {
            "user": Token(ENTRA_USER, ENTRA_TENANT, "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", ORDERS),
            "application": Token(ENTRA_APPLICATION, ENTRA_TENANT, "bbbbbbbb-1111-2222-3333-cccccccccccc", BACKEND),
        },
        {
            "of version 1.0": (
                ENTRA_USER | {"iss": f"https://sts.windows.net/{ENTRA_TENANT}/", "ver": "1.0"},
                "iss",
            ),
            "of another directory": (ENTRA_USER | {"iss": ENTRA.replace("aaaabbbb", "bbbbaaaa")}, "iss"),
            "for Microsoft Graph": (ENTRA_USER | {"aud": "00000003-0000-0000-c000-000000000000"}, "aud"),
        },
    ),
    "Auth0": Described(
        "https://example.eu.auth0.com/.well-known/openid-configuration",
        {
            "user": Token(AUTH0_USER, "acme", "auth0|123456", ORDERS | {"openid", "profile"}),
            "application": Token(
                {
                    "iss": "https://example.eu.auth0.com/",
                    "sub": "my_client_id@clients",
                    "aud": "https://orders.example.com",
                    "azp": "my_client_id",
                    "scope": "orders:read orders:write orders:act",
                    "gty": "client-credentials",
                    AUTH0_TENANT: "acme",
                },
                "acme",
                "my_client_id@clients",
                BACKEND,
            ),
        },
        {
            "an ID token": (AUTH0_USER | {"aud": "my_client_id"}, "aud"),
            "for the user's profile only": (AUTH0_USER | {"aud": "https://example.eu.auth0.com/userinfo"}, "aud"),
            "with the tenant under another name": (AUTH0_USER | {AUTH0_TENANT: None, "tenant": "acme"}, AUTH0_TENANT),
        },
    ),
    "Amazon Cognito": Described(
        f"{COGNITO}/.well-known/openid-configuration",
        {
            "user": Token(COGNITO_USER, "acme", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", ORDERS),
            "application": Token(
                {
                    **{name: COGNITO_USER[name] for name in ("token_use", "auth_time", "iss", "jti", "tenant")},
                    "sub": "7hm2example2",
                    "client_id": "7hm2example2",
                    "scope": "orders-api/orders:read orders-api/orders:write orders-api/orders:act",
                    "version": 2,
                },
                "acme",
                "7hm2example2",
                BACKEND,
            ),
        },
        {
            "an ID token": (
                {name: value for name, value in COGNITO_USER.items() if name != "client_id"}
                | {"aud": "4qk0example1", "token_use": "id"},
                "client_id",
            ),
            "of another app client": (COGNITO_USER | {"client_id": "another"}, "client_id"),
            "of several app clients": (COGNITO_USER | {"client_id": ["4qk0example1"]}, "client_id"),
            "with the tenant under another name": (COGNITO_USER | {"tenant": None, "custom:tenant": "acme"}, "tenant"),
            "with another use": (COGNITO_USER | {"token_use": "id"}, "access token"),
        },
    ),
    "Keycloak": Described(
        "https://sso.example.com/realms/shop/.well-known/openid-configuration",
        {
            "user": Token(
                KEYCLOAK_USER,
                "acme",
                "1d2d88f8-8b68-4b6b-883f-1af68b598612",
                ORDERS | {"openid", "email", "profile"},
            ),
            "application": Token(
                KEYCLOAK_USER
                | {
                    "aud": "order-api",
                    "sub": "b6cc7aa0-1af0-460e-9174-e05c881fb6d4",
                    "azp": "shop-backend",
                    "client_id": "shop-backend",
                    "preferred_username": "service-account-shop-backend",
                    "scope": "orders:read orders:write orders:act",
                },
                "acme",
                "b6cc7aa0-1af0-460e-9174-e05c881fb6d4",
                BACKEND,
            ),
        },
        {
            "without the audience mapper": (KEYCLOAK_USER | {"aud": "account"}, "aud"),
            "without an audience": (KEYCLOAK_USER | {"aud": None}, "aud"),
            "of another realm": (KEYCLOAK_USER | {"iss": "https://sso.example.com/realms/master"}, "iss"),
        },
    ),
}


def settings_of(name: str) -> dict[str, str]:
    """Return the settings in the issuer's section of the guide."""
    (section,) = re.findall(
        rf"^## With {re.escape(name)}$(.*?)(?=^## )", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (block,) = re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0].strip() for line in block.splitlines()]
    return dict(line.split("=", 1) for line in lines)


def loaded(name: str, **changes: str) -> ApiSettings:
    return read_settings(ApiSettings, OTHERS | settings_of(name) | changes)


def verifier_of(settings: ApiSettings) -> TokenVerifier:
    return TokenVerifier(KnownKeys(), token_rules(settings))


def signed(claims: Mapping[str, Any]) -> str:
    now = int(time.time())
    said = {name: value for name, value in claims.items() if value is not None}
    times = {"iat": now, "nbf": now, "exp": now + 300}
    return jwt.encode({**said, **times}, issuer().private_key, algorithm=ALGORITHM, headers={"kid": KEY_ID})


def test_each_issuer_of_the_guide_is_tested() -> None:
    assert re.findall(r"^## With (.*)$", GUIDE.read_text("utf-8"), re.MULTILINE) == ["any issuer", *ISSUERS]


@pytest.mark.parametrize("name", ISSUERS)
def test_an_issuer_needs_few_settings_and_is_discovered(name: str) -> None:
    given, settings = settings_of(name), loaded(name)
    assert len(given) <= MAX_SETTINGS
    assert all(each.startswith("ORDER_JWT_") for each in given)
    known = {field: value for field, value in settings.model_dump().items() if field.startswith("jwt_")}
    assert {f"ORDER_{field}".upper() for field in known} >= given.keys(), "every one of them is a setting"
    assert Discovery(issuer=settings.jwt_issuer, https_only=True).url == ISSUERS[name].discovery


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, each in ISSUERS.items() for kind in each.tokens])
async def test_an_access_token_of_the_documented_form_names_its_customer(name: str, kind: str) -> None:
    token = ISSUERS[name].tokens[kind]
    identity = await verifier_of(loaded(name)).verify(signed(token.claims))
    assert identity.customer == Customer(tenant=token.tenant, id=token.customer)
    assert identity.scopes == token.scopes


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, each in ISSUERS.items() for kind in each.refused])
async def test_another_token_of_the_issuer_is_refused(name: str, kind: str) -> None:
    claims, reason = ISSUERS[name].refused[kind]
    with pytest.raises(InvalidToken, match=re.escape(reason)):
        await verifier_of(loaded(name)).verify(signed(claims))


@pytest.mark.parametrize("name", ISSUERS)
async def test_users_and_backends_reach_their_orders_with_these_settings(name: str) -> None:
    app, tokens = make_app(loaded(name)), ISSUERS[name].tokens
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api.test") as http,
    ):
        for kind, named, status in (("user", None, 200), ("application", "ada", 200), ("user", "ada", 403)):
            headers = {"Authorization": f"Bearer {signed(tokens[kind].claims)}"}
            answer = await http.get("/v1/orders", headers=headers | ({"Order-Customer": named} if named else {}))
            assert answer.status_code == status, answer.text


async def test_permissions_of_auth0_may_be_the_scopes() -> None:
    """With *Add Permissions in the Access Token*: what the user may do, whatever the application asked for."""
    assert "`ORDER_JWT_SCOPE_CLAIMS=permissions`" in GUIDE.read_text("utf-8")
    claims = AUTH0_USER | {"scope": "openid profile", "permissions": ["orders:read", "orders:write"]}
    verifier = verifier_of(loaded("Auth0", ORDER_JWT_SCOPE_CLAIMS="permissions"))
    assert (await verifier.verify(signed(claims))).scopes == ORDERS
