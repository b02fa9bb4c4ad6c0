"""Crash points: the process is killed before and after each request that it makes, and started again.

Nobody lists the points. Each script below, something that happens to an order, is first run undisturbed while the
requests of every process are recorded; what was seen is what there is to kill at. A request that a change of the code
adds is therefore killed at as well. The services know nothing of it: they are killed from outside, at the proxy.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from order_shared.clock import to_millis, utc_now
from orderctl.local.payments.bank import Token
from tests.chaos.customers import PRICE, Customer
from tests.chaos.history import Fault, Purchase
from tests.chaos.proxy import Clear, Plan
from tests.chaos.scenarios import Result, Trial
from tests.chaos.wire import RECEIVE, Answer, Call, Forward, Reset, failed_entries, json_answer, payment_error
from tests.chaos.world import API, PROCESSOR, World
from tests.waiting import eventually

ONE_OF_EACH = (API, PROCESSOR)
STOCK = {"PLENTY": 100, "SPLIT": 2, "SINGLE": 1}
SHARDS = {"SPLIT": 2}
TRIES = 3
"""How often a script is run until it passes the point: a request may fall together with another, or not be needed."""

COUNTS = {"GetQueueUrl", "GetQueueAttributes"}
"""What a processor asks once a minute, wherever it is then."""

SETTINGS = {"ORDER_SWEEP_BASE_SECONDS": "2"}
CONFIRM = "POST /v1/payment_intents/{id}/confirm"
HELD_BACK_SECONDS = 30.0
LATER_THAN_ANY = 2**53


class Stage:
    """What a script works with: one customer in a world with one process of each kind."""

    def __init__(self, trial: Trial, begin: Callable[[], None]) -> None:
        """`begin` is called where the scene proper begins; what went before is another scene's."""
        self.world = trial.world
        self.begin = begin
        self._trial = trial
        self._customer: Customer | None = None

    async def place(self, quantities: dict[str, int], token: Token | None = None) -> str:
        if self._customer is None:
            purchase = Purchase("ada", quantities, is_paid=token is not None)
            dice = Random(0)  # noqa: S311 - there is one API to choose
            self._customer = Customer(self._trial.shop, self._trial.history, purchase, dice, patient=True)
        order_id = await self._customer.place(token, reference="ref-1")
        assert order_id is not None, "a patient customer was given no answer"
        return order_id

    async def cancel(self, order_id: str) -> None:
        assert self._customer is not None
        await self._customer.cancel(order_id)

    async def is_being_paid(self) -> None:
        async def has_payment() -> bool:
            return any(order.payment_id for order in await self.world.books.orders(self._trial.shop.tenant))

        await eventually(has_payment, "an order with a payment", patience=60, pause=0.05)

    async def quiet(self) -> None:
        await self._trial.become_quiet()

    async def create_payment(self, order_id: str, *, amount: int) -> str:
        """What a worker of the last release has created under its key: a payment of `amount`; return its id."""
        form = {"amount": str(amount), "currency": "eur", "metadata[order_id]": order_id}
        created = await self.world.books.ask_provider("/v1/payment_intents", form, f"{order_id}:create")
        return str(created["id"])

    async def note_payment(self, order_id: str, payment_id: str) -> None:
        """As a worker that has crashed since left it: reserved, with this payment, its lease over."""
        books, now = self.world.books, utc_now()
        order = await books.find(order_id)
        held = await books.repository.move(order, order.reserve(now, owner="crashed", lease_until=now))
        await books.repository.move(held, held.with_payment(payment_id))

    async def cancel_payment(self, payment_id: str) -> None:
        """By hand, at the provider."""
        await self.world.books.ask_provider(f"/v1/payment_intents/{payment_id}/cancel", {}, f"{payment_id}:by-hand")

    async def publish_after_the_lease(self, order_id: str) -> None:
        """The order's message comes once more when its owner's lease is over, or the order has ended."""

        async def is_over() -> bool:
            order = await self.world.books.find(order_id)
            return not order.is_open or (order.lease_until or LATER_THAN_ANY) < to_millis(utc_now())

        await eventually(is_over, "the end of the lease", patience=60, pause=0.05)
        await self.world.books.publish(await self.world.books.find(order_id))


