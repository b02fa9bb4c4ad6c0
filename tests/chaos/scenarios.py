"""The scenarios: customers in some weather, and the verdict once it has cleared."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from devstack.lab.history import Evidence, Fault, History, Outcome, Purchase, Verb, Verdict, judge
from devstack.lab.shoppers import Customer, Shop
from devstack.payments.bank import Token
from tests.chaos.customers import PATIENCE_SECONDS, go_shopping
from tests.chaos.faults import Weather
from tests.chaos.proxy import Clear, Plan
from tests.chaos.wire import PAYMENTS, Answer, Call, Forward, Reset, payment_error
from tests.chaos.world import World
from tests.waiting import eventually

AT_ONCE = 32
CANCELLED_WITHIN_SECONDS = 0.3
QUIET_SECONDS = 200.0
"""Patience after the faults: an outage of a minute doubles the waits of paid orders up to another minute."""
UNAUTHORIZED = 401
STOCK = {"COMMON": 10_000, "HOT": 60, "RARE": 15}
SHARDS = {"HOT": 4, "RARE": 2}
"""HOT and RARE run out in the middle of the crowd, HOT's stock shards at different times."""


@dataclass(frozen=True)
class Result:
    """A row of the report. `ends` counts the orders by their final status."""

    scenario: str
    orders: int
    injected: int
    verdict: Verdict
    seconds: float
    ends: Mapping[str, int]


class Trial:
    """One tenant's customers in a world, from opening the shop to the verdict."""

    def __init__(self, world: World, name: str, stock: Mapping[str, int], shards: Mapping[str, int]) -> None:
        self.world = world
        self.history = History()
        self._name = name
        self._stock = stock
        self._shards = shards
        self.shop = Shop(f"t-{uuid.uuid4().hex[:8]}", world.issuer, world.http, lambda: world.apis)

    @asynccontextmanager
    async def under(self, plan: Plan, afterwards: Plan) -> AsyncIterator[None]:
        """The shop is opened, then one plan holds while the block runs, and another until all is quiet."""
        self._started = time.monotonic()
        self._paid_before = await self.world.books.payments()
        self._letters_before = await self.world.books.letters()
        await self.shop.open(self._stock, self._shards)
        async with self.world.books.watched(self.shop.tenant) as self._watch:
            self.world.proxy.plan = plan
            try:
                yield
            finally:
                self.world.proxy.plan = afterwards
            await self.become_quiet()

    async def become_quiet(self) -> None:
        await self.world.books.become_quiet(self.shop.tenant, QUIET_SECONDS)

    async def result(self, injected: int) -> Result:
        """The verdict; then all is forgotten."""
        world, tenant = self.world, self.shop.tenant
        orders = await world.books.orders(tenant)
        evidence = Evidence(
            orders=orders,
            stock_before=self._stock,
            stock_after=await world.books.stock(tenant),
            payments=[payment for payment in await world.books.payments() if payment not in self._paid_before],
            messages=await world.books.messages(),
            letters=await world.books.letters() - self._letters_before,
            regressions=self._watch.regressions,
        )
        verdict = judge(self.history, evidence)
        for refusal in world.recorder.take_refusals():
            verdict.add(Fault.OTHER, f"the model does not allow: {refusal}")
        for name in world.dead:
            verdict.add(Fault.OTHER, f"{name} ended, and nobody had killed it")
        await world.revive()
        await world.books.forget(tenant)
        return Result(
            scenario=self._name,
            orders=len(orders),
            injected=injected,
            verdict=verdict,
            seconds=time.monotonic() - self._started,
            ends=Counter(str(order.status) for order in orders),
        )


async def run_crowd(world: World, name: str, kinds: Collection[str], customers: int, *, kills: int) -> Result:
    """A crowd under faults of these kinds, while `kills` processes are killed in turn. The name is the seed."""
    trial = Trial(world, name, STOCK, SHARDS)
    weather = Weather(name, kinds)
    permits = asyncio.Semaphore(AT_ONCE)

    async def shop_when_there_is_room(number: int) -> None:
        async with permits:
            await go_shopping(trial.shop, trial.history, number, name, list(STOCK))

    async with trial.under(weather, Clear()):
        crowd = asyncio.gather(*map(shop_when_there_is_room, range(customers)))
        killed = await _kill_some(world, crowd, kills, Random(name))  # noqa: S311 - reproducible, not secret
        await crowd
    return await trial.result(weather.injected.total() + killed)


async def _kill_some(world: World, crowd: asyncio.Future[Any], kills: int, dice: Random) -> int:
    for killed in range(kills):
        await asyncio.wait([crowd], timeout=dice.uniform(0.3, 2))
        if crowd.done():
            return killed
        world.kill(dice.choice(world.processes))
        await world.revive()
    return kills


async def run_cancels(world: World, name: str, customers: int) -> Result:
    """Everybody changes their mind, at any moment of the order's way; every other order is paid."""
    trial = Trial(world, name, {"COMMON": STOCK["COMMON"]}, {"COMMON": 4})
    permits = asyncio.Semaphore(AT_ONCE)

    async def buy_and_cancel(number: int) -> None:
        dice = Random(f"{name}/{number}")  # noqa: S311 - reproducible, not secret
        token = Token.WORKS if number % 2 else None
        purchase = Purchase(f"c{number}", {"COMMON": 1}, is_paid=token is not None)
        customer = Customer(trial.shop, trial.history, purchase, dice, patience=PATIENCE_SECONDS)
        async with permits:
            order_id = await customer.place(token)
            await asyncio.sleep(dice.uniform(0, CANCELLED_WITHIN_SECONDS))
            if order_id is not None:
                await customer.cancel(order_id)

    async with trial.under(Clear(), Clear()):
        await asyncio.gather(*map(buy_and_cancel, range(customers)))
    result = await trial.result(customers)
    if result.ends != {"cancelled": customers}:
        result.verdict.add(Fault.OTHER, f"not all were cancelled: {dict(result.ends)}")
    return result


