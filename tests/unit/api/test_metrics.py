"""Order metrics of the API: accepted orders, and orders ended by the API."""

from tests.unit.api.conftest import Api

BODY = {"lines": [{"sku": "TEA", "quantity": 1}]}


async def lines(api: Api) -> list[str]:
    return (await api.http.get("/metrics")).text.splitlines()


async def test_an_order_is_accepted_once_however_often_it_is_sent(api: Api) -> None:
    await api.put_product("TEA", units=5)
    assert "order_accepted_total 0.0" in await lines(api)
    for _ in range(3):
        assert (await api.post_order(BODY)).status_code == 202
    said = await lines(api)
    assert "order_accepted_total 1.0" in said
    assert "order_accept_seconds_count 3.0" in said


async def test_an_order_that_the_api_cancels_has_ended(api: Api) -> None:
    await api.put_product("TEA", units=5)
    order_id = (await api.post_order(BODY)).json()["id"]
    assert 'order_ended_total{status="cancelled"} 0.0' in await lines(api)
    for _ in range(2):
        assert (await api.http.post(f"/v1/orders/{order_id}/cancel", headers=api.headers())).status_code == 202
    said = await lines(api)
    assert 'order_ended_total{status="cancelled"} 1.0' in said
    assert "order_end_seconds_count 1.0" in said


async def test_callers_cannot_make_series_by_inventing_methods(api: Api) -> None:
    for method in ("PROPFIND", "M-SEARCH", "UNLOCK"):
        await api.http.request(method, "/v1/orders", headers=api.headers())
    said = [line for line in await lines(api) if line.startswith("order_http_requests_total{")]
    assert [line for line in said if "PROPFIND" in line or "M-SEARCH" in line or "UNLOCK" in line] == []
    assert len([line for line in said if 'method="other"' in line and line.endswith(" 3.0")]) == 1


async def test_the_build_is_named(api: Api) -> None:
    (build,) = [line for line in await lines(api) if line.startswith("order_build_info{")]
    assert 'service="order-api"' in build
    assert 'commit="unknown"' in build
