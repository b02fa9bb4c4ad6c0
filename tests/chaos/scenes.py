"""Scenes: what happens to an order while a process is killed, and in which weather."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from devstack.lab.history import Purchase
from devstack.lab.shoppers import PRICE, Customer
from devstack.payments.bank import Token
from order_shared.domain.clock import to_millis, utc_now
from tests.chaos.customers import PATIENCE_SECONDS
from tests.chaos.proxy import Clear, Plan
from tests.chaos.scenarios import Trial
from tests.chaos.wire import Answer, Call, Forward, Reset, failed_entries, json_answer, payment_error
from tests.chaos.world import API, PROCESSOR
from tests.waiting import eventually

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
            self._customer = Customer(self._trial.shop, self._trial.history, purchase, dice, patience=PATIENCE_SECONDS)
        order_id = await self._customer.place(token, reference="ref-1")
        assert order_id is not None, "a patient customer was given no answer"
        return order_id

    async def cancel(self, order_id: str) -> None:
        assert self._customer is not None
        await self._customer.cancel(order_id)

    async def is_being_paid(self) -> None:
        async def has_payment() -> bool:
            return any(order.payment.id for order in await self.world.books.orders(self._trial.shop.tenant))

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
        self.world.recorder.overlook(order_id)

    async def cancel_payment(self, payment_id: str) -> None:
        """By hand, at the provider."""
        await self.world.books.ask_provider(f"/v1/payment_intents/{payment_id}/cancel", {}, f"{payment_id}:by-hand")

    async def publish_after_the_lease(self, order_id: str) -> None:
        """The order's message comes once more when its owner's lease is over, or the order has ended."""

        async def is_over() -> bool:
            order = await self.world.books.find(order_id)
            until = order.lease.until if order.lease else None
            return not order.is_open or (until or LATER_THAN_ANY) < to_millis(utc_now())

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
