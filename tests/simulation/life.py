"""Play a plan: the real services on machines that fail, while customers come; then calm, until all has ended."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from unittest import mock

from order_api.auth import Identity
from order_api.cursors import CursorCodec
from order_api.order.service import PlaceOrder
from order_api.product.service import ProductService
from order_operations import parked_orders
from order_processor.payments.gateway import PaymentStatus
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.idempotency import RecordKind, record_key, to_seconds
from order_shared.domain.inventory.exceptions import InsufficientStock, StockShardsShrunk
from order_shared.domain.order.models import Customer, Order
from order_shared.storage import outbox
from order_shared.tables import IDEMPOTENCY
from tests.chaos.history import Evidence, Outcome, Payment, Purchase, Verb, judge
from tests.chaos.history import History as Told
from tests.fakes import MemoryAuditTrail
from tests.memory_dynamo import ItemKey
from tests.simulation.clock import START, VirtualClock
from tests.simulation.customers import TENANT
from tests.simulation.faults import Faults, FaultyLink
from tests.simulation.fleet import ApiMachine, ProcessorMachine
from tests.simulation.history import Border, Effect
from tests.simulation.invariants import Watch
from tests.simulation.link import Link
from tests.simulation.loop import Deadlock, Host, Schedule, SimulationLoop, TooManySteps
from tests.simulation.plan import CALLS, OUTAGES, STORM_SECONDS, Event, EventKind, OrderPlan, Plan
from tests.simulation.provider import ProviderRules
from tests.simulation.queue import QueueRules
from tests.simulation.tables import TableRules
from tests.simulation.world import Rules, World, simulate

KEEPER = Customer(tenant=TENANT, id="keeper")
PATIENCE_SECONDS = 8.0
"""Time that a customer waits for one answer."""
ANSWER_SECONDS = 120.0
"""Time after the storm in which every customer who asks must have an answer."""
REST_SECONDS = 3600.0
"""Time after the storm in which everything must have ended."""
OPERATOR_SECONDS = 40.0
MAX_STEPS = 60_000

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
    """World whose links meet faults, and whose machines have clocks of their own."""

    def __init__(self, loop: SimulationLoop, plan: Plan, rules: Rules) -> None:
        self.faults = Faults(plan.rates, plan.fault_limit)
        self._plan = plan
        super().__init__(loop, plan.seed, rules)

    def link(self, host: Host, seconds: float, border: Border) -> Link:
        dice = self._dice(self._plan.seed, f"{host.name}/{border}")
        return FaultyLink(host.name, dice, seconds, self.loop, self.faults, border)

    def skew_of(self, number: int) -> timedelta:
        return timedelta(seconds=self._plan.skews[number % len(self._plan.skews)])


class Life:
    rest_seconds = REST_SECONDS

    def __init__(self, world: StormyWorld, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.told = Told()
        self.watch = Watch(world.provider)
        self.trail = MemoryAuditTrail()
        self._machines = 0
        self._stock = {sku: sum(units) for sku, units in plan.stock.items()}
        world.dynamo.on_changes = self.watch.check

    async def play(self) -> None:
        """Play the storm, then the calm. Afterwards the watch and the judge know what did not hold."""
        for sku, units in self.plan.stock.items():
            self._sell(sku, units)
        for _ in range(self.plan.apis):
            self._start_api()
        for _ in range(self.plan.processors):
            self._start_processor()
        customers = [self._start(self._shop(order)) for order in self.plan.orders]
        happening = [self._start(self._happen(event)) for event in self.plan.events]
        if self.plan.operators:
            happening.append(self._start(self._operate(until=STORM_SECONDS)))
        await asyncio.sleep(STORM_SECONDS)
        await asyncio.gather(*happening)
        self._calm()
        helping = self._start(self._operate(until=float("inf")))
        if customers and (await asyncio.wait(customers, timeout=ANSWER_SECONDS))[1]:
            self.watch.violations["a customer asks and asks, and gets no answer"] = None
        rests = await self.world.until(self._is_at_rest, within=self.rest_seconds, every=2.0)
        helping.cancel()
        for machine in self.world.fleet.processors:
            if machine.task.done():
                self.watch.violations[f"{machine.host.name} ended by itself"] = None
        if not rests:
            self.watch.violations["it does not come to rest"] = None

    def _is_at_rest(self) -> bool:
        queue = self.world.queue
        return not self.world.open_orders and not queue.visible and not queue.in_flight

    def _calm(self) -> None:
        """End every fault. Machines that are needed and not there are started."""
        world = self.world
        world.faults.active = False
        world.queue.down = world.tables.down = False
        world.provider.outage = None
        world.provider.refusing.clear()
        world.provider.poisoned.clear()
        for host in [machine.host for machine in world.fleet.apis] + [each.host for each in world.fleet.processors]:
            world.loop.resume(host)
        if not world.fleet.apis:
            self._start_api()
        if not world.fleet.processors:
            self._start_processor()

    # Machines

    def _start_api(self) -> ApiMachine:
        self._machines += 1
        return self.world.fleet.start_api(self.world.skew_of(self._machines))

    def _start_processor(self) -> ProcessorMachine:
        self._machines += 1
        return self.world.fleet.start_processor(self.world.skew_of(self._machines))

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self.world.loop.start_on(self.world.loop.world, work)

    # Customers

    def _sell(self, sku: str, units: tuple[int, ...]) -> None:
        self.world.stock(sku, 0, len(units))
        self.world.store.set_stock(TENANT, sku, units)

    async def _shop(self, plan: OrderPlan) -> None:
        customer = Customer(tenant=TENANT, id=plan.customer)
        request = PlaceOrder(
            customer=customer, quantities=plan.quantities, payment_token=plan.token, reference=plan.reference
        )
        self.told.purchases[plan.customer] = Purchase(plan.customer, plan.quantities, is_paid=plan.token is not None)
        dice = Random(f"{self.plan.seed}/{plan.customer}")  # noqa: S311 - reproducible, not secret
        if plan.key_used_before:
            self._use_key(customer)
        await asyncio.sleep(plan.at)
        ids = await asyncio.gather(
            *(self._ask(plan, Verb.PLACE, dice, lambda machine: _placed(machine, request)) for _ in range(plan.posts))
        )
        order_id = next(filter(None, ids), None)
        if order_id is None or plan.cancels_after is None:
            return
        await asyncio.sleep(plan.cancels_after)
        identity = Identity(customer, frozenset())
        await self._ask(plan, Verb.CANCEL, dice, lambda machine: _cancelled(machine, identity, order_id))

    def _use_key(self, customer: Customer) -> None:
        """Store the expired record of an order of two days ago."""
        key = record_key(customer, RecordKind.ORDER, "key")
        expired = to_seconds(START - timedelta(days=1))
        item = {"key": {"S": key}, "subject": {"S": "an-old-order"}, "fingerprint": {"S": "v1:old"}}
        self.world.store.tables.store(ItemKey(IDEMPOTENCY.name, key), {**item, "expires_at": {"N": str(expired)}})

    async def _ask(
        self, plan: OrderPlan, verb: Verb, dice: Random, ask: Callable[[ApiMachine], Coroutine[Any, Any, str]]
    ) -> str | None:
        """Ask one API after the other until there is an answer, or once if the customer is impatient."""
        while True:
            self.told.record(plan.customer, verb, Outcome.INVOKED)
            outcome, order_id = await self._ask_once(dice, ask)
            self.told.record(plan.customer, verb, outcome, order_id)
            if outcome is not Outcome.UNKNOWN or not plan.patient:
                return order_id
            await asyncio.sleep(dice.uniform(0.05, 2.0))

    async def _ask_once(
        self, dice: Random, ask: Callable[[ApiMachine], Coroutine[Any, Any, str]]
    ) -> tuple[Outcome, str | None]:
        apis = self.world.fleet.apis
        if not apis:
            return Outcome.UNKNOWN, None
        machine = dice.choice(apis)
        answer = self.world.loop.start_on(machine.host, ask(machine))
        answered, _ = await asyncio.wait([answer], timeout=PATIENCE_SECONDS)
        if not answered:
            answer.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody waits for it
            return Outcome.UNKNOWN, None
        error = answer.exception()
        if error is None:
            return Outcome.OK, answer.result()
        if isinstance(error, PlatformError) and not isinstance(error, StorageUnavailable):
            return Outcome.FAILED, None
        return Outcome.UNKNOWN, None

    # Events

    async def _happen(self, event: Event) -> None:
        await asyncio.sleep(event.at)
        await HAPPENINGS[event.kind](self, event)

    async def _kill_api(self, event: Event) -> None:
        if api := _one_of(self.world.fleet.apis, event):
            self.world.fleet.kill(api)
            await asyncio.sleep(event.seconds)
            self._start_api()

    async def _kill_processor(self, event: Event) -> None:
        if processor := _one_of(self.world.fleet.processors, event):
            self.world.fleet.kill(processor)
            await asyncio.sleep(event.seconds)
            self._start_processor()

    async def _stop_processor(self, event: Event) -> None:
        if processor := _one_of(self.world.fleet.processors, event):
            self._start_processor()
            self._start(self.world.fleet.stop_processor(processor))

    async def _freeze_api(self, event: Event) -> None:
        if api := _one_of(self.world.fleet.apis, event):
            await self.world.fleet.freeze(api, event.seconds)

    async def _freeze_processor(self, event: Event) -> None:
        if processor := _one_of(self.world.fleet.processors, event):
            await self.world.fleet.freeze(processor, event.seconds)

    async def _stop_queue(self, event: Event) -> None:
        self.world.queue.down = True
        await asyncio.sleep(event.seconds)
        self.world.queue.down = False

    async def _stop_tables(self, event: Event) -> None:
        self.world.tables.down = True
        await asyncio.sleep(event.seconds)
        self.world.tables.down = False

    async def _stop_provider(self, event: Event) -> None:
        self.world.provider.outage = OUTAGES[event.which % len(OUTAGES)]
        await asyncio.sleep(event.seconds)
        self.world.provider.outage = None

    async def _refuse_calls(self, event: Event) -> None:
        call = CALLS[event.which % len(CALLS)]
        self.world.provider.refusing.add(call)
        await asyncio.sleep(event.seconds)
        self.world.provider.refusing.discard(call)

    async def _poison(self, event: Event) -> None:
        """Let every payment call of an order crash its handling until all is calm."""

        def unpaid() -> list[Order]:
            return [order for order in self.world.store.orders.values() if order.is_open and order.must_be_paid]

        if await self.world.until(lambda: bool(unpaid()), within=event.seconds, every=0.05):
            self.world.provider.poisoned.add(unpaid()[event.which % len(unpaid())].order_id)

    async def _change_payment(self, event: Event) -> None:
        """Change a payment that is open, once there is one whose order is nobody's at the moment."""
        provider = self.world.provider

        def unconfirmed() -> list[Any]:
            """Return the payments that their order's next owner finds: a payment of one's own is not read again."""
            waiting = [order for order in self.world.store.orders.values() if order.lease and not order.lease.until]
            payments = [provider.payments[order.payment.id] for order in waiting if order.payment.id]
            return [payment for payment in payments if payment.status is PaymentStatus.OPEN]

        if not await self.world.until(lambda: bool(unconfirmed()), within=event.seconds, every=0.05):
            return
        payment = unconfirmed()[event.which % len(unconfirmed())]
        if event.kind is EventKind.PAYMENT_CANCELLED:
            payment.status = PaymentStatus.CANCELLED
        else:
            provider.recreate(payment, by=1)

    async def _keep_shop(self, event: Event) -> None:
        """Change the stock or its shards with the API's own code, until there is an answer."""
        sku = tuple(self.plan.stock)[event.which % len(self.plan.stock)]
        host = Host(f"keeper-{event.number}")
        clock = VirtualClock(self.world.loop)
        adapters = self.world.adapters(host, sweeps=False, clock=clock)
        products = ProductService(
            adapters.inventory, CursorCodec(["a-secret-of-simulations"]), clock, on_unreadable=lambda *_, **__: None
        )
        while True:
            try:
                if event.kind is EventKind.STOCK_SHARDS_RAISED:
                    await products.put(
                        TENANT, sku, name=sku, unit_price=590, currency="EUR", stock_shards=2 + event.which % 3
                    )
                    return
                delta = 3 if event.which % 2 else -2
                await products.adjust_stock(KEEPER, sku, delta, f"key-{event.number}")
            except (InsufficientStock, StockShardsShrunk):
                return
            except Exception:  # noqa: BLE001 - whatever the fault, the shopkeeper asks again
                await asyncio.sleep(1.0)
            else:
                self._stock[sku] += delta
                return

    # Operators

    async def _operate(self, *, until: float) -> None:
        """Look for parked orders from time to time. Retry the first time, and reject afterwards."""
        clock = VirtualClock(self.world.loop)
        adapters = self.world.adapters(Host("operator"), sweeps=False, clock=clock)
        retried: set[str] = set()
        while self.world.loop.time() + OPERATOR_SECONDS < until:
            await asyncio.sleep(OPERATOR_SECONDS)
            for order in await _tried(parked_orders.list_parked(adapters, 10)) or []:
                act = parked_orders.reject if order.order_id in retried else parked_orders.retry
                retried.add(order.order_id)
                await _tried(act(adapters, self.trail, order, actor="operator", reason="simulated", at=clock()))

    # At rest

    def judge(self) -> list[str]:
        """Return what does not hold, of writes and at rest."""
        orders = list(self.world.store.orders.values())
        for operation in self.trail.operations:
            if operation.verb == "orders.reject":  # the operator is a customer who cancels
                order = next(each for each in orders if each.order_id == operation.subject)
                self.told.record(order.customer.id, Verb.CANCEL, Outcome.INVOKED)
        provider = self.world.provider
        payments = [
            Payment(order_id, charged, provider.refunded.get(order_id, 0))
            for order_id, charged in provider.charged.items()
        ]
        evidence = Evidence(
            orders,
            self._stock,
            {sku: sum(self.world.store.stock(TENANT, sku)) for sku in self.plan.stock},
            payments,
            messages=self.world.queue.visible + self.world.queue.in_flight,
            letters=len(self.world.queue.dead_letters),
        )
        found = [*self.watch.violations, *judge(self.told, evidence).details]
        found += [f"{order.order_id} was charged twice" for order in orders if _charged_twice(order, provider.charged)]
        return found


