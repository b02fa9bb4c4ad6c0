"""The client of the last release with this API, and this client with the API of the last release."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from order_client import OrderClient, OrderStatus
from tests import last_release
from tests.e2e.conftest import Shop
from tests.e2e.test_last_release import Releases, releases, served

__all__ = ["releases"]

STEPS = """
import asyncio, json, os, sys
if sys.argv[1] == "last":
    import httpx2
    sys.modules["httpx"] = httpx2  # its continuation, which has the same names

import order_client
from order_client import NotFound, OrderClient, Unprocessable, VersionMismatch

async def main():
    async with OrderClient(os.environ["ORDER_API_URL"], os.environ["ORDER_TOKEN"]) as client:
        placed = await client.place_order({"TEA": 2}, reference="PO-1", idempotency_key="basket")
        again = await client.place_order({"TEA": 2}, reference="PO-1", idempotency_key="basket")
        errors = []
        for attempt in (
            client.get_order("ord_019c134c666070789b8f3c5d7e9f0123"),
            client.place_order({"NONE": 1}),
            client.cancel_order(placed.id, version=9),
        ):
            try:
                await attempt
            except (NotFound, Unprocessable, VersionMismatch) as error:
                errors.append([type(error).__name__, error.code])
        await client.cancel_order(placed.id, version=placed.version)
        ended = await client.wait_for_end(placed.id)
        watched = [order.status async for order in client.watch_order(placed.id)]
        listed = [order.id async for page in client.order_pages(q="po-1") for order in page.items]
        print(json.dumps({
            "source": order_client.__file__, "total": placed.total, "replayed": [again.id == placed.id, again.replayed],
            "errors": errors, "ended": ended.status, "watched": watched, "listed": listed == [placed.id],
        }))

asyncio.run(main())
"""


def play(shop: Shop, release: str, pythonpath: str) -> dict[str, Any]:
    """Run the steps with a client in a process of its own."""
    environ = {
        **os.environ,
        "PYTHONPATH": pythonpath,
        "ORDER_API_URL": str(shop.http.base_url),
        "ORDER_TOKEN": shop.headers()["Authorization"].removeprefix("Bearer "),
    }
    command = [sys.executable, "-c", STEPS, release]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def assert_played(result: dict[str, Any], source: Path) -> None:
    assert result.pop("source").startswith(str(source))
    assert result == {
        "total": 1180,
        "replayed": [True, True],
        "errors": [
            ["NotFound", "order_not_found"],
            ["Unprocessable", "unknown_sku"],
            ["VersionMismatch", "version_mismatch"],
        ],
        "ended": "cancelled",
        "watched": ["cancelled"],
        "listed": True,
    }


async def test_the_client_of_the_last_release_works_with_this_api(releases: Releases) -> None:
    source = Path(releases.last.pythonpath.split(os.pathsep)[0]).parents[1] / last_release.CLIENT
    async with served(releases.this) as shop:
        await shop.stock("TEA", 10)
        assert_played(await asyncio.to_thread(play, shop, "last", str(source)), source)


async def test_this_client_works_with_the_api_of_the_last_release(releases: Releases) -> None:
    source = last_release.ROOT / "clients" / "python" / "src"
    async with served(releases.last) as shop:
        await shop.stock("TEA", 10)
        assert_played(await asyncio.to_thread(play, shop, "this", str(source)), source)
        token = shop.headers()["Authorization"].removeprefix("Bearer ")
        async with OrderClient(str(shop.http.base_url), token) as client:
            assert [order.status async for order in client.orders()] == [OrderStatus.CANCELLED]
            assert [product.sku async for product in client.products()] == ["TEA"]
            assert (await client.adjust_stock("TEA", 5)).available == 15
