"""Customers who post orders, and post them again until they have an answer. They record each answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from devstack.issuer import Issuer
from devstack.lab.history import History, Outcome, Purchase, Verb
from order_shared.backoff import full_jitter

PRICE = 590
SET_UP_SECONDS = 60.0
TIMEOUT = aiohttp.ClientTimeout(total=8.0)
ACCEPTED = 202
SERVER_ERRORS = 500
TOO_MANY = 429


class ShopClosed(Exception):
    """The products could not be put on sale in time."""


@dataclass(frozen=True)
class Shop:
    """Shop of one tenant. `apis` returns the base URLs as they are at the moment."""

    tenant: str
    issuer: Issuer
    http: aiohttp.ClientSession
    apis: Callable[[], list[str]]

    async def open(self, stock: Mapping[str, int], shards: Mapping[str, int]) -> None:
        """Put the products on sale, with so many units over so many stock shards. Raises ShopClosed."""
        for sku, units in stock.items():
            product = {"name": sku, "unit_price": PRICE, "currency": "EUR", "stock_shards": shards.get(sku, 1)}
            await self._set_up("PUT", f"/v1/products/{sku}", product)
            await self._set_up("POST", f"/v1/products/{sku}/stock", {"delta": units})

    async def _set_up(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {**self._headers("keeper"), "Idempotency-Key": path}
        give_up_at = time.monotonic() + SET_UP_SECONDS
        while time.monotonic() < give_up_at:
            try:
                async with self.http.request(method, self.apis()[0] + path, json=body, headers=headers) as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass  # the API is being started
            await asyncio.sleep(0.1)
        raise ShopClosed(f"{method} {path} did not succeed within {SET_UP_SECONDS:.0f} s")

    async def post(
        self, customer: str, path: str, dice: Random, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> tuple[Outcome, str | None]:
        """Return what the customer knows after one request to any of the APIs, and the id of the order."""
        headers = self._headers(customer) | ({"Idempotency-Key": key} if key else {})
        try:
            async with self.http.post(
                dice.choice(self.apis()) + path, json=body, headers=headers, timeout=TIMEOUT
            ) as response:
                if response.status == ACCEPTED:
                    return Outcome.OK, (await response.json())["id"]
                unclear = response.status >= SERVER_ERRORS or response.status == TOO_MANY
                return (Outcome.UNKNOWN if unclear else Outcome.FAILED), None
        except (aiohttp.ClientError, TimeoutError):
            return Outcome.UNKNOWN, None

    def _headers(self, customer: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(self.tenant, customer)}"}


class Customer:
    """A customer with one purchase. It repeats its request for `patience` seconds while there is no answer."""

    def __init__(self, shop: Shop, history: History, purchase: Purchase, dice: Random, *, patience: float) -> None:
        self._shop = shop
        self._history = history
        self._purchase = purchase
        self._dice = dice
        self._patience = patience
        history.purchases[purchase.customer] = purchase

    async def place(self, token: str | None = None, reference: str | None = None) -> str | None:
        """Place the order; return its id if the customer received it."""
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in self._purchase.quantities.items()]
        body = {"lines": lines, "payment_token": token, "reference": reference}
        wanted = {name: value for name, value in body.items() if value is not None}
        return await self._ask(Verb.PLACE, "/v1/orders", wanted, key=f"key-of-{self._purchase.customer}")

    async def cancel(self, order_id: str) -> None:
        await self._ask(Verb.CANCEL, f"/v1/orders/{order_id}/cancel")

    async def _ask(
        self, verb: Verb, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> str | None:
        name = self._purchase.customer
        give_up_at = time.monotonic() + self._patience
        attempt = 0
        while True:
            self._history.record(name, verb, Outcome.INVOKED)
            outcome, order_id = await self._shop.post(name, path, self._dice, body, key)
            self._history.record(name, verb, outcome, order_id)
            if outcome is not Outcome.UNKNOWN or time.monotonic() > give_up_at:
                return order_id
            await asyncio.sleep(full_jitter(attempt, base=0.1, cap=1.0))
            attempt += 1
