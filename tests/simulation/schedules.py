"""Every schedule of a small scenario with few deviations from the default schedule.

The default lets a task go on until it waits for something other than its own requests. A deviation lets another task
that is ready run instead, at any of the requests. Three deviations find every fault that three switches can cause.
"""

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from aws_json_client import RetryPolicy
from devstack.payments.bank import Token
from order_api.auth import Identity
from order_api.cursors import CursorCodec
from order_api.order.exceptions import NotCancellable
from order_api.order.service import OrderService
from order_api.product.catalogue import Catalogue
from order_processor.order.flows import FlowContext, OrderWorkflow
from order_processor.schedule import SweepSchedule
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import Publisher
from order_shared.messaging.queue import ReceivedMessage
from order_shared.storage.inventory import DynamoInventoryRepository
from order_shared.storage.orders import DynamoOrderRepository
from tests.factories import NOON, make_order, make_product, make_record
from tests.fakes import TABLES, HandClock, MemoryInventoryRepository, MemoryOrderRepository, MemoryQueue, MemoryStore
from tests.simulation.clock import virtual
from tests.simulation.dynamo import DynamoServer
from tests.simulation.history import History
from tests.simulation.invariants import Watch
from tests.simulation.link import Link
from tests.simulation.loop import SimulationLoop, new_loop
from tests.simulation.provider import Provider, ProviderRules
from tests.simulation.tables import TableRules, TableServer, run_now
from tests.simulation.world import quiet

T = TypeVar("T")

ADA = Customer(tenant="acme", id="ada")
LEASE = timedelta(seconds=60)
STOCK = 5
UNBOUNDED = TableRules(transaction_seconds=0.0, write_seconds=0.0, units_per_second=math.inf)
ROUNDS = 20


class Deviations:
    """Schedule that deviates at some of its decisions. `widths` has the choices that there were at each decision."""

    def __init__(self, chosen: dict[int, int]) -> None:
        self.chosen = chosen
        self.widths: list[int] = []

    def __call__(self, choices: int) -> int:
        number = len(self.widths)
        self.widths.append(choices)
        return (choices - 1 - self.chosen.get(number, 0)) % choices


def every_schedule(play: Callable[[Deviations], None], deviations: int) -> int:
    """Play every schedule with so many deviations at most, and return their number."""
    played = 0

    def extend(chosen: dict[int, int]) -> None:
        nonlocal played
        schedule = Deviations(chosen)
        play(schedule)
        played += 1
        if len(chosen) < deviations:
            for number in range(max(chosen, default=-1) + 1, len(schedule.widths)):
                for other in range(1, schedule.widths[number]):
                    extend({**chosen, number: other})

    extend({})
    return played


