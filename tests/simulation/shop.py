"""One product on sale: the real repositories and flows over simulated tables. Orders arrive without a queue."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from aws_json_client import RetryPolicy
from order_api.cursors import CursorCodec
from order_api.product.service import ProductService
from order_processor.order.flows import FlowContext, OrderWorkflow
from order_processor.schedule import SweepSchedule
from order_shared.aws.encoding import attributes
from order_shared.domain.clock import to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.queue import ReceivedMessage
from order_shared.storage.inventory import DynamoInventoryRepository, product_key, stock_record
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.tables import INVENTORY, ORDERS, TableNames
from tests.factories import make_order, make_product
from tests.fakes_payments import MemoryGateway
from tests.memory_dynamo import ItemKey, Json, MemoryDynamo
from tests.simulation.clock import VirtualClock, virtual
from tests.simulation.dynamo import DynamoServer, at_once
from tests.simulation.history import History
from tests.simulation.link import Link
from tests.simulation.loop import Schedule, SimulationLoop, new_loop, seeded
from tests.simulation.tables import TableRules, TableServer
from tests.simulation.world import quiet

TABLES = TableNames.with_prefix("sim-")
KEEPER = Customer(tenant="acme", id="keeper")
SKU = "TEA"
REDELIVERY_SECONDS = 1.0
WAY_SECONDS = 0.004
SPLIT_BY_HEAT = TableRules(units_per_second=1e9)
"""DynamoDB has split the items of the hot product: only conflicts are looked at here."""


@dataclass
class Outcome:
    """How an order ended, and the seconds from its arrival."""

    status: OrderStatus
    quantity: int
    seconds: float


@dataclass
class Machine:
    """One task of a service."""

    orders: DynamoOrderRepository
    inventory: DynamoInventoryRepository
    products: ProductService
    context: FlowContext
    permits: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))


class Shop:
    def __init__(
        self,
        loop: SimulationLoop,
        seed: str,
        *,
        processors: int = 4,
        increases_counted: bool = True,
        between_reads: Callable[[], Awaitable[None]] = at_once,
        tables: TableRules = SPLIT_BY_HEAT,
        link: Callable[[str, Random, float], Link] = Link,
    ) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.history = History(loop.time)
        self.items = MemoryDynamo()
        conflicts = TableServer(tables, self.history, loop.time)
        self.server = DynamoServer(self.items, conflicts, self.history, between_reads, answers_travel=True)
        self.dice = Random(f"{seed}/shop")  # noqa: S311 - reproducible, not secret
        self._increases_counted = increases_counted
        self._link = link
        self.api = self._machine("api", deadline=5.0)
        self.processors = [self._machine(f"processor-{each}", deadline=10.0) for each in range(processors)]
        self._placed = 0
        self.deliveries: Counter[str] = Counter()

    def _machine(self, name: str, *, deadline: float) -> Machine:
        dynamo = self.server.client(self._link(name, self.dice, WAY_SECONDS), RetryPolicy(deadline=deadline))
        orders = DynamoOrderRepository(dynamo, TABLES, self.clock)
        inventory = DynamoInventoryRepository(dynamo, TABLES, self.clock, increases_counted=self._increases_counted)
        context = FlowContext(
            orders,
            inventory,
            MemoryGateway(),
            self.clock,
            timedelta(seconds=60),
            SweepSchedule(timedelta(seconds=15)),
            lambda *_: None,
            lambda _: None,
        )
        products = ProductService(inventory, CursorCodec(["a-secret-for-tests"]), self.clock)
        return Machine(orders, inventory, products, context)

    async def open(self, units: Sequence[int]) -> None:
        """Put the product on sale with so many units in each of its shards."""
        await self.put(unit_price=500, stock_shards=len(units))
        self.set_stock(units)

    async def put(self, *, unit_price: int, stock_shards: int | None = None) -> None:
        await self.api.products.put(
            KEEPER.tenant, SKU, name="Tea", unit_price=unit_price, currency="EUR", stock_shards=stock_shards
        )

    async def sell(self, quantity: int = 1, *, shard: int | None = None, by: Machine | None = None) -> Outcome:
        """Let an order arrive, and return how it ended. Without `shard` its line has the shard that its id gives."""
        product = make_product(tenant=KEEPER.tenant, sku=SKU, stock_shards=self.stock_shards)
        order = make_order(lines=[(product, quantity)], at=self._instant())
        if shard is not None:
            order = replace(order, lines=tuple(replace(line, shard=shard) for line in order.lines))
        self.items.put(TABLES.orders, attributes(to_item(order)))
        arrived, machine = self.loop.time(), by or self.dice.choice(self.processors)
        delivery = Delivery(_message(order), held_until=math.inf)
        while True:
            self.deliveries[order.order_id] += 1
            try:
                async with machine.permits:
                    await OrderWorkflow(delivery, machine.context).run(order)
                break
            except StorageUnavailable:
                await asyncio.sleep(self.dice.uniform(0, REDELIVERY_SECONDS))
                order = await machine.orders.get(order.customer, order.order_id)
        return Outcome(self._status(order), quantity, self.loop.time() - arrived)

    async def sell_for(self, seconds: float, *, rate: float) -> list[Outcome]:
        """Let orders of one unit arrive at random instants, and return how they ended."""
        ends_at = self.loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            sales: list[asyncio.Task[Outcome]] = []
            while self.loop.time() < ends_at:
                sales.append(group.create_task(self.sell()))
                await asyncio.sleep(self.dice.expovariate(rate))
        return [sale.result() for sale in sales]

    async def restock(self, delta: int, key: str) -> bool:
        """Adjust the stock; return whether it was a replay."""
        return (await self.api.products.adjust_stock(KEEPER, SKU, delta, key)).replayed

    @property
    def is_open(self) -> bool:
        """Whether the product is stored."""
        return _inventory_key("product") in self.items.items

    @property
    def stock_shards(self) -> int:
        return int(self._record("product")["stock_shards"]["N"])

    @property
    def stock(self) -> list[int]:
        """Units of each shard, as they are stored now."""
        return [int(self._record(stock_record(shard))["available"]["N"]) for shard in range(self.stock_shards)]

    def set_stock(self, units: Sequence[int]) -> None:
        for shard, available in enumerate(units):
            record = stock_record(shard)
            self.items.store(_inventory_key(record), {**self._record(record), "available": {"N": str(available)}})

    @property
    def unit_price(self) -> int:
        return int(self._record("product")["unit_price"]["N"])

    def _record(self, record: str) -> Json:
        return self.items.items[_inventory_key(record)]

    def _status(self, order: Order) -> OrderStatus:
        """Return the stored status: the response to the write that ended the order may be lost."""
        item = self.items.items[ItemKey(ORDERS.name, order.customer.key, to_text(order.created_at))]
        return OrderStatus(item["status"]["S"])

    def _instant(self) -> datetime:
        """Return a time that no other order has."""
        self._placed += 1
        return self.clock() + timedelta(microseconds=self._placed)


def _inventory_key(record: str) -> ItemKey:
    return ItemKey(INVENTORY.name, product_key(KEEPER.tenant, SKU), record)


def _message(order: Order) -> ReceivedMessage:
    return ReceivedMessage(message_id=order.order_id, receipt="receipt", body="", receive_count=1, sent_at=0)


T = TypeVar("T")


def run(seed: str, play: Callable[[SimulationLoop], Coroutine[Any, Any, T]], schedule: Schedule | None = None) -> T:
    """Play on a virtual clock, and return what that returns."""
    loop = new_loop(schedule or seeded(f"{seed}/schedule"))
    with quiet(), virtual(loop, seed):
        try:
            return loop.run_until_complete(play(loop))
        finally:
            loop.close()
