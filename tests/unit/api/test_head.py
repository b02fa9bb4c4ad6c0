"""HEAD works wherever GET does: the same status and headers, without a body."""

import pytest

from tests.unit.api.conftest import Api
from tests.unit.api.sockets import exchange, serving

PATHS = [
    "/v1/orders",
    "/v1/orders?limit=0",
    "/v1/orders/ord_x",
    "/v1/orders/{order_id}",
    "/v1/products",
    "/v1/products/TEA",
    "/v1/nowhere",
    "/healthz",
    "/serving",
    "/readyz",
    "/openapi.json",
    "/pages/api",
    "/pages/errors",
    "/pages/errors/unknown_sku",
]
CHANGING = {"x-request-id", "ratelimit"}


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    await api.put_product("TEA", units=1)
    placed = await api.post_order({"lines": [{"sku": "TEA", "quantity": 1}]})
    path = path.format(order_id=placed.json()["id"])
    got = await api.http.get(path, headers={**api.headers(), "X-Request-Id": "same"})
    headed = await api.http.head(path, headers={**api.headers(), "X-Request-Id": "same"})
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert {name: value for name, value in headed.headers.items() if name not in CHANGING} == {
        name: value for name, value in got.headers.items() if name not in CHANGING
    }


async def test_head_of_a_path_without_get_is_refused(api: Api) -> None:
    response = await api.http.head("/v1/orders/ord_x/cancel", headers=api.headers())
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


async def test_head_is_counted_as_head(api: Api) -> None:
    await api.http.head("/v1/orders", headers=api.headers())
    text = (await api.http.get("/metrics")).text
    assert 'order_http_requests_total{method="HEAD",route="/v1/orders",status="200"} 1.0' in text


async def test_no_body_follows_a_head_on_the_connection() -> None:
    head = b"HEAD /healthz HTTP/1.1\r\nHost: api.test\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
    async with serving() as port:
        answer = await exchange(port, head + last)
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert b"content-length: 15" in first.lower()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
