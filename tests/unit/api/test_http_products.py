"""Products over HTTP."""

from typing import Any

import pytest

from order_shared.storage.inventory import UnreadableProduct
from tests.fakes import MemoryInventoryRepository
from tests.unit.api.conftest import Api, open_api, problem_of

TEA = {"name": "Green tea", "unit_price": 590, "currency": "EUR"}


async def adjust(api: Api, delta: Any, key: str | None = "key-1", sku: str = "TEA") -> Any:
    headers = api.headers() if key is None else {**api.headers(), "Idempotency-Key": key}
    return await api.http.post(f"/v1/products/{sku}/stock", json={"delta": delta}, headers=headers)


async def test_a_product_is_put_and_read(api: Api) -> None:
    put = await api.http.put("/v1/products/TEA", json={**TEA, "stock_shards": 4}, headers=api.headers())
    read = await api.http.get("/v1/products/TEA", headers=api.headers())
    assert (put.status_code, read.status_code) == (200, 200)
    assert read.json() == put.json()
    product = read.json()
    assert product.pop("updated_at").endswith("Z")
    assert product == {"__typename": "Product", "sku": "TEA", **TEA, "stock_shards": 4, "available": 0}


async def test_putting_again_replaces_it_and_keeps_stock_and_shards(api: Api) -> None:
    await api.put_product("TEA", units=7, stock_shards=3)
    response = await api.http.put("/v1/products/TEA", json={**TEA, "unit_price": 1}, headers=api.headers())
    product = response.json()
    assert (product["unit_price"], product["available"], product["stock_shards"]) == (1, 7, 3)


async def test_shards_only_grow(api: Api) -> None:
    await api.put_product("TEA", stock_shards=3)
    response = await api.http.put("/v1/products/TEA", json={**TEA, "stock_shards": 2}, headers=api.headers())
    problem_of(response, 409, "stock_shards_reduced")


@pytest.mark.parametrize(
    "fault",
    [
        {"name": ""},
        {"name": "x" * 121},
        {"unit_price": -1},
        {"unit_price": 10_000_001},
        {"unit_price": 5.9},
        {"currency": "eur"},
        {"currency": "ZZZ"},
        {"currency": "XAU"},
        {"currency": ""},
        {"stock_shards": 17},
        {"stock_shards": 0},
        {"available": 5},
    ],
)
async def test_a_bad_product_is_refused(api: Api, fault: dict[str, Any]) -> None:
    response = await api.http.put("/v1/products/TEA", json={**TEA, **fault}, headers=api.headers())
    problem = problem_of(response, 400, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == [f"/{field}" for field in fault]


async def test_a_currency_that_does_not_exist_is_refused_in_a_sentence(api: Api) -> None:
    response = await api.http.put("/v1/products/TEA", json={**TEA, "currency": "ZZZ"}, headers=api.headers())
    (error,) = problem_of(response, 400, "validation_failed")["errors"]
    assert error["code"] == "unknown_currency"
    assert error["detail"] == "there is no currency ZZZ: a currency is three capital letters of ISO 4217, such as EUR"


async def test_a_bad_sku_is_refused(api: Api) -> None:
    problem_of(await api.http.put("/v1/products/-x", json=TEA, headers=api.headers()), 400, "validation_failed")


async def test_products_of_other_tenants_are_not_found(api: Api) -> None:
    await api.put_product("TEA")
    elsewhere = api.headers(tenant="globex")
    problem_of(await api.http.get("/v1/products/TEA", headers=elsewhere), 404, "product_not_found")
    assert (await api.http.get("/v1/products", headers=elsewhere)).json()["items"] == []


async def test_products_are_listed_by_sku_page_by_page(api: Api) -> None:
    for sku in ("C", "A", "B"):
        await api.put_product(sku)
    first = (await api.http.get("/v1/products", params={"limit": 2}, headers=api.headers())).json()
    assert [product["sku"] for product in first["items"]] == ["A", "B"]
    params = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await api.http.get("/v1/products", params=params, headers=api.headers())).json()
    assert ([product["sku"] for product in second["items"]], second["has_more"]) == (["C"], False)
    stranger = await api.http.get("/v1/products", params=params, headers=api.headers(tenant="globex"))
    problem_of(stranger, 400, "invalid_cursor")


async def test_stock_is_changed_once_per_key(api: Api) -> None:
    await api.put_product("TEA")
    first, again = await adjust(api, 5), await adjust(api, 5)
    assert (first.status_code, first.json()["available"]) == (200, 5)
    assert (again.status_code, again.json()["available"]) == (200, 5)
    assert again.headers["Idempotent-Replayed"] == "true"
    problem_of(await adjust(api, 6), 422, "idempotency_key_reused")


async def test_a_removal_is_replayed_even_when_nothing_is_left(api: Api) -> None:
    await api.put_product("TEA", units=5)
    assert (await adjust(api, -5)).json()["available"] == 0
    assert (await adjust(api, -5)).headers["Idempotent-Replayed"] == "true"
    problem_of(await adjust(api, -5, key="another"), 409, "insufficient_stock")


async def test_the_stock_of_no_product_cannot_be_changed(api: Api) -> None:
    problem_of(await adjust(api, 5, sku="NONE"), 404, "product_not_found")


@pytest.mark.parametrize("delta", [0, 10**10, -(10**10), 1.5, "1", None])
async def test_a_bad_change_is_refused(api: Api, delta: Any) -> None:
    await api.put_product("TEA")
    problem_of(await adjust(api, delta), 400, "validation_failed")


async def test_a_change_needs_a_key(api: Api) -> None:
    await api.put_product("TEA")
    problem_of(await adjust(api, 5, key=None), 400, "idempotency_key_missing")


class WithUnreadable(MemoryInventoryRepository):
    """The product B is one that this release cannot read."""

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Any]:
        read = await super().list_products(tenant, after=after, limit=limit)
        return [UnreadableProduct(sku="B", error="of a newer release") if each.sku == "B" else each for each in read]


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
async def test_a_product_that_cannot_be_read_is_left_out_and_counted(limit: int) -> None:
    async with open_api(make_inventory=WithUnreadable) as api:
        for sku in ("A", "B", "C", "D"):
            await api.put_product(sku)
        listed: list[str] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = (await api.http.get("/v1/products", params=query, headers=api.headers())).json()
            listed += [item["sku"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert 'order_unreadable_items_total{kind="product"} 1.0' in (await api.http.get("/metrics")).text
    assert listed == ["A", "C", "D"]