HAPPENINGS: Mapping[EventKind, Callable[[Life, Event], Coroutine[Any, Any, None]]] = {
    EventKind.KILL_API: Life._kill_api,
    EventKind.KILL_PROCESSOR: Life._kill_processor,
    EventKind.STOP_PROCESSOR: Life._stop_processor,
    EventKind.FREEZE_API: Life._freeze_api,
    EventKind.FREEZE_PROCESSOR: Life._freeze_processor,
    EventKind.QUEUE_DOWN: Life._stop_queue,
    EventKind.TABLES_DOWN: Life._stop_tables,
    EventKind.PROVIDER_DOWN: Life._stop_provider,
    EventKind.REFUSED_CALLS: Life._refuse_calls,
    EventKind.POISON: Life._poison,
    EventKind.PAYMENT_CANCELLED: Life._change_payment,
    EventKind.PAYMENT_CHANGED: Life._change_payment,
    EventKind.STOCK_SHARDS_RAISED: Life._keep_shop,
    EventKind.RESTOCK: Life._keep_shop,
}


def _charged_twice(order: Order, charged: dict[str, int]) -> bool:
    return charged.get(order.order_id, 0) > order.total + 1  # a payment may have been changed by one unit


async def _placed(machine: ApiMachine, request: PlaceOrder) -> str:
    return (await machine.service.place(request, "key")).order.order_id