@dataclass(frozen=True)
class StepLink(Link):
    """Link on which another task may run before each request takes effect."""

    async def call(self, effect: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        return effect()

    read = call


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Two workers get the message of each order at the same time, while the customer cancels the first."""

    token: str | None = Token.WORKS
    orders: int = 1
    quantity: int = 2
    cancels: bool = True
    skews: tuple[int, int] = (0, 0)
    """Seconds by which the workers' clocks are ahead."""

    def __str__(self) -> str:
        return f"{self.orders} x {self.token}, {'cancel, ' * self.cancels}clocks {self.skews}"


SCENARIOS = (
    *(
        Scenario(token=token, skews=skews)
        for token, skews in itertools.product((Token.WORKS, Token.DECLINED, None), ((0, 0), (0, 90), (90, 0)))
    ),
    Scenario(orders=2, quantity=3, cancels=False),
    Scenario(orders=2, quantity=3, cancels=False, token=None),
)


@dataclass
class _Play:
    """One run of a scenario."""

    loop: SimulationLoop
    scenario: Scenario
    clock: HandClock = field(default_factory=lambda: HandClock(NOON))

    def __post_init__(self) -> None:
        history = History(self.loop.time)
        self.store = MemoryStore(self.clock)
        self.server = DynamoServer(self.store.tables, TableServer(UNBOUNDED, history, self.loop.time), history)
        self.provider = Provider(ProviderRules(calls_per_second=math.inf, burst=math.inf), history, self.loop.time)
        self.watch = Watch(self.provider)
        self.server.on_changes = self.watch.check
        self.link = StepLink("worker", None, 0.0)  # type: ignore[arg-type] # it draws nothing
        product = make_product(stock_shards=1)
        run_now(MemoryInventoryRepository(self.store).put(product))
        self.store.set_stock("acme", product.sku, [STOCK])
        repository = MemoryOrderRepository(self.store)
        self.orders = [
            make_order(
                customer=ADA,
                lines=[(product, self.scenario.quantity)],
                at=NOON + timedelta(microseconds=number),
                payment_token=self.scenario.token,
            )
            for number in range(self.scenario.orders)
        ]
        for number, order in enumerate(self.orders):
            run_now(repository.add(order, make_record(order, key=f"key-{number}")))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for order, skew in itertools.product(self.orders, self.scenario.skews):
                group.create_task(self._work(order, timedelta(seconds=skew)))
            if self.scenario.cancels:
                group.create_task(self._cancel())
        for _ in range(ROUNDS):  # what the sweeper does
            open_orders = [order for order in self.store.orders.values() if order.is_open]
            if not open_orders:
                break
            self.clock.advance(LEASE + timedelta(minutes=16))
            for order in open_orders:
                await self._work(order, timedelta(0))

    def repositories(self) -> tuple[DynamoOrderRepository, DynamoInventoryRepository]:
        dynamo = self.server.client(self.link, RetryPolicy())
        return DynamoOrderRepository(dynamo, TABLES, self.clock), DynamoInventoryRepository(dynamo, TABLES, self.clock)

    async def _work(self, order: Order, skew: timedelta) -> None:
        orders, inventory = self.repositories()
        context = FlowContext(
            orders,
            inventory,
            self.provider.gateway(self.link),
            lambda: self.clock() + skew,
            LEASE,
            SweepSchedule(timedelta(seconds=15)),
            lambda *_: None,
            lambda _: None,
        )
        message = ReceivedMessage(message_id=order.order_id, receipt="", body="", receive_count=2, sent_at=0)
        with suppress(PlatformError):
            read = await orders.get(order.customer, order.order_id)
            await OrderWorkflow(Delivery(message, held_until=math.inf), context).run(read)

    async def _cancel(self) -> None:
        orders, inventory = self.repositories()
        service = OrderService(
            orders,
            Catalogue(inventory),
            Publisher(MemoryQueue()),
            CursorCodec(["a-secret-for-tests"]),
            clock=self.clock,
            sweep_base=timedelta(seconds=15),
            cancel_window=timedelta(hours=24),
            accept_deadline=timedelta(seconds=30),
            on_accepted=lambda: None,
            on_ended=lambda *_: None,
        )
        self.acknowledged = False
        with suppress(NotCancellable):
            await service.cancel(Identity(ADA, frozenset()), self.orders[0].order_id, None)
            self.acknowledged = True
        await service.publisher.close(1.0)

    def violations(self) -> Iterator[str]:
        yield from self.watch.violations
        orders = list(self.store.orders.values())
        held = sum(line.quantity for order in orders if order.holds_stock for line in order.lines)
        if held + sum(self.store.stock("acme", "TEA")) != STOCK:
            yield f"{held} units are held, {self.store.stock('acme', 'TEA')} left, of {STOCK}"
        for order in orders:
            if order.is_open:
                yield f"an order stays open as {order.status}"
            kept = self.provider.charged.get(order.order_id, 0) - self.provider.refunded.get(order.order_id, 0)
            due = order.total if order.status is OrderStatus.CONFIRMED and self.scenario.token else 0
            if kept != due:
                yield f"an order is {order.status} with {kept} kept and {due} due"
        if self.scenario.cancels and self.acknowledged and orders[0].status is not OrderStatus.CANCELLED:
            yield f"the cancellation was acknowledged, and the order is {orders[0].status}"


def play_once(scenario: Scenario, schedule: Deviations) -> list[str]:
    """Play a scenario with one schedule, and return what does not hold."""
    loop = new_loop(schedule, 20_000)
    with virtual(loop, "schedules"):
        try:

            async def begin() -> _Play:
                play = _Play(loop, scenario)
                await play.run()
                return play

            return list(loop.run_until_complete(begin()).violations())
        finally:
            loop.close()


@dataclass
class Explored:
    """Schedules played of a scenario, and the first that broke an invariant."""

    schedules: int = 0
    deviations: dict[int, int] | None = None
    violations: list[str] = field(default_factory=list)


class _Found(Exception):
    """A schedule breaks an invariant."""


def explore(scenario: Scenario, deviations: int) -> Explored:
    """Play every schedule of a scenario, up to the first that breaks an invariant."""
    explored = Explored()

    def play(schedule: Deviations) -> None:
        explored.schedules += 1
        explored.violations = play_once(scenario, schedule)
        if explored.violations:
            explored.deviations = schedule.chosen
            raise _Found

    with quiet(), suppress(_Found):
        every_schedule(play, deviations)
    return explored
