"""The Python clients against the running stack. Both do the same steps."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from order_client import Conflict, EndedOtherwise, OrderClient, SyncOrderClient, Unprocessable, VersionMismatch
from tests.e2e.conftest import Shop

Steps = Callable[[str, str], Awaitable[list[Any]]]


async def asynchronous(api: str, token: str) -> list[Any]:
    async with OrderClient(api, token) as client:
        await client.put_product("TEA", name="Tea", unit_price=10_000_000, currency="EUR")
        stocked = await client.adjust_stock("TEA", 2000, idempotency_key=uuid.uuid4().hex)
        placed = await client.place_order({"TEA": 1000}, reference="PO-1", idempotency_key="basket")
        again = await client.place_order({"TEA": 1000}, reference="PO-1", idempotency_key="basket")
        ended = await client.wait_for_end(placed.id)
        watched = [order.status async for order in client.watch_order(placed.id)]
        errors = []
        for attempt in (
            client.place_order({"NONE": 1}),
            client.adjust_stock("TEA", -5000),
            client.cancel_order(placed.id, version=1),
            client.wait_for_end(placed.id, until={"rejected"}),
        ):
            try:
                await attempt
            except (Conflict, EndedOtherwise, Unprocessable, VersionMismatch) as error:
                errors.append(type(error))
        listed = [order.reference async for order in client.orders(q="po-1")]
        products = [product.sku async for product in client.products()]
        await client.cancel_order(placed.id)
        cancelled = await client.wait_for_end(placed.id)
        left = (await client.get_product("TEA")).available
    same = (again.id == placed.id, again.replayed)
    return [
        stocked.available,
        placed.total,
        same,
        ended.status,
        watched,
        errors,
        listed,
        products,
        cancelled.status,
        left,
    ]


def synchronous_steps(api: str, token: str) -> list[Any]:
    with SyncOrderClient(api, token) as client:
        client.put_product("TEA", name="Tea", unit_price=10_000_000, currency="EUR")
        stocked = client.adjust_stock("TEA", 2000, idempotency_key=uuid.uuid4().hex)
        placed = client.place_order({"TEA": 1000}, reference="PO-1", idempotency_key="basket")
        again = client.place_order({"TEA": 1000}, reference="PO-1", idempotency_key="basket")
        ended = client.wait_for_end(placed.id)
        watched = [order.status for order in client.watch_order(placed.id)]
        errors = []
        for attempt in (
            lambda: client.place_order({"NONE": 1}),
            lambda: client.adjust_stock("TEA", -5000),
            lambda: client.cancel_order(placed.id, version=1),
            lambda: client.wait_for_end(placed.id, until={"rejected"}),
        ):
            try:
                attempt()
            except (Conflict, EndedOtherwise, Unprocessable, VersionMismatch) as error:
                errors.append(type(error))
        listed = [order.reference for order in client.orders(q="po-1")]
        products = [product.sku for product in client.products()]
        client.cancel_order(placed.id)
        cancelled = client.wait_for_end(placed.id)
        left = client.get_product("TEA").available
    same = (again.id == placed.id, again.replayed)
    return [
        stocked.available,
        placed.total,
        same,
        ended.status,
        watched,
        errors,
        listed,
        products,
        cancelled.status,
        left,
    ]


async def synchronous(api: str, token: str) -> list[Any]:
    return await asyncio.to_thread(synchronous_steps, api, token)


@pytest.mark.parametrize("steps", [asynchronous, synchronous])
async def test_a_client_does_all_that_the_api_offers(shop: Shop, steps: Steps) -> None:
    token = shop.headers()["Authorization"].removeprefix("Bearer ")
    assert await steps(str(shop.http.base_url), token) == [
        2000,
        10_000_000_000,
        (True, True),
        "confirmed",
        ["confirmed"],
        [Unprocessable, Conflict, VersionMismatch, EndedOtherwise],
        ["PO-1"],
        ["TEA"],
        "cancelled",
        2000,
    ]