Script = Callable[[Stage], Awaitable[None]]


async def free_of_charge(stage: Stage) -> None:
    stage.begin()
    await stage.place({"PLENTY": 1})


async def asked_again(stage: Stage) -> None:
    await stage.place({"PLENTY": 1})
    await stage.quiet()
    stage.begin()
    await stage.place({"PLENTY": 1})


async def paid(stage: Stage) -> None:
    stage.begin()
    await stage.place({"PLENTY": 2}, Token.WORKS)


async def declined(stage: Stage) -> None:
    stage.begin()
    await stage.place({"PLENTY": 1}, Token.DECLINED)


async def provider_fails_once(stage: Stage) -> None:
    stage.begin()
    await stage.place({"PLENTY": 1}, Token.FAILS_ONCE)


async def stock_brought_together(stage: Stage) -> None:
    stage.begin()
    await stage.place({"SPLIT": 2})


async def out_of_stock(stage: Stage) -> None:
    stage.begin()
    await stage.place({"SINGLE": 2})


async def cancelled_while_pending(stage: Stage) -> None:
    stage.world.pause(PROCESSOR)
    order_id = await stage.place({"PLENTY": 1})
    stage.begin()
    await stage.cancel(order_id)
    stage.world.resume(PROCESSOR)


async def cancelled_while_reserved(stage: Stage) -> None:
    stage.begin()
    order_id = await stage.place({"PLENTY": 1}, Token.SLOW)
    await stage.is_being_paid()
    await stage.cancel(order_id)


async def cancelled_when_confirmed(stage: Stage) -> None:
    order_id = await stage.place({"PLENTY": 1})
    await stage.quiet()
    stage.begin()
    await stage.cancel(order_id)


async def refunded(stage: Stage) -> None:
    order_id = await stage.place({"PLENTY": 1}, Token.WORKS)
    await stage.quiet()
    stage.begin()
    await stage.cancel(order_id)


async def provider_saves_a_500(stage: Stage) -> None:
    stage.begin()
    await stage.place({"PLENTY": 1}, Token.SAVES_500)


async def payment_of_another_amount(stage: Stage) -> None:
    """As if a release that counts the currency in other units had created it."""
    stage.world.pause(PROCESSOR)
    order_id = await stage.place({"PLENTY": 1}, Token.WORKS)
    await stage.note_payment(order_id, await stage.create_payment(order_id, amount=PRICE * 100))
    stage.begin()
    stage.world.resume(PROCESSOR)


async def payment_of_another_amount_not_noted(stage: Stage) -> None:
    stage.world.pause(PROCESSOR)
    order_id = await stage.place({"PLENTY": 1}, Token.WORKS)
    await stage.create_payment(order_id, amount=PRICE * 100)
    stage.begin()
    stage.world.resume(PROCESSOR)


async def payment_cancelled_by_hand(stage: Stage) -> None:
    stage.world.pause(PROCESSOR)
    order_id = await stage.place({"PLENTY": 1}, Token.WORKS)
    payment_id = await stage.create_payment(order_id, amount=PRICE)
    await stage.note_payment(order_id, payment_id)
    await stage.cancel_payment(payment_id)
    stage.begin()
    stage.world.resume(PROCESSOR)


async def declined_beside_a_success(stage: Stage) -> None:
    """Played in LateDecline: the first worker's lease ends, the next one confirms, then the first one is declined."""
    stage.begin()
    order_id = await stage.place({"PLENTY": 1}, Token.WORKS)
    await stage.publish_after_the_lease(order_id)


