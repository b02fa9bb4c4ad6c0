"""Paid orders against the running stack: money and stock agree, whatever happens on the way."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from devstack.stack import Stack, running_infrastructure
from order_shared.naming import ORDER_API, ORDER_PROCESSOR
from tests.e2e.conftest import QUICK, Shop, open_shop
from tests.e2e.gate import gate_before
from tests.waiting import eventually

CARD = "pm_card_visa"
PRICE = 590


async def money_held(stack: Stack, order_ids: list[str]) -> dict[str, int]:
    """By order: what its customer has paid and not got back, as the provider has it."""
    async with httpx2.AsyncClient() as http:
        intents: list[dict[str, Any]] = (await http.get(f"{stack.payments}/_sandbox/intents")).json()
    held: Counter[str] = Counter()
    for intent in intents:
        held[intent["order_id"]] += intent["amount_received"] - intent["amount_refunded"]
    return {order_id: held[order_id] for order_id in order_ids}


async def test_a_paid_order_is_charged_once(stack: Stack, shop: Shop) -> None:
    await shop.stock("TEA", 10)
    order = await shop.ended((await shop.post(quantity=2, payment_token=CARD)).json()["id"])
    assert [entry["status"] for entry in order["timeline"]] == ["pending", "reserved", "confirmed"]
    assert await money_held(stack, [order["id"]]) == {order["id"]: 2 * PRICE}
    assert await shop.available("TEA") == 8


async def test_a_declined_order_costs_nothing_and_keeps_nothing(stack: Stack, shop: Shop) -> None:
    await shop.stock("TEA", 10)
    order = await shop.ended((await shop.post(payment_token="pm_card_chargeDeclined")).json()["id"])
    assert (order["status"], order["reason"]["code"]) == ("rejected", "payment_declined")
    assert await money_held(stack, [order["id"]]) == {order["id"]: 0}
    assert await shop.available("TEA") == 10


async def test_a_provider_that_fails_once_is_asked_again(stack: Stack, shop: Shop) -> None:
    await shop.stock("TEA", 10)
    order = await shop.ended((await shop.post(payment_token="pm_sandbox_fails_once")).json()["id"])
    assert order["status"] == "confirmed"
    assert await money_held(stack, [order["id"]]) == {order["id"]: PRICE}


async def test_cancels_that_race_with_processing_leave_stock_and_money_exact(stack: Stack, shop: Shop) -> None:
    await shop.stock("TEA", 1000)
    dice = random.Random(7)  # noqa: S311 - reproducible, not secret

    async def post_and_cancel(number: int) -> str:
        token = CARD if number % 2 else None
        order_id: str = (await shop.post(payment_token=token)).json()["id"]
        await asyncio.sleep(dice.uniform(0, 0.3))  # the race itself: a cancel may come at any moment
        response = await shop.http.post(f"/v1/orders/{order_id}/cancel", headers=shop.headers())
        assert response.status_code == 202, response.text
        return order_id

    ids = list(await asyncio.gather(*(post_and_cancel(number) for number in range(200))))

    async def all_cancelled() -> bool:
        orders = await asyncio.gather(*(shop.get(order_id) for order_id in ids))
        return {order.json()["status"] for order in orders} == {"cancelled"}

    await eventually(all_cancelled, "the end of every order")
    assert await shop.available("TEA") == 1000
    assert set((await money_held(stack, ids)).values()) == {0}


async def test_with_the_provider_down_orders_wait_and_none_is_rejected(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path, {**QUICK, "ORDER_RETRY_CAP_SECONDS": "2"}) as stack:
        await asyncio.to_thread(stack.start_payments)
        async with gate_before(stack.payments) as provider:
            stack.environment = {**stack.environment, "ORDER_PAYMENT_API_BASE": provider.url}
            await asyncio.to_thread(stack.start, ORDER_API)
            await asyncio.to_thread(stack.start, ORDER_PROCESSOR)
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 100)
                await shop.ended((await shop.post(payment_token=CARD)).json()["id"])

                await provider.shut()
                ids = await shop.accepted(30, payment_token=CARD)
                await eventually(lambda: _all_are(shop, ids, "reserved"), "reservation")

                await provider.open()
                orders = await shop.all_ended(ids)
                assert Counter(order["status"] for order in orders) == {"confirmed": 30}
                assert set((await money_held(stack, ids)).values()) == {PRICE}
                assert await shop.available("TEA") == 69
            for name in ("order-api", "order-processor"):
                assert await asyncio.to_thread(stack.children[name].stop) == 0


async def _all_are(shop: Shop, ids: list[str], status: str) -> bool:
    orders = await asyncio.gather(*(shop.get(order_id) for order_id in ids))
    return {order.json()["status"] for order in orders} == {status}
