"""Customers who post orders, post them again when they get no answer, and change their minds."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from devstack.issuer import Issuer
from devstack.payments.bank import Token
from order_shared.backoff import full_jitter
from tests.chaos.history import History, Outcome, Purchase, Verb
from tests.waiting import eventually

PRICE = 590
PATIENCE_SECONDS = 60.0
TIMEOUT = aiohttp.ClientTimeout(total=8.0)
ACCEPTED = 202
SERVER_ERRORS = 500
TOO_MANY = 429

TOKENS = [None, None, None, Token.WORKS, Token.WORKS, Token.WORKS, Token.DECLINED, Token.FAILS_ONCE, Token.SAVES_500]
CANCELS = 0.3
GIVES_UP = 0.15
POSTS_TWICE = 0.1
NAMES_A_REFERENCE = 0.3


@dataclass(frozen=True)
class Shop:
    """Where the customers of one tenant buy. `apis` gives the base URLs as they are at the moment."""

    tenant: str
    issuer: Issuer
    http: aiohttp.ClientSession
    apis: Callable[[], list[str]]

    async def open(self, stock: Mapping[str, int], shards: Mapping[str, int]) -> None:
        """Puts the products on sale, with so many units over so many stock shards."""
        for sku, units in stock.items():
            product = {"name": sku, "unit_price": PRICE, "currency": "EUR", "stock_shards": shards.get(sku, 1)}
            await self._set_up("PUT", f"/v1/products/{sku}", product)
            await self._set_up("POST", f"/v1/products/{sku}/stock", {"delta": units})

    async def _set_up(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {**self._headers("keeper"), "Idempotency-Key": path}

        async def is_done() -> bool:
            try:
                async with self.http.request(method, self.apis()[0] + path, json=body, headers=headers) as response:
                    return response.ok
            except aiohttp.ClientError:
                return False

        await eventually(is_done, f"{method} {path}", pause=0.1)

    async def post(
        self, customer: str, path: str, dice: Random, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> tuple[Outcome, str | None]:
        """What the customer knows after one request to any of the APIs, and the id of the order."""
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
    """One who wants one thing, once."""

    def __init__(self, shop: Shop, history: History, purchase: Purchase, dice: Random, *, patient: bool) -> None:
        """`patient` asks again until there is an answer; others leave it at the first request without one."""
        self._shop = shop
        self._history = history
        self._purchase = purchase
        self._dice = dice
        self._patience = PATIENCE_SECONDS if patient else 0
        history.purchases[purchase.customer] = purchase

    async def place(self, token: str | None = None, reference: str | None = None) -> str | None:
        """The id of the order, if the customer was told one."""
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


async def go_shopping(shop: Shop, history: History, number: int, seed: str, skus: list[str]) -> None:
    """One customer of a seed: what is bought, how it is paid, and the change of mind follow from the dice."""
    dice = Random(f"{seed}/{number}")  # noqa: S311 - reproducible, not secret
    name = f"c{number}"
    token = dice.choice(TOKENS)
    quantities = {sku: dice.randint(1, 3) for sku in dice.sample(skus, dice.choice([1, 1, 2]))}
    purchase = Purchase(name, quantities, is_paid=token is not None)
    customer = Customer(shop, history, purchase, dice, patient=dice.random() > GIVES_UP)
    reference = f"ref-{name}" if dice.random() < NAMES_A_REFERENCE else None
    posts = 2 if dice.random() < POSTS_TWICE else 1
    ids = await asyncio.gather(*(customer.place(token, reference) for _ in range(posts)))
    order_id = next(filter(None, ids), None)
    if order_id is not None and dice.random() < CANCELS:
        await asyncio.sleep(dice.choice([0, dice.uniform(0, 0.3), dice.uniform(0.3, 2)]))  # at any point of its way
        await customer.cancel(order_id)