class Outage:
    """The payment provider cannot be reached."""

    def __init__(self) -> None:
        self.refused = 0

    async def meet(self, call: Call, forward: Forward) -> Answer:
        if call.service == PAYMENTS:
            self.refused += 1
            raise Reset
        return await forward(call)


@dataclass(frozen=True, kw_only=True)
class ErrorKind:
    """Errors of the payment provider that it saves. `share` is the share of requests that meet one.

    With `executes`, every second one of these requests was executed before its error.
    """

    answers: tuple[Answer, ...]
    share: float
    executes: bool = False


REFUSED = ErrorKind(
    answers=(
        payment_error("invalid_request_error", status=400, code="account_invalid"),
        payment_error("invalid_request_error", status=400, code="parameter_unknown"),
        payment_error("invalid_request_error", status=401),
        payment_error("invalid_request_error", status=403),
    ),
    share=1.0,
)
"""Refusals of our requests, for reasons that no customer has given."""

FAILED = ErrorKind(
    answers=(payment_error("api_error", status=500), payment_error("api_error", status=503)), share=0.4, executes=True
)
"""Server errors, few enough that the circuit breaker stays closed most of the time."""


class SavedErrors:
    """The payment provider answers with errors while it is `failing`.

    Like Stripe it saves such an answer under the request's idempotency key, except a 401, and replays it afterwards.
    """

    def __init__(self, seed: str, kind: ErrorKind) -> None:
        self._dice = Random(seed)  # noqa: S311 - reproducible, not secret
        self._kind = kind
        self._saved: dict[str, Answer] = {}
        self.failing = False
        self.met: Counter[str] = Counter()
        """Requests that met an error, by operation."""

    async def meet(self, call: Call, forward: Forward) -> Answer:
        if call.service != PAYMENTS:
            return await forward(call)
        key = call.headers.get("Idempotency-Key")
        if key in self._saved:
            return self._saved[key]
        if not self.failing or self._dice.random() >= self._kind.share:
            return await forward(call)
        self.met[call.operation] += 1
        if self._kind.executes and self._dice.random() < 0.5:
            await forward(call)
        answer = self._dice.choice(self._kind.answers)
        if key is not None and answer.status != UNAUTHORIZED:
            self._saved[key] = answer
        return answer


async def run_saved_errors(
    world: World, name: str, kind: ErrorKind, *, customers: int, seconds: float, operations: Collection[str] = ()
) -> Result:
    """In the middle of a burst of paid orders the provider answers with errors; a third of the customers cancel.

    No order is rejected for it: each is confirmed, or cancelled as its customer wants. Each of the `operations` must
    have met an error.
    """
    trial = Trial(world, name, STOCK, SHARDS)
    errors = SavedErrors(name, kind)
    wishes: Counter[str] = Counter()

    async def buy(number: int) -> None:
        dice = Random(f"{name}/{number}")  # noqa: S311 - reproducible, not secret
        await asyncio.sleep(dice.uniform(0, 4))  # the burst
        purchase = Purchase(f"c{number}", {"COMMON": 1}, is_paid=True)
        customer = Customer(trial.shop, trial.history, purchase, dice, patience=PATIENCE_SECONDS)
        order_id = await customer.place(Token.WORKS)
        cancels = number % 3 == 0 and order_id is not None
        wishes["cancelled" if cancels else "confirmed"] += 1
        if cancels and order_id is not None:
            await asyncio.sleep(dice.uniform(0, seconds / 3))  # before, during or after its payment
            await customer.cancel(order_id)

    async with trial.under(errors, errors):
        burst = asyncio.gather(*map(buy, range(customers)))
        await eventually(lambda: trial.history.count(Verb.PLACE, Outcome.OK) >= customers // 3, "a third of the burst")
        errors.failing = True
        await asyncio.sleep(seconds)
        errors.failing = False
        await burst
    result = await trial.result(errors.met.total())
    if result.ends != wishes:
        result.verdict.add(Fault.OTHER, f"{dict(wishes)} were wanted, and the ends are {dict(result.ends)}")
    for operation in operations:
        if not errors.met[operation]:
            result.verdict.add(Fault.OTHER, f"no {operation} met an error")
    return result


async def run_outage(world: World, name: str, customers: int, seconds: float) -> Result:
    """The provider goes away in the middle of a burst of paid orders; each of them waits, and is confirmed."""
    trial = Trial(world, name, STOCK, SHARDS)
    outage = Outage()

    async def buy(number: int) -> None:
        dice = Random(number)  # noqa: S311 - reproducible, not secret
        await asyncio.sleep(dice.uniform(0, 4))  # the burst
        purchase = Purchase(f"c{number}", {"COMMON": 1}, is_paid=True)
        await Customer(trial.shop, trial.history, purchase, dice, patience=PATIENCE_SECONDS).place(Token.WORKS)

    async with trial.under(Clear(), Clear()):
        burst = asyncio.gather(*map(buy, range(customers)))
        await eventually(lambda: trial.history.count(Verb.PLACE, Outcome.OK) >= customers // 2, "half of the burst")
        world.proxy.plan = outage
        await asyncio.sleep(seconds)
        await burst
    result = await trial.result(outage.refused)
    if result.ends != {"confirmed": customers}:
        result.verdict.add(Fault.OTHER, f"not all were confirmed: {dict(result.ends)}")
    return result
