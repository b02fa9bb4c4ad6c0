"""Tokens against the running stack: verified with the keys that the issuer publishes, and limits told in headers."""

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from devstack.issuer import Issuer
from tests.e2e.conftest import Shop


@pytest.fixture(scope="module")
def stranger() -> Issuer:
    """Says that it is the issuer, under the same key id, with a key of its own."""
    return Issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def code_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def test_only_the_issuer_s_tokens_are_taken(shop: Shop, stranger: Issuer) -> None:
    taken = await shop.http.get("/v1/orders", headers=shop.headers())
    assert taken.status_code == 200
    assert taken.headers["RateLimit-Policy"].startswith('"default";q=')
    assert taken.headers["RateLimit"].startswith('"default";r=')
    forged = {"Authorization": f"Bearer {stranger.token(shop.tenant, 'ada')}"}
    expired = {"Authorization": f"Bearer {shop.issuer.token(shop.tenant, 'ada', ttl_seconds=-3600)}"}
    for headers in ({}, forged, expired):
        assert code_of(await shop.http.get("/v1/orders", headers=headers)) == (401, "unauthenticated")


async def test_a_token_without_the_scope_changes_nothing(shop: Shop) -> None:
    await shop.stock("TEA", 1)
    headers = shop.headers(scope="orders:read products:read")
    product = {"name": "Tea for nothing", "unit_price": 0, "currency": "EUR"}
    assert code_of(await shop.http.put("/v1/products/TEA", json=product, headers=headers)) == (
        403,
        "insufficient_scope",
    )
    assert (await shop.http.get("/v1/products/TEA", headers=headers)).json()["unit_price"] == 590
