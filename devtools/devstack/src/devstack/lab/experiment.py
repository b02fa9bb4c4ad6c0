"""An experiment of the Lab: customers who want orders, and the answers that they received."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from random import Random

import structlog

from devstack.lab.history import Outcome, Purchase, Verb
from devstack.lab.journal import Journal, KeptHistory
from devstack.lab.shoppers import Customer, Shop, ShopClosed
from devstack.payments.bank import Token
from order_shared.domain.clock import utc_now

log = structlog.get_logger(__name__)

STOCK = {"LAB-TEA": 1_000_000, "LAB-CUP": 1_000_000}
SHARDS = {"LAB-TEA": 8, "LAB-CUP": 8}
AT_ONCE = 16
"""Customers who wait for an answer at the same time."""
PATIENCE_SECONDS = 24 * 3600.0
"""Time for which a customer asks again. An idempotency key is valid for so long."""
TOKENS = (Token.WORKS, None, None, Token.WORKS, None, Token.DECLINED, None, Token.WORKS, None, None)
"""Payment tokens of ten successive orders: three are paid, one is declined, the others are not paid online."""


class Experiment:
    """Customers of one tenant, each with one order. The journal is written at every step."""

    def __init__(self, tenant: str, started_at: datetime, history: KeptHistory, shop: Shop) -> None:
        self.tenant = tenant
        self.started_at = started_at
        self.history = history
        self._shop = shop
        self._permits = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None

    @classmethod
    def opened(cls, journal: Journal, shop_of: Callable[[str], Shop]) -> "Experiment":
        """Return the experiment in the journal, whose unanswered customers ask again, or a new one."""
        if (found := KeptHistory.read(journal)) is None:
            return cls.new(journal, shop_of)
        history, tenant, started_at = found
        experiment = cls(tenant, started_at, history, shop_of(tenant))
        for purchase in history.unanswered:
            experiment._start(purchase)
        return experiment

    @classmethod
    def new(cls, journal: Journal, shop_of: Callable[[str], Shop]) -> "Experiment":
        tenant, started_at = f"lab-{uuid.uuid4().hex[:8]}", utc_now()
        journal.begin(tenant, started_at)
        return cls(tenant, started_at, KeptHistory(journal=journal), shop_of(tenant))

    @property
    def is_placing(self) -> bool:
        """True while a customer waits for an answer."""
        return bool(self._tasks)

    @property
    def accepted(self) -> set[str]:
        """Ids of the orders that the API has confirmed to customers."""
        ids = (self.history.ids(name, Verb.PLACE, Outcome.OK) for name in self.history.purchases)
        return {order_id for of_customer in ids for order_id in of_customer if order_id is not None}

    def place(self, count: int) -> None:
        """Let so many new customers place one order each."""
        first = len(self.history.purchases)
        for number in range(first, first + count):
            quantities = {"LAB-TEA": 1 + number % 3} | ({"LAB-CUP": 1} if number % 2 else {})
            token = TOKENS[number % len(TOKENS)]
            purchase = Purchase(f"c{number}", quantities, is_paid=token is not None)
            self.history.want(purchase, token)
            self._start(purchase)

    async def stop(self) -> None:
        """Let no customer ask again."""
        tasks = [*self._tasks, *([self._opening] if self._opening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, purchase: Purchase) -> None:
        task = asyncio.create_task(self._place(purchase))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _place(self, purchase: Purchase) -> None:
        async with self._permits:
            await self._open()
            dice = Random(purchase.customer)  # noqa: S311 - reproducible, not secret
            customer = Customer(self._shop, self.history, purchase, dice, patience=PATIENCE_SECONDS)
            await customer.place(self.history.tokens[purchase.customer])

    async def _open(self) -> None:
        """Put the products on sale, however long the API does not respond."""
        while True:
            if self._opening is None:
                self._opening = asyncio.create_task(self._shop.open(STOCK, SHARDS))
            opening = self._opening
            try:
                return await asyncio.shield(opening)
            except ShopClosed as error:
                log.warning("shop_closed", detail=str(error))
                if self._opening is opening:
                    self._opening = None
