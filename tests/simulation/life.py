"""Play a plan: the real services on machines that fail, while customers come; then calm, until all has ended."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from order_notifier import appender
from order_operations import parked_orders
from order_processor import schedule as sweep_schedule
from order_processor.order import flows
from order_shared.domain.clock import Clock
from order_shared.runtime.adapters import Adapters
from order_shared.storage import outbox
from order_shared.storage.event_log import append, read
from order_shared.storage.inventory import product_key
from tests.memory_dynamo import Change
from tests.simulation.counts import count_faults, readings
from tests.simulation.customers import TENANT
from tests.simulation.events.life import OF_LOG, LogLife
from tests.simulation.faults import Faults, FaultyLink
from tests.simulation.happenings import Happenings
from tests.simulation.history import Border, Effect
from tests.simulation.holding import Holding, WatchedInventory, WatchedOrders
from tests.simulation.invariants import Watch
from tests.simulation.letters import Letters
from tests.simulation.link import Link
from tests.simulation.logbook import Logbook, written_to
from tests.simulation.loop import Deadlock, Host, Schedule, SimulationLoop, TooManySteps
from tests.simulation.machines import Machines
from tests.simulation.operators import Operators
from tests.simulation.plans import Plan, Theme
from tests.simulation.provider import ProviderRules
from tests.simulation.queue import QueueRules
from tests.simulation.rest import Rest, faults_at_rest
from tests.simulation.rules import Rules as WriteRules
from tests.simulation.settling import SettlingCheck
from tests.simulation.shoppers import Shoppers
from tests.simulation.tables import TableRules
from tests.simulation.world import Rules, World, simulate

ANSWER_SECONDS = 120.0
"""Time after the storm in which every customer who asks must have an answer."""
REST_SECONDS = 3600.0
"""Time after the storm in which everything must have ended."""
ANSWERS_SECONDS = 1.0
"""Time in which the answers of the last requests arrive."""
MAX_STEPS = 100_000

OUTBOX_KEYS = 2
"""Keys of the outbox, instead of 128: a sweep reads every key, and a run has few orders."""
PROCESSOR = {
    "concurrency": 4,
    "sweep_interval_seconds": 5.0,
    "retry_cap_seconds": 20.0,
    "open_shards": OUTBOX_KEYS,
}


@dataclass
class Outcomes:
    """Result of a run. `violations` are what did not hold; `digest` is equal for equal histories."""

    token: str
    violations: list[str] = field(default_factory=list)
    digest: str = ""
    orders: int = 0
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    effects: list[Effect] | None = None


class StormyWorld(World):
    """World whose links meet faults."""

    orders_class = WatchedOrders
    inventory_class = WatchedInventory

    def __init__(self, loop: SimulationLoop, plan: Plan, rules: Rules) -> None:
        self.faults = Faults(plan.rates, plan.fault_limit, plan.borders)
        self._plan = plan
        super().__init__(loop, plan.seed, rules)
        self.watch = Watch(self.provider, loop.time)
        self.holding = Holding(self, self.watch, plan.frozen_seconds)

    def adapters(self, host: Host, *, sweeps: bool, clock: Clock | None = None) -> Adapters:
        adapters = super().adapters(host, sweeps=sweeps, clock=clock)
        assert isinstance(adapters.orders, WatchedOrders)
        assert isinstance(adapters.inventory, WatchedInventory)
        adapters.orders.holding = adapters.inventory.holding = self.holding
        return adapters

    def link(self, host: Host, seconds: float, border: Border) -> Link:
        dice = self._dice(self._plan.seed, f"{host.name}/{border}")
        return FaultyLink(host.name, dice, seconds, self.loop, self.faults, border)


class Life:
    rest_seconds = REST_SECONDS

    def __init__(self, world: StormyWorld, plan: Plan, book: Logbook) -> None:
        self.world = world
        self.plan = plan
        self.book = book
        book.now, book.host = world.loop.time, lambda: world.loop.host.name
        self.watch = world.watch
        self.watch.rules = WriteRules(world, plan, self.watch)
        self.letters = Letters(world.queue)
        self.machines = Machines(world, plan)
        self.happenings = Happenings(world, plan, self.watch, self.machines, self.letters)
        world.holding.stopped = self.happenings.stopped
        self.shoppers = Shoppers(world, plan, self.watch)
        self.operators = Operators(world)
        self.calm_at = 0.0
        self._read_before = readings()
        self.log = LogLife(world, plan, self.watch, book)
        world.dynamo.on_changes = self._committed
        world.provider.watched = world.holding.calling
        self.settling = SettlingCheck(world, plan, self.watch, book, self.happenings.stopped)
        world.queue.on_settled, world.queue.on_buried = self.settling.settled, self.settling.buried
        world.queue.on_resent, world.queue.on_hide = self.settling.resent, self.settling.hides

    def _committed(self, changes: list[Change], by: str) -> None:
        self.watch.check(changes, by)
        self.log.committed(changes, by)

    async def play(self) -> None:
        """Play the storm, then the calm. Afterwards the watch and the judge know what did not hold."""
        for sku, units in self.plan.stock.items():
            self._sell(sku, units)
        for _ in range(self.plan.apis):
            self.machines.start_api()
        for _ in range(self.plan.processors):
            self.machines.start_processor()
        self.log.begin()
        customers = [self._start(self.shoppers.shop(order)) for order in self.plan.orders]
        happening = [
            self._start(self.happenings.happen(event)) for event in self.plan.events if event.kind not in OF_LOG
        ]
        happening += [self._start(self.log.happen(event)) for event in self.plan.events]
        if self.plan.operators:
            happening.append(self._start(self.operators.operate(until=self.plan.storm_seconds)))
        if self.plan.theme is not Theme.QUIET:
            happening.append(self._start(self.operators.migrate(until=self.plan.storm_seconds)))
        await asyncio.sleep(self.plan.storm_seconds)
        await asyncio.gather(*happening)
        self._calm()
        helping = self._start(self.operators.operate(until=float("inf")))
        if customers and (await asyncio.wait(customers, timeout=ANSWER_SECONDS))[1]:
            self.watch.add("a customer asks and asks, and gets no answer")
        rests = await self.world.until(self._is_at_rest, within=self.rest_seconds, every=2.0)
        await asyncio.sleep(ANSWERS_SECONDS)
        helping.cancel()
        for machine in self.world.fleet.processors:
            if machine.task.done():
                self.watch.add(f"{machine.host.name} ended by itself")
        self.log.end()
        if not rests:
            self.watch.add("it does not come to rest")

    def _is_at_rest(self) -> bool:
        """Return whether nothing is left to do, and no machine waits for the answer to its last deletion."""
        queue, fleet = self.world.queue, self.world.fleet
        in_hand = any(fleet.deliveries_of(machine.host.name) for machine in fleet.processors)
        is_done = not self.world.open_orders and not queue.visible and not queue.in_flight
        return is_done and not in_hand and self.log.is_at_rest()

    def _calm(self) -> None:
        """End every fault. Machines that are needed and not there are started."""
        world = self.world
        self.calm_at = world.loop.time()
        world.faults.active = False
        world.queue.down = world.tables.down = False
        world.provider.outage = None
        world.provider.refusing.clear()
        world.provider.poisoned.clear()
        self.log.calm()
        for host in [machine.host for machine in world.fleet.apis] + [each.host for each in world.fleet.processors]:
            world.loop.resume(host)
        if not world.fleet.apis:
            self.machines.start_api()
        if not world.fleet.processors:
            self.machines.start_processor()

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self.world.loop.start_on(self.world.loop.world, work)

    def _sell(self, sku: str, units: tuple[int, ...]) -> None:
        self.world.stock(sku, 0, len(units))
        self.world.store.set_stock(TENANT, sku, units)
        self.watch.stocked(product_key(TENANT, sku), sum(units))

    def judge(self) -> list[str]:
        """Return what does not hold, of writes and at rest."""
        rest = Rest(
            plan=self.plan,
            world=self.world,
            watch=self.watch,
            book=self.book,
            told=self.shoppers.told,
            letters=self.letters,
            happenings=self.happenings,
            rejected=self.operators.rejected(),
            settling=self.settling,
            calm_at=self.calm_at,
        )
        counted = readings()
        counted.subtract(self._read_before)
        return [*faults_at_rest(rest), *count_faults(rest, counted), *self.log.faults(), *self.watch.violations]


@contextmanager
def small_world(plan: Plan) -> Iterator[None]:
    """Let the outbox have few keys until the end of the block, and limits and waits be those of the plan."""
    parked = outbox.PARKED_SHARDS[:OUTBOX_KEYS]
    with (
        mock.patch.object(outbox, "SWEPT_SHARDS", outbox.SWEPT_SHARDS[:OUTBOX_KEYS]),
        mock.patch.object(outbox, "PARKED_SHARDS", parked),
        mock.patch.object(parked_orders, "PARKED_SHARDS", parked),
        mock.patch.object(sweep_schedule, "CAP", sweep_schedule.CAP / plan.pace),
        mock.patch.object(sweep_schedule, "PARK_AFTER", sweep_schedule.PARK_AFTER / plan.pace),
        mock.patch.object(flows, "CAP", sweep_schedule.CAP / plan.pace),
        mock.patch.object(flows, "ROUNDS", plan.rounds or flows.ROUNDS),
        mock.patch.object(appender, "MAX_ORDERS", plan.log_orders or append.MAX_ORDERS),
        mock.patch.object(append, "ATTEMPTS", append.ATTEMPTS if plan.log_orders is None else 2),
        mock.patch.object(read, "MAX_EXAMINED", read.MAX_EXAMINED if plan.log_orders is None else 5 * plan.log_orders),
        mock.patch.object(
            read, "PAGE_COUNTS", read.PAGE_COUNTS if plan.log_orders is None else (1, 2, plan.log_orders)
        ),
        mock.patch.object(flows, "MAX_TRANSACTION_WRITES", plan.writes or flows.MAX_TRANSACTION_WRITES),
    ):
        yield


def rules_of(plan: Plan) -> Rules:
    """Return the rules of the world in which a plan is played."""
    tables, queue, provider = plan.ways
    return Rules(
        queue=QueueRules(quota=plan.quota, depth_age=30.0),
        tables=TableRules(units_per_second=plan.table_units, log_seconds=plan.log_seconds),
        provider=ProviderRules(calls_per_second=plan.calls_per_second, burst=plan.calls_per_second),
        table_way=tables,
        queue_way=queue,
        provider_way=provider,
        max_steps=MAX_STEPS if plan.notifiers == 0 else 3 * MAX_STEPS,
        processor={**PROCESSOR, **plan.settings},
        api=plan.api,
        gauge_seconds=3600.0,
    )


def live(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    keep_effects: bool = False,
    make_life: Callable[[StormyWorld, Plan, Logbook], Life] | None = None,
    rules: Rules | None = None,
) -> Outcomes:
    """Play the plan in a new world, and return what came of it."""
    rules = rules or rules_of(plan)
    make_life = make_life or Life
    outcomes = Outcomes(plan.token)
    book = Logbook()
    lives: list[Life] = []

    async def play(world: World) -> None:
        assert isinstance(world, StormyWorld)
        if keep_effects:
            outcomes.effects = world.history.keep_effects()
        lives.append(make_life(world, plan, book))
        await lives[0].play()

    with small_world(plan):
        try:
            simulate(
                plan.seed,
                rules,
                play,
                lambda loop, _, rules: StormyWorld(loop, plan, rules),
                schedule,
                logs=written_to(book),
            )
        except (TooManySteps, Deadlock, RuntimeError) as error:
            outcomes.violations.append(f"{type(error).__name__}: {error}")
        life = lives[0]
        outcomes.violations += life.judge()
    world = life.world
    outcomes.digest = f"{world.history.digest}/{life.log.history.digest}"
    outcomes.orders = len(world.store.orders)
    outcomes.seconds, outcomes.steps = world.loop.time(), world.loop.steps
    outcomes.faults = {str(fault): count for fault, count in world.faults.met.items()}
    for event in plan.events:
        outcomes.faults[event.kind] = outcomes.faults.get(event.kind, 0) + 1
    for order in world.store.orders.values():
        outcomes.statuses[order.status] = outcomes.statuses.get(order.status, 0) + 1
    return outcomes
