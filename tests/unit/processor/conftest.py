"""Parts of a processor and of a sweeper over one in-memory store."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from order_processor.metrics import ProcessorMetrics
from order_processor.order.flows import FlowContext
from order_processor.payments.gateway import Payment, PaymentStatus
from order_processor.schedule import SweepSchedule
from order_processor.sweeper import Sweeper
from order_shared.domain.clock import UniqueClock
from order_shared.domain.order.models import Order
from order_shared.domain.order.payments import Charge
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import Publisher
from order_shared.messaging.queue import Depth, ReceivedMessage
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from tests.factories import NOON, make_order, make_product, make_record, make_stock_record
from tests.fakes import HandClock, MemoryInventoryRepository, MemoryOrderRepository, MemoryQueue, MemoryStore
from tests.fakes_payments import MemoryGateway

LEASE = timedelta(seconds=60)
BASE = timedelta(seconds=15)
"""First backoff of a sweeper."""


def delivery_with(body: str, *, receive_count: int = 1, held: float = 30.0) -> Delivery:
    message = ReceivedMessage(
        message_id="message-1", receipt="receipt-1", body=body, receive_count=receive_count, sent_at=0
    )
    return Delivery(message, held_until=time.monotonic() + held)


@dataclass
class ScriptedGateway(MemoryGateway):
    """Gateway that runs a function once `before` or `after` a call, by the name of the call.

    `after` runs when the provider has executed the call but its response has not arrived yet.
    """

    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    after: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    async def create(self, charge: Charge) -> str:
        async with self._around("create"):
            return await super().create(charge)

    async def retrieve(self, charge: Charge) -> Payment:
        async with self._around("retrieve"):
            return await super().retrieve(charge)

    async def confirm(self, charge: Charge, token: str) -> PaymentStatus:
        async with self._around("confirm"):
            return await super().confirm(charge, token)

    async def cancel(self, charge: Charge) -> PaymentStatus:
        async with self._around("cancel"):
            return await super().cancel(charge)

    async def refund(self, charge: Charge) -> None:
        async with self._around("refund"):
            await super().refund(charge)

    @asynccontextmanager
    async def _around(self, call: str) -> AsyncIterator[None]:
        self.calls.append(call)
        if hook := self.before.pop(call, None):
            await hook()
        try:
            yield
        finally:
            if hook := self.after.pop(call, None):
                await hook()


@dataclass
class World:
    store: MemoryStore = field(default_factory=MemoryStore)
    ended: list[Order] = field(default_factory=list)
    payment_failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = MemoryOrderRepository(self.store)
        self.inventory = MemoryInventoryRepository(self.store)
        self.payments = ScriptedGateway()
        self.clock = UniqueClock()
        self.work = FlowContext(
            self.orders,
            self.inventory,
            self.payments,
            self.clock,
            LEASE,
            SweepSchedule(BASE),
            self._on_ended,
            self.payment_failures.append,
        )

    def _on_ended(self, order: Order, _: datetime) -> None:
        self.ended.append(order)

    async def stock(self, sku: str, units: int, *, shards: int = 1) -> None:
        await self.inventory.put(make_product(sku=sku, stock_shards=shards))
        if units:
            await self.inventory.adjust("acme", sku, units, make_stock_record("acme", sku))

    async def available(self, sku: str) -> int:
        return (await self.inventory.get("acme", sku)).available

    async def accept(self, order: Order) -> Order:
        await self.orders.add(order, make_record(order))
        return order

    async def stored(self, order: Order) -> Order:
        return await self.orders.get(order.customer, order.order_id)


@pytest.fixture
def world() -> World:
    return World()


@dataclass
class Outbox:
    clock: HandClock
    queue: MemoryQueue
    orders: MemoryOrderRepository
    metrics: ProcessorMetrics

    counts_queue: bool = False
    """Whether the sweeper counts the messages of `queue`, or an empty queue."""

    def __post_init__(self) -> None:
        self.seconds = 0.0
        self.backlog = Backlog(lambda: self.seconds)

    async def depth(self) -> Depth:
        return await self.queue.depth() if self.counts_queue else Depth(work=0, in_flight=0, dead=0)

    def sweeper(self, interval: timedelta = timedelta(seconds=1), *, tracing: Tracing = NO_TRACING) -> Sweeper:
        return Sweeper(
            self.orders,
            tracing.publisher(Publisher(self.queue)),
            self.metrics,
            clock=self.clock,
            backlog=self.backlog,
            depth=self.depth,
            schedule=SweepSchedule(BASE),
            interval=interval,
        )

    async def accept(self, *, traceparent: str | None = None) -> Order:
        order = make_order(at=self.clock(), due_in=BASE, traceparent=traceparent)
        await self.orders.add(order, make_record(order))
        return order

    async def stored(self, order: Order) -> Order:
        return await self.orders.get(order.customer, order.order_id)


@pytest.fixture
def outbox() -> Outbox:
    clock = HandClock(NOON)
    return Outbox(clock, MemoryQueue(), MemoryOrderRepository(MemoryStore(clock)), ProcessorMetrics())
