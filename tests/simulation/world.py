"""A world: the services' parts on machines, over a queue, tables and a payment provider, in virtual time."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, TypeVar

import structlog
from aiodynamo.utils import dy2py
from pydantic import SecretStr

from aws_json_client import RetryPolicy
from order_api.config import ApiSettings
from order_processor.config import ProcessorSettings
from order_shared.domain.clock import Clock
from order_shared.domain.idempotency import IdempotencyRecord
from order_shared.domain.order.models import OrderStatus
from order_shared.runtime.adapters import Adapters
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.storage.migrations import MigratedTable, Migration
from order_shared.storage.orders import DynamoOrderRepository
from order_shared.storage.tenant_orders import DynamoTenantOrders
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases
from tests.factories import make_product
from tests.fakes import TABLES, MemoryInventoryRepository, MemoryStore
from tests.memory_dynamo import Json
from tests.simulation.clock import START, VirtualClock, virtual
from tests.simulation.customers import SKU, TENANT, Customers, Purchase
from tests.simulation.dynamo import DynamoServer
from tests.simulation.fleet import Fleet
from tests.simulation.history import Border, Gauge, History
from tests.simulation.link import Link
from tests.simulation.loop import MAX_STEPS, Host, Schedule, SimulationLoop, new_loop, seeded
from tests.simulation.provider import Provider, ProviderGateway, ProviderRules
from tests.simulation.queue import QueueRules, StandardQueue
from tests.simulation.tables import TableRules, TableServer, run_now

T = TypeVar("T")

STOCK = 1_000_000


@cache
def processor_settings() -> ProcessorSettings:
    """Return the default settings. To validate them takes longer than many a run."""
    return ProcessorSettings(aws_region="eu-central-1", payment_api_key=SecretStr("sk_test_simulated"))


@cache
def api_settings() -> ApiSettings:
    return ApiSettings(
        aws_region="eu-central-1",
        jwt_issuer="https://issuer.test",
        jwt_audience=("orders",),
        jwks_url="https://issuer.test/keys",
        cursor_secrets=(SecretStr("a-secret-of-simulations"),),
    )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the world around the services behaves. Way times are in seconds, each way."""

    queue: QueueRules = field(default_factory=QueueRules)
    tables: TableRules = field(default_factory=TableRules)
    provider: ProviderRules = field(default_factory=ProviderRules)
    table_way: float = 0.004
    queue_way: float = 0.01
    provider_way: float = 0.1
    max_steps: int = MAX_STEPS
    """Steps of the loop, at about 40 µs of CPU each, after which a run fails."""
    gauge_seconds: float = 1.0
    """Time between two readings of the gauges."""
    processor: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the processors that differ from the defaults."""
    api: Mapping[str, Any] = field(default_factory=dict)


class World:
    orders_class = DynamoOrderRepository
    inventory_class = DynamoInventoryRepository

    def __init__(self, loop: SimulationLoop, seed: str, rules: Rules) -> None:
        self.loop = loop
        self.rules = rules
        self.clock = VirtualClock(loop)
        self.history = History(loop.time)
        self.store = MemoryStore(self.clock)
        self.queue = StandardQueue(rules.queue, self._dice(seed, "queue"), self.history, loop.time)
        self.tables = TableServer(rules.tables, self.history, loop.time)
        self.dynamo = DynamoServer(self.store.tables, self.tables, self.history)
        self.provider = Provider(rules.provider, self.history, loop.time)
        self.fleet = Fleet(self)
        self.customers = Customers(self, self._dice(seed, "customers"))
        self._ways = self._dice(seed, "ways")
        self.processor_settings = processor_settings().model_copy(update=dict(rules.processor))
        self.api_settings = api_settings().model_copy(update=dict(rules.api))

    @property
    def open_shards(self) -> int:
        return self.processor_settings.open_shards

    def link(self, host: Host, seconds: float, _border: Border) -> Link:
        return Link(host.name, self._ways, seconds)

    def provider_gateway(self, host: Host) -> ProviderGateway:
        return self.provider.gateway(self.link(host, self.rules.provider_way, Border.PROVIDER))

    def adapters(self, host: Host, *, sweeps: bool, clock: Clock | None = None) -> Adapters:
        """Return the tables and the queue as a machine reaches them."""
        deadline = (
            self.processor_settings.storage_deadline_seconds if sweeps else self.api_settings.accept_deadline_seconds
        )
        link = self.link(host, self.rules.table_way, Border.TABLES)
        dynamo = self.dynamo.client(link, RetryPolicy(deadline=deadline))
        return Adapters(
            orders=self.orders_class(dynamo, TABLES, clock or self.clock, open_shards=self.open_shards),
            inventory=self.inventory_class(dynamo, TABLES, clock or self.clock),
            queue=self.queue.client(self.link(host, self.rules.queue_way, Border.QUEUE), sweeps=sweeps),
            tenant_orders=DynamoTenantOrders(dynamo, TABLES),
            event_reader=DynamoEventLogReader(dynamo, TABLES, clock or self.clock),
            event_writer=DynamoEventLogWriter(dynamo, TABLES, clock or self.clock),
            endpoints=DynamoEndpointRepository(dynamo, TABLES, clock or self.clock),
            endpoint_leases=DynamoEndpointLeases(dynamo, TABLES, duration=LEASE, clock=clock or self.clock),
        )

    def migration(self, host: Host) -> Migration:
        """Return the migration of orders as a machine runs it."""
        link = self.link(host, self.rules.table_way, Border.TABLES)
        dynamo = self.dynamo.client(link, RetryPolicy(deadline=self.api_settings.accept_deadline_seconds))
        return Migration.of(dynamo, TABLES, MigratedTable.ORDERS)

    def stock(self, sku: str = SKU, units: int = STOCK, shards: int = 16) -> None:
        """Put a product on sale, before anything else happens."""
        inventory = MemoryInventoryRepository(self.store)
        product = make_product(tenant=TENANT, sku=sku, stock_shards=shards)
        run_now(inventory.put(product))
        if units:
            record = IdempotencyRecord(key=f"stock-{sku}", subject=sku, fingerprint=None, expires_at=None)
            run_now(inventory.adjust(TENANT, sku, units, record))

    async def until(self, done: Callable[[], bool], *, within: float, every: float = 1.0) -> bool:
        """Wait until `done`, and return whether that was so within the time."""
        ends_at = self.loop.time() + within
        while not done():
            if self.loop.time() >= ends_at:
                return False
            await asyncio.sleep(every)
        return True

    def older_orders(self) -> list[dict[str, Any]]:
        """Return the stored orders without a history and an owner, as a scan reads them."""
        items = self.store.tables.items.values()
        return [dy2py(item, int) for item in items if "timeline" in item and "lease_owner" not in item]

    @property
    def open_orders(self) -> list[Json]:
        """Return the items of the orders in the outbox."""
        return [item for item in self.store.tables.items.values() if "open_shard" in item]

    def wait_of(self, purchase: Purchase) -> float | None:
        """Return the time from the acknowledgement to the order's end; None while it is open."""
        order = self.store.orders[purchase.order.customer.key, purchase.order.created_at]
        return None if order.is_open else (order.updated_at - START).total_seconds() - purchase.accepted_at

    def statuses(self, purchases: Iterable[Purchase]) -> Counter[OrderStatus]:
        return Counter(self.store.orders[each.order.customer.key, each.order.created_at].status for each in purchases)

    async def _measure(self) -> None:
        while True:
            self.history.measure(Gauge.VISIBLE, self.queue.visible)
            self.history.measure(Gauge.IN_FLIGHT, self.queue.in_flight)
            await asyncio.sleep(self.rules.gauge_seconds)

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Read the gauges once a second until the end of the block."""
        measuring = asyncio.create_task(self._measure())
        try:
            yield
        finally:
            measuring.cancel()

    @staticmethod
    def _dice(seed: str, name: str) -> Random:
        return Random(f"{seed}/{name}")  # noqa: S311 - reproducible, not secret


Play = Callable[[World], Coroutine[Any, Any, T]]


MakeWorld = Callable[[SimulationLoop, str, Rules], World]


def simulate(
    seed: str,
    rules: Rules,
    play: Play[T],
    make_world: MakeWorld = World,
    schedule: Schedule | None = None,
    *,
    logs: AbstractContextManager[None] | None = None,
) -> T:
    """Play in a new world, and return what that returns. The seed decides everything that is left to chance.

    `logs` is where the services log to; by default, nowhere.
    """
    loop = new_loop(schedule or seeded(f"{seed}/schedule"), rules.max_steps)
    with logs or quiet(), virtual(loop, seed):
        try:

            async def begin() -> T:
                world = make_world(loop, seed, rules)
                async with world.measured():
                    return await play(world)

            return loop.run_until_complete(begin())
        finally:
            loop.close()
            if loop.errors:
                raise RuntimeError(f"tasks failed unnoticed: {loop.errors}")


@contextmanager
def quiet() -> Iterator[None]:
    """Log nothing: hours of virtual time are many lines."""
    before = structlog.get_config()
    structlog.configure(**{**before, "wrapper_class": structlog.make_filtering_bound_logger(logging.CRITICAL)})
    try:
        yield
    finally:
        structlog.configure(**before)
