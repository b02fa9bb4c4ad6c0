"""Outside the home region the API serves reads, and refuses writes before it parses them."""

from collections.abc import AsyncIterator

import pytest

from order_shared.domain.order.models import Customer, Order
from tests.factories import make_order, make_product, make_record
from tests.unit.api.conftest import SETTINGS, Api, open_api, problem_of
from tests.unit.api.described import (
    BELOW_V1,
    OPERATIONS,
    PLACES,
    assert_documented,
    example_request,
    operation_of,
    problem_example,
)

HOME = "eu-central-1"
REPLICA = SETTINGS.model_copy(update={"home_region": HOME, "aws_region": "eu-west-1"})
ADA = Customer(tenant="acme", id="ada")
WRITES = [name for name in BELOW_V1 if OPERATIONS[name][0] != "GET"]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """API over the replica."""
    async with open_api(settings=REPLICA) as opened:
        yield opened


async def replicated(api: Api) -> Order:
    """Write a product and a confirmed order, as replicated from the home region."""
    await api.inventory.put(make_product())
    order = make_order(customer=ADA)
    api.store.set_stock("acme", "TEA", [10])
    await api.orders.add(order, make_record(order))
    await api.orders.move(order, order.confirm(order.created_at))
    return order


def scope_of(name: str) -> str:
    return str(operation_of(name)["security"][0]["bearer"][0])


def test_whatever_is_no_get_asks_for_a_scope_to_write() -> None:
    """One scope reads and writes webhook endpoints."""
    writing = [name for name in BELOW_V1 if scope_of(name).endswith(":write")]
    assert [name for name in writing if scope_of(name) != "webhooks:write" or name in WRITES] == WRITES


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_gets_the_home_region(api: Api, name: str) -> None:
    order = await replicated(api)
    headers = api.headers(scope=scope_of(name))
    request = example_request(name, headers=headers, order_id=order.order_id, sku="TEA")
    response = await api.http.send(request)
    problem = problem_of(response, 421, "not_home_region")
    assert (problem["home_region"], problem["retryable"]) == (HOME, False)
    assert HOME in problem["detail"]
    assert_documented(name, response)
    example = problem_example(name, "421", "not_home_region")
    assert problem == example | {"instance": request.url.path, "request_id": response.headers["X-Request-Id"]}


@pytest.mark.parametrize("name", WRITES)
async def test_nothing_is_written(api: Api, name: str) -> None:
    order = await replicated(api)
    before = dict(api.store.tables.items)
    headers = api.headers(scope=scope_of(name))
    await api.http.send(example_request(name, headers=headers, order_id=order.order_id, sku="TEA"))
    assert api.store.tables.items == before
    assert api.store.stock("acme", "TEA") == [8]
    assert api.queue.messages == []


async def test_a_write_is_refused_before_the_body_is_read(api: Api) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"{")
        yield b"{"

    headers = {**api.headers(), "Idempotency-Key": "k", "Content-Type": "application/json"}
    problem_of(await api.http.post("/v1/orders", content=body(), headers=headers), 421, "not_home_region")
    assert read == []


async def test_token_and_scope_are_checked_before_the_region(api: Api) -> None:
    problem_of(await api.http.post("/v1/orders"), 401, "unauthenticated")
    reader = api.headers(scope="orders:read")
    problem_of(await api.http.post("/v1/orders", headers=reader), 403, "insufficient_scope")


async def test_a_refused_write_counts_against_the_rate() -> None:
    async with open_api(
        settings=REPLICA.model_copy(update={"rate_limit_burst": 1, "rate_limit_per_second": 0.001})
    ) as api:
        problem_of(await api.http.post("/v1/orders", headers=api.headers()), 421, "not_home_region")
        problem_of(await api.http.post("/v1/orders", headers=api.headers()), 429, "rate_limited")


async def test_a_read_is_served(api: Api) -> None:
    order = await replicated(api)
    headers = api.headers()
    looked = await api.http.get(f"/v1/orders/{order.order_id}", headers=headers | {"Prefer": "wait=20"})
    assert (looked.json()["status"], looked.headers["Preference-Applied"]) == ("confirmed", "wait=20")
    listed = await api.http.get("/v1/orders", headers=headers)
    assert [item["id"] for item in listed.json()["items"]] == [order.order_id]
    assert (await api.http.get("/v1/products/TEA", headers=headers)).json()["available"] == 8
    products = await api.http.get("/v1/products", headers=headers)
    assert [item["sku"] for item in products.json()["items"]] == ["TEA"]


async def test_it_is_ready(api: Api) -> None:
    assert (await api.http.get("/readyz")).json()["status"] == "ready"


async def test_the_home_region_writes() -> None:
    async with open_api(settings=SETTINGS.model_copy(update={"home_region": SETTINGS.aws_region})) as api:
        await api.put_product("TEA", units=2)
        placed = await api.post_order({"lines": [{"sku": "TEA", "quantity": 1}]})
        assert placed.status_code == 202, placed.text


def test_it_is_documented_where_it_can_be_met_and_nowhere_else() -> None:
    assert [name for name, status in PLACES if status == "421"] == WRITES