class LateDecline:
    """The first confirmation of each payment is held back until another one has succeeded, and is then declined."""

    def __init__(self) -> None:
        self._succeeded: dict[str, asyncio.Event] = {}

    async def meet(self, call: Call, forward: Forward) -> Answer:
        if call.operation != CONFIRM:
            return await forward(call)
        succeeded = self._succeeded.get(call.path)
        if succeeded is None:
            succeeded = self._succeeded[call.path] = asyncio.Event()
            try:
                async with asyncio.timeout(HELD_BACK_SECONDS):
                    await succeeded.wait()
            except TimeoutError:
                raise Reset from None
            return payment_error("card_error", status=402, code="insufficient_funds")
        answer = await forward(call)
        succeeded.set()
        return answer


class LostSends:
    """What the API sends to the queue is lost: only a sweep can find the order."""

    async def meet(self, call: Call, forward: Forward) -> Answer:
        if call.caller == API and call.operation == "SendMessageBatch":
            return json_answer({"Failed": failed_entries(call.content["Entries"])})
        return await forward(call)


CLEAR = Clear()


@dataclass(frozen=True)
class Scene:
    """A script, the processes whose requests are killed at in it, and the weather it is played in."""

    script: Script
    killed: tuple[str, ...] = (PROCESSOR,)
    weather: Plan = CLEAR

    @property
    def name(self) -> str:
        lost = ", message lost" if isinstance(self.weather, LostSends) else ""
        return "killed, " + self.script.__name__.replace("_", " ") + lost


SCENES = (
    Scene(free_of_charge, (API, PROCESSOR)),
    Scene(asked_again, (API,)),
    Scene(paid),
    Scene(declined),
    Scene(provider_fails_once),
    Scene(provider_saves_a_500),
    Scene(payment_of_another_amount),
    Scene(payment_of_another_amount_not_noted),
    Scene(payment_cancelled_by_hand),
    Scene(declined_beside_a_success, weather=LateDecline()),
    Scene(stock_brought_together),
    Scene(out_of_stock),
    Scene(cancelled_while_pending, (API, PROCESSOR)),
    Scene(cancelled_while_reserved),
    Scene(cancelled_when_confirmed, (API, PROCESSOR)),
    Scene(refunded),
    Scene(paid, weather=LostSends()),
    Scene(refunded, weather=LostSends()),
)


@dataclass(frozen=True)
class Step:
    """The nth (from 0) request of an operation that a process makes in a scene, and how it was answered."""

    process: str
    operation: str
    ordinal: int
    status: int


@dataclass(frozen=True)
class CrashPoint:
    """Before or after the nth (from 0) request of an operation that a process makes in a scene."""

    scene: Scene
    process: str
    operation: str
    ordinal: int
    after: bool

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{self.scene.name}: {self.process} {when} {self.operation} {self.ordinal + 1}"


def has_effect(call: Call, answer: Answer) -> bool:
    """False for a count, a poll or a look that found nothing: how many of them there are, time alone decides."""
    if call.operation in COUNTS:
        return False
    if call.operation == RECEIVE:
        return bool(answer.content.get("Messages"))
    if call.operation == "Query":
        return bool(answer.content.get("Items"))
    return True


