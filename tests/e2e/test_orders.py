"""Orders from the post to their end, against the running stack."""

import asyncio
from collections import Counter

import httpx2
import pytest

from devstack.stack import Stack
from order_shared.naming import ORDER_PROCESSOR
from tests.e2e.conftest import Shop


async def test_a_posted_order_is_confirmed_and_its_stock_taken(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    response = await shop.post(quantity=3)
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    order = await shop.ended(response.json()["id"])
    assert (order["status"], order["version"], order["total"]) == ("confirmed", 2, 1770)
    assert [entry["status"] for entry in order["timeline"]] == ["pending", "confirmed"]
    assert await shop.available("TEA") == 7


async def test_an_order_of_more_than_there_is_is_rejected_naming_the_sku(shop: Shop) -> None:
    await shop.stock("TEA", 2)
    order = await shop.ended((await shop.post(quantity=3)).json()["id"])
    assert (order["status"], order["reason"]["code"], order["reason"]["sku"]) == ("rejected", "out_of_stock", "TEA")
    assert await shop.available("TEA") == 2


async def test_the_same_key_and_body_fifty_times_at_once_is_one_order(shop: Shop) -> None:
    await shop.stock("TEA", 100)
    responses = await asyncio.gather(*(shop.post(key="the-key") for _ in range(50)))
    assert Counter(response.status_code for response in responses) == {202: 50}
    assert len({response.json()["id"] for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
    await shop.ended(responses[0].json()["id"])
    assert await shop.available("TEA") == 99
    other = await shop.post(quantity=2, key="the-key")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_hundred_buyers_of_sixty_units_buy_sixty(shop: Shop, shards: int) -> None:
    await shop.stock("TEA", 60, shards=shards)
    buyers = [f"buyer-{number}" for number in range(100)]
    responses = await asyncio.gather(*(shop.post(customer=buyer) for buyer in buyers))
    orders = await asyncio.gather(
        *(shop.ended(response.json()["id"], customer=buyer) for response, buyer in zip(responses, buyers, strict=True))
    )
    assert Counter(order["status"] for order in orders) == {"confirmed": 60, "rejected": 40}
    assert await shop.available("TEA") == 0


@pytest.mark.parametrize("who", [{"customer": "bob"}, {"tenant": "another"}])
async def test_the_order_of_another_is_not_found(shop: Shop, who: dict[str, str]) -> None:
    await shop.stock("TEA", 1)
    order_id = (await shop.post()).json()["id"]
    assert (await shop.get(order_id)).status_code == 200
    response = await shop.get(order_id, **who)
    assert (response.status_code, response.json()["code"]) == (404, "order_not_found")


async def test_the_latest_orders_are_listed_newest_first(shop: Shop) -> None:
    await shop.stock("TEA", 10)
    ids = [(await shop.post()).json()["id"] for _ in range(3)]
    page = (await shop.http.get("/v1/orders?limit=2", headers=shop.headers())).json()
    assert [order["id"] for order in page["items"]] == ids[:0:-1]
    assert page["has_more"] is True


async def test_both_services_tell_how_they_are(stack: Stack) -> None:
    async with httpx2.AsyncClient() as http:
        for address in (stack.api, stack.services[ORDER_PROCESSOR.name]):
            assert (await http.get(f"{address}/healthz")).json()["status"] == "ok"
            assert (await http.get(f"{address}/readyz")).json() == {"status": "ready", "dynamodb": "ok", "sqs": "ok"}
        api = (await http.get(f"{stack.api}/metrics")).text
        processor = (await http.get(f"{stack.services[ORDER_PROCESSOR.name]}/metrics")).text
    assert "order_http_requests_total" in api
    assert "order_ended_total" in processor