async def _cancelled(machine: ApiMachine, identity: Identity, order_id: str) -> str:
    return (await machine.service.cancel(identity, order_id, None)).order_id


async def _tried(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result, or None if the work fails: the operator looks again later."""
    with suppress(Exception):
        return await work
    return None


def _one_of(machines: "list[Any]", event: Event) -> Any:
    return machines[event.which % len(machines)] if machines else None


@contextmanager
def small_outbox() -> Iterator[None]:
    """Let the outbox have few keys until the end of the block."""
    parked = outbox.PARKED_SHARDS[:OUTBOX_KEYS]
    with (
        mock.patch.object(outbox, "SWEPT_SHARDS", outbox.SWEPT_SHARDS[:OUTBOX_KEYS]),
        mock.patch.object(outbox, "PARKED_SHARDS", parked),
        mock.patch.object(parked_orders, "PARKED_SHARDS", parked),
    ):
        yield


def rules_of(plan: Plan) -> Rules:
    """Return the rules of the world in which a plan is played."""
    return Rules(
        queue=QueueRules(quota=plan.quota, depth_age=30.0),
        tables=TableRules(units_per_second=plan.table_units),
        provider=ProviderRules(calls_per_second=plan.calls_per_second, burst=plan.calls_per_second),
        max_steps=MAX_STEPS,
        processor=PROCESSOR,
        gauge_seconds=3600.0,
    )


def live(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    keep_effects: bool = False,
    make_life: Callable[[StormyWorld, Plan], Life] = Life,
    rules: Rules | None = None,
) -> Outcomes:
    """Play the plan in a new world, and return what came of it."""
    rules = rules or rules_of(plan)
    outcomes = Outcomes(plan.token)
    lives: list[Life] = []

    async def play(world: World) -> None:
        assert isinstance(world, StormyWorld)
        if keep_effects:
            outcomes.effects = world.history.keep_effects()
        lives.append(make_life(world, plan))
        await lives[0].play()

    with small_outbox():
        try:
            simulate(plan.seed, rules, play, lambda loop, _, rules: StormyWorld(loop, plan, rules), schedule)
        except (TooManySteps, Deadlock, RuntimeError) as error:
            outcomes.violations.append(f"{type(error).__name__}: {error}")
    life = lives[0]
    world = life.world
    outcomes.violations += life.judge()
    outcomes.digest = world.history.digest
    outcomes.orders = len(world.store.orders)
    outcomes.seconds, outcomes.steps = world.loop.time(), world.loop.steps
    outcomes.faults = {str(fault): count for fault, count in world.faults.met.items()}
    for event in plan.events:
        outcomes.faults[event.kind] = outcomes.faults.get(event.kind, 0) + 1
    for order in world.store.orders.values():
        outcomes.statuses[order.status] = outcomes.statuses.get(order.status, 0) + 1
    return outcomes
