"""Paths of the API that the internet can reach, and the release header of responses."""

from urllib.parse import quote

import pytest

from order_api.dependencies import OPERATIONAL, PUBLIC
from tests.unit.api.conftest import SETTINGS, Api, open_api
from tests.unit.api.sockets import exchange, head, serving

RELEASE = "Order-Release"
COMMIT = "1f0c3a9be4d27f6a5b8c90d1e2f3a4b5c6d7e8f9"


def disguised(path: str) -> list[str]:
    """Spellings of a path that begin like the paths forwarded by the load balancer."""
    return [
        f"{prefix}{spelling}"
        for prefix in ("/v1", "/pages")
        for spelling in (path, f"/..{path}", f"/%2e%2e{path}", f"//..{path}", f"/.{path}", quote(f"/..{path}", safe=""))
    ]


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_no_forwarded_path_reaches_internal_endpoints(path: str) -> None:
    async with serving() as port:
        for spelling in disguised(path):
            answer = await exchange(port, head(spelling, "Connection: close"))
            assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 404 ")), spelling


async def test_authenticated_responses_name_the_release_good_or_bad() -> None:
    async with open_api(settings=SETTINGS.model_copy(update={"commit": COMMIT})) as api:
        asked = [
            await api.http.get("/v1/products", headers=api.headers()),
            await api.http.get("/v1/orders/ord_x", headers=api.headers()),
            await api.http.get("/v1/products", headers=api.headers(scope="orders:read")),
            await api.http.get("/v1/nowhere", headers=api.headers()),
        ]
        assert [(each.status_code, each.headers.get(RELEASE)) for each in asked] == [
            (200, COMMIT),
            (404, COMMIT),
            (403, COMMIT),
            (404, COMMIT),
        ]


async def test_nobody_else_learns_the_release(api: Api) -> None:
    paths = ["/v1/products", "/nowhere", *sorted(OPERATIONAL)]
    none = [(await api.http.get(path)).headers.get(RELEASE) for path in paths]
    forged = await api.http.get("/v1/products", headers={"Authorization": "Bearer x.y.z"})
    assert {*none, forged.headers.get(RELEASE)} == {None}
