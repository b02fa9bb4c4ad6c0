"""The demonstration: real orders over HTTP, and what became of each."""

import asyncio
import statistics
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from orderctl.local.issuer import Issuer

TENANT = "acme"
CUSTOMER = "ada"
NORMAL_SKU = "TEA-GREEN-100"
SCARCE_SKU = "TIN-LIMITED-2026"
BURST_SKU = "TEA-ADVENT-24"
CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_chargeDeclined"
"""Tokens of the payment sandbox, as Stripe's test mode has them."""

BURST_CONNECTIONS = 32
END_STATES = frozenset({"confirmed", "rejected", "cancelled"})
DEADLINE_SECONDS = 120.0

Order = dict[str, Any]


class DemoFailed(Exception):
    """Something did not go as it should."""


@dataclass(frozen=True)
class Row:
    """A row of the closing table. `seconds` is from accepted to its end, by the order's own timeline."""

    what: str
    order: str
    status: str
    remark: str
    seconds: float | None = None


class Shop:
    """A customer of the running API."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    async def post(self, lines: dict[str, int], key: str, payment_token: str | None = None) -> tuple[Order, bool]:
        """The order, and whether it was replayed."""
        body: dict[str, Any] = {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]}
        if payment_token is not None:
            body["payment_token"] = payment_token
        response = await self._http.post("/v1/orders", json=body, headers={**self._headers, "Idempotency-Key": key})
        expect(response.status_code == httpx.codes.ACCEPTED, f"an order was not accepted: {response.text}")
        return response.json(), response.headers.get("Idempotent-Replayed") == "true"

    async def cancel(self, order_id: str) -> None:
        response = await self._http.post(f"/v1/orders/{order_id}/cancel", headers=self._headers)
        expect(response.status_code == httpx.codes.ACCEPTED, f"a cancellation was not accepted: {response.text}")

    async def ended(self, order_id: str, states: frozenset[str] = END_STATES) -> Order:
        """The order once it has reached an end state, or one of the states named."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                response = await self._http.get(f"/v1/orders/{order_id}", headers=self._headers)
                order: Order = response.raise_for_status().json()
                if order["status"] in states:
                    return order
                await asyncio.sleep(0.05)

    async def available(self, sku: str) -> int:
        response = await self._http.get(f"/v1/products/{sku}", headers=self._headers)
        return int(response.raise_for_status().json()["available"])


async def run_demo(api: str, issuer: Issuer, burst: int, on_progress: Callable[[str, int, int], None]) -> list[Row]:
    """The closing table's rows; raises DemoFailed at the first thing that is not as it should be.

    `on_progress(step, done, total)` is called as it goes.
    """
    token = issuer.token(TENANT, CUSTOMER)
    limits = httpx.Limits(max_connections=BURST_CONNECTIONS)
    async with httpx.AsyncClient(base_url=api, timeout=30.0, limits=limits) as http:
        shop = Shop(http, token)
        rows: list[Row] = []
        for step in (_normal_and_replayed, _out_of_stock, _paid, _declined, _cancelled):
            on_progress("single orders", len(rows), 6)
            rows += await step(shop)
        on_progress("single orders", len(rows), 6)
        rows += await _burst(shop, burst, on_progress)
    return rows


async def _normal_and_replayed(shop: Shop) -> list[Row]:
    before = await shop.available(NORMAL_SKU)
    key = str(uuid.uuid4())
    order, _ = await shop.post({NORMAL_SKU: 2, "CUP-PORCELAIN-6": 1}, key)
    again, replayed = await shop.post({NORMAL_SKU: 2, "CUP-PORCELAIN-6": 1}, key)
    expect(replayed and again["id"] == order["id"], "the same request again did not give the same order")
    order = await shop.ended(order["id"])
    expect(order["status"] == "confirmed", f"the order became {order['status']}")
    after = await shop.available(NORMAL_SKU)
    expect(after == before - 2, f"stock of {NORMAL_SKU} went from {before} to {after} for 2 units")
    price = f"{order['total'] / 100:.2f} {order['currency']}"
    return [
        Row("one", order["id"], order["status"], f"{price}, stock {before} to {after}", seconds_to_end(order)),
        Row("again", again["id"], order["status"], "replayed: same key, same order"),
    ]


