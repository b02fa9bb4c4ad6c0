"""Customers who place orders at a rate, and ask again until they have an answer."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from devstack.payments.bank import Token
from order_api.order.service import PlaceOrder
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer, Order
from tests.simulation.history import What

if TYPE_CHECKING:
    from tests.simulation.world import World

TENANT = "acme"
SKU = "TEA"
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
PAID = "paid"
UNPAID = "unpaid"


@dataclass(eq=False)
class Purchase:
    """An acknowledged order, and when the customer had the answer."""

    order: Order
    accepted_at: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Buying:
    """Orders of one kind, `rate` a second at random instants."""

    rate: float
    token: str | None = None
    kind: str = UNPAID
    sku: str = SKU
    quantity: int = 1
    tenant: str = TENANT


def paid(rate: float, token: str = Token.WORKS) -> Buying:
    return Buying(rate=rate, token=token, kind=PAID)


def unpaid(rate: float, sku: str = SKU) -> Buying:
    return Buying(rate=rate, sku=sku)


class Customers:
    def __init__(self, world: "World", dice: Random) -> None:
        self._world = world
        self._dice = dice
        self._asked = 0
        self.purchases: list[Purchase] = []

    async def buy(self, buying: Buying, *, seconds: float) -> None:
        """Place orders for so long, and return when each has its answer."""
        loop = self._world.loop
        ends_at = loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._dice.expovariate(buying.rate))
                if loop.time() >= ends_at:
                    break
                group.create_task(self._place(buying))

    async def _place(self, buying: Buying) -> None:
        """Ask one API after another with the same idempotency key, as a customer does who gets no answer."""
        self._asked += 1
        key = f"key-{self._asked}"
        request = PlaceOrder(
            customer=Customer(tenant=buying.tenant, id=f"customer-{self._asked}"),
            quantities={buying.sku: buying.quantity},
            payment_token=buying.token,
        )
        while True:
            order = await self._ask(request, key)
            if order is not None:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        self.purchases.append(Purchase(order, self._world.loop.time(), buying.kind))
        self._world.history.note(What.ACCEPTED, order.order_id, kind=buying.kind)

    async def _ask(self, request: PlaceOrder, key: str) -> Order | None:
        """Return the order, or None without an answer."""
        apis = self._world.fleet.apis
        if not apis:
            return None
        machine = self._dice.choice(apis)
        asked = machine.start(self._world.loop, machine.service.place(request, key))
        answered, _ = await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        if not answered:
            return None  # the machine may be dead
        try:
            return asked.result().order
        except StorageUnavailable:
            self._world.history.note(What.REFUSED, key, by=machine.host.name)
            return None