class Director:
    """The plan of a lane: counts the requests that a process makes once the scene has begun, and kills it at one."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._weather: Plan = CLEAR
        self._point: CrashPoint | None = None
        self._has_begun = False
        self.has_polled = False
        self.seen: Counter[tuple[str, str]] = Counter()
        self.begun: Counter[tuple[str, str]] = Counter()
        self.steps: list[Step] = []
        self.killed = asyncio.Event()

    def prepare(self, scene: Scene, point: CrashPoint | None = None) -> None:
        self._weather = scene.weather
        self._point = point
        self._has_begun = False
        self.seen = Counter()
        self.begun = Counter()
        self.steps = []
        self.killed = asyncio.Event()

    def begin(self) -> None:
        self._has_begun = True

    async def meet(self, call: Call, forward: Forward) -> Answer:
        self.has_polled |= call.operation == RECEIVE
        if self._is_at_point(call, after=False):
            self._strike(call.caller)
        self.begun[call.caller, call.operation] += self._has_begun
        answer = await self._weather.meet(call, forward)
        if self._has_begun and has_effect(call, answer):
            if self._is_at_point(call, after=True):
                self._strike(call.caller)
            ordinal = self.seen[call.caller, call.operation]
            self.seen[call.caller, call.operation] += 1
            self.steps.append(Step(call.caller, call.operation, ordinal, answer.status))
        return answer

    def _is_at_point(self, call: Call, *, after: bool) -> bool:
        point = self._point
        if point is None or not self._has_begun or self.killed.is_set():
            return False
        if (call.caller, call.operation, after) != (point.process, point.operation, point.after):
            return False
        if after:
            return self.seen[call.caller, call.operation] == point.ordinal
        # Of looks that may find nothing only those are counted that found something. Of all else what has begun counts:
        # two workers' requests may be under way at once. A poll that began before the scene may have brought its
        # message: then it is before the next one.
        passed = self.seen if call.operation in {RECEIVE, "Query"} else self.begun
        return passed[call.caller, call.operation] >= point.ordinal

    def _strike(self, process: str) -> None:
        self.killed.set()
        self._kill(process)
        raise Reset


def find_points(recorded: Mapping[Scene, Sequence[Step]]) -> list[CrashPoint]:
    """Before and after every request; once, if two scenes have come the same way so far."""
    points: dict[tuple[object, ...], CrashPoint] = {}
    for scene, steps in recorded.items():
        for process in scene.killed:
            way: tuple[Step, ...] = ()
            for step in (step for step in steps if step.process == process):
                for after in (False, True):
                    point = CrashPoint(scene, process, step.operation, step.ordinal, after)
                    reached = (*way, step) if after else (*way, (step.operation, step.ordinal))
                    points.setdefault((process, type(scene.weather), reached), point)
                way = (*way, step)
    return list(points.values())


class Lane:
    """A world with one process of each kind, in which scenes are played one after another."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._director = Director(world.kill)

    async def record(self, scene: Scene) -> list[Step]:
        """Plays the scene undisturbed; the requests of the processes that are killed in it, in their order."""
        result = await self._play(scene, None)
        if not result.verdict.holds:
            raise AssertionError(f"undisturbed, {scene.name} goes wrong: {result.verdict.details}")
        return [step for step in self._director.steps if step.process in scene.killed]

    async def run(self, point: CrashPoint) -> Result:
        """Plays the scene, kills at the point and starts the process again; the rest is the platform's."""
        result = await self._play(point.scene, point)
        for _ in range(TRIES - 1):
            if result.injected or not result.verdict.holds:
                return result
            result = await self._play(point.scene, point)
        if not result.injected:
            result.verdict.add(Fault.OTHER, f"in {TRIES} runs the point was never reached")
        return result

    async def _play(self, scene: Scene, point: CrashPoint | None) -> Result:
        """Until all that comes of it is done: the last requests are made when the order has long ended."""
        director = self._director
        trial = Trial(self._world, str(point or scene.name), STOCK, SHARDS)
        director.prepare(scene, point)
        failure: str | None = None
        async with trial.under(director, director):
            await eventually(lambda: director.has_polled, "a poll under the director's eyes")
            reviving = asyncio.create_task(self._revive())
            try:
                await scene.script(Stage(trial, director.begin))
            except AssertionError as error:
                failure = str(error)
            await trial.become_quiet()
            if not director.killed.is_set():
                reviving.cancel()
            await asyncio.wait([reviving])
        result = await trial.result(int(director.killed.is_set()))
        if failure is not None:
            result.verdict.add(Fault.OTHER, failure)
        return result

    async def _revive(self) -> None:
        await self._director.killed.wait()
        await self._world.revive()