async def _out_of_stock(shop: Shop) -> list[Row]:
    before = await shop.available(SCARCE_SKU)
    order, _ = await shop.post({SCARCE_SKU: before + 1}, str(uuid.uuid4()))
    order = await shop.ended(order["id"])
    reason = order["reason"] or {}
    expect(
        (order["status"], reason.get("code"), reason.get("sku")) == ("rejected", "out_of_stock", SCARCE_SKU),
        f"an order of more than there is became {order['status']}",
    )
    expect(await shop.available(SCARCE_SKU) == before, "a rejected order moved stock")
    remark = f"out_of_stock: {reason['sku']}"
    return [Row("too many", order["id"], order["status"], remark, seconds_to_end(order))]


async def _paid(shop: Shop) -> list[Row]:
    order, _ = await shop.post({NORMAL_SKU: 1}, str(uuid.uuid4()), payment_token=CARD)
    order = await shop.ended(order["id"])
    expect(order["status"] == "confirmed", f"a paid order became {order['status']}: {order['reason']}")
    return [Row("paid", order["id"], order["status"], "stock reserved, card charged", seconds_to_end(order))]


async def _declined(shop: Shop) -> list[Row]:
    before = await shop.available(NORMAL_SKU)
    order, _ = await shop.post({NORMAL_SKU: 1}, str(uuid.uuid4()), payment_token=DECLINED_CARD)
    order = await shop.ended(order["id"])
    code = (order["reason"] or {}).get("code")
    expect((order["status"], code) == ("rejected", "payment_declined"), f"a declined order became {order['status']}")
    expect(await shop.available(NORMAL_SKU) == before, "a declined order kept its stock")
    return [Row("declined", order["id"], order["status"], "payment_declined, stock given back", seconds_to_end(order))]


async def _cancelled(shop: Shop) -> list[Row]:
    before = await shop.available(NORMAL_SKU)
    order, _ = await shop.post({NORMAL_SKU: 1}, str(uuid.uuid4()), payment_token=CARD)
    await shop.ended(order["id"])
    await shop.cancel(order["id"])
    order = await shop.ended(order["id"], frozenset({"cancelled"}))
    expect(await shop.available(NORMAL_SKU) == before, "a cancelled order kept its stock")
    return [Row("cancelled", order["id"], order["status"], "refunded, stock given back", seconds_to_end(order))]


async def _burst(shop: Shop, size: int, on_progress: Callable[[str, int, int], None]) -> list[Row]:
    before = await shop.available(BURST_SKU)
    done = {"posted": 0, "confirmed": 0}
    slots = asyncio.Semaphore(BURST_CONNECTIONS)

    async def counted(step: str, call: Callable[[], Any]) -> Any:
        async with slots:
            result = await call()
        done[step] += 1
        on_progress(step, done[step], size)
        return result

    posted = await asyncio.gather(
        *(counted("posted", lambda: shop.post({BURST_SKU: 1}, str(uuid.uuid4()))) for _ in range(size))
    )
    ids = [order["id"] for order, _ in posted]
    expect(len(set(ids)) == size, "two orders got the same id")
    ended = await asyncio.gather(*(counted("confirmed", partial(shop.ended, each)) for each in ids))
    statuses = {order["status"] for order in ended}
    expect(statuses == {"confirmed"}, f"not all orders of the burst were confirmed: {statuses}")
    after = await shop.available(BURST_SKU)
    expect(after == before - size, f"stock of {BURST_SKU} went from {before} to {after} for {size} units")
    latencies = sorted(seconds_to_end(order) for order in ended)
    remark = f"stock {before} to {after}"
    return [
        Row("a burst", f"{size} of {size}, median", "confirmed", remark, statistics.median(latencies)),
        Row("", f"{size} of {size}, p99", "confirmed", remark, latencies[int(0.99 * (size - 1))]),
    ]


def seconds_to_end(order: Order) -> float:
    """From accepted to the end state, as the order's timeline has it."""
    first, last = (datetime.fromisoformat(order["timeline"][index]["at"]) for index in (0, -1))
    return (last - first).total_seconds()


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise DemoFailed(otherwise)
