"""Customers of a run, and a model of the API: which answers they may get to what they ask."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

from aws_json_client import ServiceError
from devstack.lab.history import History as Told
from devstack.lab.history import Outcome, Purchase, Verb
from order_api.auth import Identity
from order_api.order.exceptions import NotCancellable, VersionMismatch
from order_api.order.service import ADMIN_SCOPE, PlaceOrder, PlaceResult
from order_api.product.catalogue import FRESH_SECONDS, OVERDUE_SECONDS
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.idempotency import IdempotencyKeyReused, RecordKind, record_key, to_seconds
from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.order.exceptions import OrderNotFound, ReferenceTaken
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.inventory import PRODUCT_RECORD, product_key
from order_shared.storage.orders import reference_key
from order_shared.tables import IDEMPOTENCY, INVENTORY
from tests.memory_dynamo import ItemKey
from tests.simulation.clock import START
from tests.simulation.customers import TENANT
from tests.simulation.fleet import ApiMachine
from tests.simulation.invariants import Watch
from tests.simulation.plans import OrderPlan, Plan, Probe
from tests.simulation.world import World

PATIENCE_SECONDS = 8.0
"""Time that a customer waits for one answer."""
KEY = "key"
SECOND_KEY = "key of the second order"

Ask = Callable[[ApiMachine], Coroutine[Any, Any, Any]]


@dataclass
class Answer:
    """Result of a request, or the error that it was refused with; neither if no answer arrived."""

    result: Any = None
    refused: PlatformError | None = None

    @property
    def arrived(self) -> bool:
        return self.result is not None or self.refused is not None


@dataclass
class _Orders:
    """What one customer was told of the orders under one key."""

    asked: int = 0
    results: list[PlaceResult] = field(default_factory=list)


class Shoppers:
    """Customers who place, read and cancel orders. What they are told that is wrong goes to the watch."""

    def __init__(self, world: World, plan: Plan, watch: Watch) -> None:
        self._world = world
        self._plan = plan
        self._watch = watch
        self._window = world.api_settings.cancel_window
        self.told = Told()
        self._placed: dict[tuple[str, str], _Orders] = {}

    async def shop(self, plan: OrderPlan) -> None:
        customer = Customer(tenant=TENANT, id=plan.customer)
        request = PlaceOrder(
            customer=customer,
            quantities=plan.quantities,
            payment_token=plan.token,
            reference=plan.reference,
            traceparent=plan.traceparent,
        )
        keys = (KEY, SECOND_KEY) if plan.twin else (KEY,)
        self.told.purchases[plan.customer] = Purchase(
            plan.customer, plan.quantities, is_paid=plan.token is not None, wanted=len(keys)
        )
        dice = Random(f"{self._plan.seed}/{plan.customer}")  # noqa: S311 - reproducible, not secret
        self._prepare(plan, customer)
        await asyncio.sleep(plan.at)
        posts = [
            self._place(plan, request, key, dice, number)
            for number, key in enumerate(key for key in keys for _ in range(plan.posts))
        ]
        order_id = next(filter(None, await asyncio.gather(*posts)), None)
        if order_id is None:
            return
        for probe in plan.probes:
            await PROBES[probe](self, request, order_id, dice)
        if plan.cancels_after is None:
            return
        if plan.cancels_in_undo or plan.cancels_in_payment:
            awaited = "undo" if plan.cancels_in_undo else "payment_id"
            await self._world.until(lambda: self._has(order_id, awaited), within=plan.cancels_after, every=0.05)
            await asyncio.sleep(dice.uniform(0.0, 0.2))
        else:
            await asyncio.sleep(plan.cancels_after)
        identity = Identity(customer, frozenset())
        for _ in range(2 if plan.cancels_twice else 1):
            await asyncio.gather(
                *(self._cancel(plan, identity, order_id, dice) for _ in range(2 if plan.cancels_at_once else 1))
            )

    def _has(self, order_id: str, attribute: str) -> bool:
        return attribute in self._watch.lives[order_id][-1][1]

    def _prepare(self, plan: OrderPlan, customer: Customer) -> None:
        """Store the records of orders of two days ago."""
        if plan.key_used_before:
            expired = to_seconds(START - timedelta(days=1))
            self._store_record(record_key(customer, RecordKind.ORDER, KEY), expires_at={"N": str(expired)})
        if plan.reference_taken and plan.reference is not None:
            self._store_record(reference_key(customer, plan.reference))

    def _store_record(self, key: str, **more: Any) -> None:
        item = {"key": {"S": key}, "subject": {"S": "an-old-order"}, "fingerprint": {"S": "v1:old"}, **more}
        self._world.store.tables.store(ItemKey(IDEMPOTENCY.name, key), item)

    # Requests

    async def _place(self, plan: OrderPlan, request: PlaceOrder, key: str, dice: Random, number: int) -> str | None:
        """Ask one API after the other until there is an answer, or once if the customer is impatient."""
        orders = self._placed.setdefault((plan.customer, key), _Orders())
        while True:
            self.told.record(plan.customer, Verb.PLACE, Outcome.INVOKED)
            orders.asked += 1
            machine = self._machine(dice, number if plan.twin else None)
            answer = await self._ask(machine, lambda machine: machine.service.place(request, key))
            if answer.result is not None:
                order_id: str = answer.result.order.order_id
                self.told.record(plan.customer, Verb.PLACE, Outcome.OK, order_id)
                self._check_placed(plan, orders, answer.result)
                return order_id
            if answer.refused is not None:
                self.told.record(plan.customer, Verb.PLACE, Outcome.FAILED)
                if not (plan.reference_taken and isinstance(answer.refused, ReferenceTaken)):
                    self._wrong(f"{plan.customer} was refused an order: {answer.refused!r}")
                return None
            self.told.record(plan.customer, Verb.PLACE, Outcome.UNKNOWN)
            if not plan.patient:
                return None
            await asyncio.sleep(dice.uniform(0.05, 2.0))

    def _check_placed(self, plan: OrderPlan, orders: _Orders, result: PlaceResult) -> None:
        orders.results.append(result)
        fresh = sum(not each.replayed for each in orders.results)
        if fresh > 1:
            self._wrong(f"{plan.customer} was told twice that the order is new")
        if orders.asked == 1 and result.replayed:
            self._wrong(f"{plan.customer} was told at the first request that it is a repetition")
        if plan.reference_taken and plan.reference is not None:
            self._wrong(f"{plan.customer} got an order with a reference that was taken")

    async def _cancel(self, plan: OrderPlan, identity: Identity, order_id: str, dice: Random) -> None:
        """Cancel the order; with If-Match, read it before each attempt."""
        while True:
            versions = None
            asked_at = self._world.loop.time()
            if plan.if_match:
                read = await self._ask(self._machine(dice), lambda machine: machine.service.get(identity, order_id))
                versions = {read.result.version} if read.result is not None else {0}
            self._watch.cancels(order_id, versions)
            self.told.record(plan.customer, Verb.CANCEL, Outcome.INVOKED)
            answer = await self._ask(
                self._machine(dice),
                lambda machine, versions=versions: machine.service.cancel(identity, order_id, versions),  # type: ignore[misc]
            )
            if answer.result is not None:
                self.told.record(plan.customer, Verb.CANCEL, Outcome.OK, order_id)
                self._check_cancelled(answer.result, asked_at)
                return
            if isinstance(answer.refused, NotCancellable):
                if self._watch.says_confirmed_before(order_id, self._world.loop.time() - self._window.total_seconds()):
                    return  # too late
                self.told.record(plan.customer, Verb.CANCEL, Outcome.FAILED)
                return
            if isinstance(answer.refused, VersionMismatch):
                if versions and versions == self._watch.versions_since(order_id, asked_at):
                    self._wrong(f"{order_id} did not match its own version")
            elif answer.refused is not None:
                self._wrong(f"{order_id} was not cancelled: {answer.refused!r}")
                return
            elif not plan.patient:
                self.told.record(plan.customer, Verb.CANCEL, Outcome.UNKNOWN)
                return
            await asyncio.sleep(dice.uniform(0.05, 2.0))

    def _check_cancelled(self, order: Order, asked_at: float) -> None:
        if order.status != "cancelled" and order.cancel_requested_at is None:
            self._wrong(f"{order.order_id} was said to be cancelled, and is {order.status}")
        slack = 1.0 + 2 * max(map(abs, self._plan.skews))
        too_late = asked_at - self._window.total_seconds() - slack
        if not self._watch.was_cancelled_before(order.order_id, asked_at) and self._watch.was_confirmed_before(
            order.order_id, too_late
        ):
            self._wrong(f"{order.order_id} was cancelled after the time in which it can be")

    # Requests that change nothing

    async def _repeat(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        answer = await self._ask(self._machine(dice), lambda machine: machine.service.place(request, KEY))
        if answer.refused is not None:
            self._wrong(f"the repetition of an order was refused: {answer.refused!r}")
        elif answer.result is not None and not (answer.result.replayed and answer.result.order.order_id == order_id):
            self._wrong(f"the repetition of {order_id} was answered by {answer.result.order.order_id}, as if new")

    async def _repeat_unsold(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        """Repeat the order once no API knows its products any more, and put them on sale again."""
        await asyncio.sleep(FRESH_SECONDS + OVERDUE_SECONDS + PATIENCE_SECONDS)
        tables = self._world.store.tables
        keys = [ItemKey(INVENTORY.name, product_key(TENANT, sku), PRODUCT_RECORD) for sku in request.quantities]
        removed = {key: tables.items[key] for key in keys}
        for key in keys:
            tables.store(key, None)
        await self._repeat(request, order_id, dice)
        for key, item in removed.items():
            tables.store(key, item)

    async def _change_body(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        more = {sku: units + 1 for sku, units in request.quantities.items()}
        for other in (replace(request, quantities=more), replace(request, metadata={"note": "other"})):
            await self._expect(
                IdempotencyKeyReused,
                lambda machine, other=other: machine.service.place(other, KEY),  # type: ignore[misc]
                f"{order_id}'s key",
                dice,
            )

    async def _ask_for_unknown(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        other = replace(request, quantities={"NOTHING": 1}, reference=None)
        await self._expect(
            UnknownSku, lambda machine: machine.service.place(other, "other key"), f"NOTHING beside {order_id}", dice
        )

    async def _read_as_stranger(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        stranger = Customer(tenant=request.customer.tenant, id="stranger")
        await self._expect(
            OrderNotFound,
            lambda machine: machine.service.get(Identity(stranger, frozenset()), order_id),
            f"{order_id}, read by a stranger",
            dice,
        )
        administrator = Identity(stranger, frozenset({ADMIN_SCOPE}))
        answer = await self._ask(self._machine(dice), lambda machine: machine.service.get(administrator, order_id))
        if answer.refused is not None:
            self._wrong(f"{order_id} was refused to an administrator: {answer.refused!r}")

    async def _cancel_other_version(self, request: PlaceOrder, order_id: str, dice: Random) -> None:
        """Cancel a version that no order has."""
        identity = Identity(request.customer, frozenset())
        answer = await self._ask(
            self._machine(dice), lambda machine: machine.service.cancel(identity, order_id, {1000})
        )
        if answer.arrived and not isinstance(answer.refused, VersionMismatch):
            self._wrong(f"{order_id} was cancelled in a version that it does not have: {answer}")

    async def _expect(self, error: type[PlatformError], ask: Ask, what: str, dice: Random) -> None:
        answer = await self._ask(self._machine(dice), ask)
        if answer.arrived and not isinstance(answer.refused, error):
            self._wrong(f"{what} was answered by {answer}, not by {error.__name__}")

    # Answers

    def _machine(self, dice: Random, number: int | None = None) -> ApiMachine | None:
        apis = self._world.fleet.apis
        if not apis:
            return None
        return dice.choice(apis) if number is None else apis[number % len(apis)]

    async def _ask(self, machine: ApiMachine | None, ask: Ask) -> Answer:
        if machine is None:
            return Answer()
        asked = machine.start(self._world.loop, ask(machine))
        answered, _ = await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        if not answered:
            asked.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody waits for it
            return Answer()
        error = asked.exception()
        if error is None:
            if asked.result() is None:
                self._wrong("a request was answered by nothing")
            return Answer(asked.result())
        if isinstance(error, PlatformError) and not isinstance(error, StorageUnavailable):
            return Answer(refused=error)
        if not isinstance(error, StorageUnavailable | ServiceError):
            self._wrong(f"a request failed with an unexpected error: {error!r:.150}")
        elif self._plan.is_sound:
            self._wrong(f"a request failed although nothing was: {error!r:.150}")
        return Answer()

    def _wrong(self, text: str) -> None:
        self._watch.violations[text] = None


PROBES: dict[Probe, Callable[[Shoppers, PlaceOrder, str, Random], Coroutine[Any, Any, None]]] = {
    Probe.REPEAT: Shoppers._repeat,
    Probe.UNSOLD: Shoppers._repeat_unsold,
    Probe.OTHER_BODY: Shoppers._change_body,
    Probe.UNKNOWN_SKU: Shoppers._ask_for_unknown,
    Probe.STRANGER: Shoppers._read_as_stranger,
    Probe.OTHER_VERSION: Shoppers._cancel_other_version,
}
