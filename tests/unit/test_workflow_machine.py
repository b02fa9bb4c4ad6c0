"""The whole workflow as a state machine, over the fakes and a clock of our own.

Hypothesis interleaves what may happen to orders: they are placed, told of once, twice, late or never; a worker is
killed before or after any of its writes or payments; the provider is down, or refuses our requests; a payment is
cancelled by hand, or has another amount; customers cancel; time passes; clocks disagree. Whatever the order of
events: stock and money agree with the orders at every step, and once the weather clears, every order ends.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from order_api.auth import Identity
from order_api.cursors import CursorCodec
from order_api.order.exceptions import NotCancellable
from order_api.order.service import OrderService, PlaceOrder
from order_api.product.catalogue import Catalogue
from order_processor.handlers import make_handler
from order_processor.metrics import ProcessorMetrics
from order_processor.order.flows import FlowContext
from order_processor.payments.gateway import PaymentStatus
from order_processor.schedule import SweepSchedule
from order_processor.sweeper import Sweeper
from order_shared.domain.clock import UniqueClock, to_micros
from order_shared.domain.errors import PlatformError
from order_shared.domain.order.events import Event
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.domain.order.payments import PaymentCall
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.queue import ReceivedMessage
from tests.factories import NOON, make_product, make_stock_record
from tests.fakes import HandClock, MemoryInventoryRepository, MemoryOrderRepository, MemoryQueue, MemoryStore
from tests.fakes_payments import FakePayment, MemoryGateway

if TYPE_CHECKING:
    from order_shared.messaging.publisher import Publisher
    from order_shared.storage.inventory import InventoryRepository
    from order_shared.storage.orders import OrderRepository

ADA = Customer(tenant="acme", id="ada")
BASE = timedelta(seconds=15)
LEASE = timedelta(seconds=60)
SHARDS = 3
INITIAL_STOCK = 40
TOKENS = [None, "pm_card_visa", "pm_card_chargeDeclined", "pm_sandbox_fails_once", "pm_sandbox_saves_500"]


class Crashed(BaseException):
    """The process was killed here. No handler catches it, as none would be there any more."""


class CrashPlan:
    """Kills at the call that the countdown reaches: before it, or after its effect and before its answer."""

    def __init__(self) -> None:
        self._left = -1
        self._after = False

    def arm(self, calls: int, *, after: bool) -> None:
        self._left, self._after = calls, after

    def disarm(self) -> None:
        self._left = -1

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        now = self._left == 0
        self._left -= 1
        if now and not self._after:
            raise Crashed
        result = await call()
        if now:
            raise Crashed
        return result


class Mortal:
    """Every method of the adapter, as a point at which the process may be killed."""

    def __init__(self, adapter: object, plan: CrashPlan) -> None:
        self._adapter = adapter
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._adapter, name)

        async def mortal(*arguments: Any, **options: Any) -> Any:
            return await self._plan.run(lambda: method(*arguments, **options))

        return mortal


class Mailbag:
    """In place of publisher and queue: what was said, until it is told or lost."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.down = False

    def offer(self, event: Event) -> None:
        if not self.down:
            self.bodies.append(event.to_json())

    async def send(self, event: Event) -> bool:
        self.offer(event)
        return not self.down


class WorkflowMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = HandClock(NOON)
        self.store = MemoryStore(self.clock)
        self.orders = MemoryOrderRepository(self.store)
        self.inventory = MemoryInventoryRepository(self.store)
        self.payments = MemoryGateway()
        self.mail = Mailbag()
        self.plan = CrashPlan()
        self.skew = timedelta()
        self.seen: dict[str, tuple[int, int]] = {}
        publisher = cast("Publisher", self.mail)
        self.service = OrderService(
            self.orders,
            Catalogue(self.inventory),
            publisher,
            CursorCodec(["a-secret-for-tests"]),
            clock=UniqueClock(lambda: to_micros(self.clock())),
            sweep_base=BASE,
            cancel_window=timedelta(hours=24),
            accept_deadline=timedelta(seconds=30),
            on_accepted=lambda: None,
            on_ended=lambda *_: None,
        )
        work = FlowContext(
            cast("OrderRepository", Mortal(self.orders, self.plan)),
            cast("InventoryRepository", Mortal(self.inventory, self.plan)),
            cast("MemoryGateway", Mortal(self.payments, self.plan)),
            lambda: self.clock() + self.skew,
            LEASE,
            SweepSchedule(BASE),
            lambda *_: None,
            lambda _: None,
        )
        self.handle = make_handler(work)
        self.sweeper = Sweeper(
            cast("OrderRepository", Mortal(self.orders, self.plan)),
            publisher,
            ProcessorMetrics(),
            clock=self.clock,
            backlog=Backlog(),
            depth=MemoryQueue().depth,
            schedule=SweepSchedule(BASE),
            interval=timedelta(seconds=1),
        )

    @initialize()
    def open_the_shop(self) -> None:
        self.run(self.inventory.put(make_product(stock_shards=SHARDS)))
        self.run(self.inventory.adjust("acme", "TEA", INITIAL_STOCK, make_stock_record("acme", "TEA")))
        for token in TOKENS:
            self.place(5, token, said=True)

    @rule(quantity=st.integers(1, 12), token=st.sampled_from(TOKENS), said=st.booleans())
    def place(self, quantity: int, token: str | None, *, said: bool) -> None:
        self.mail.down = not said
        self.run(
            self.service.place(
                PlaceOrder(customer=ADA, quantities={"TEA": quantity}, payment_token=token), uuid.uuid4().hex
            )
        )
        self.mail.down = False

    @rule(which=st.integers(0, 50), keep=st.booleans(), first=st.booleans())
    def tell(self, which: int, *, keep: bool, first: bool) -> None:
        """Any message, in any order; one that is kept is told again another time."""
        if self.mail.bodies:
            index = which % len(self.mail.bodies)
            body = self.mail.bodies[index] if keep else self.mail.bodies.pop(index)
            self.deliver(body, receive_count=1 if first else 2)

    @rule()
    def tell_all(self) -> None:
        bodies, self.mail.bodies = self.mail.bodies, []
        for body in bodies:
            self.deliver(body, receive_count=1)

    @rule(which=st.integers(0, 50), calls=st.integers(0, 8), after=st.booleans())
    def tell_and_kill(self, which: int, calls: int, *, after: bool) -> None:
        if self.mail.bodies:
            self.plan.arm(calls, after=after)
            self.deliver(self.mail.bodies[which % len(self.mail.bodies)], receive_count=2)
            self.plan.disarm()

    @rule(which=st.integers(0, 50))
    def lose(self, which: int) -> None:
        if self.mail.bodies:
            self.mail.bodies.pop(which % len(self.mail.bodies))

    @rule(which=st.integers(0, 50))
    def cancel(self, which: int) -> None:
        if self.store.orders:
            order = list(self.store.orders.values())[which % len(self.store.orders)]
            try:
                self.run(self.service.cancel(Identity(ADA, frozenset()), order.order_id, None))
            except NotCancellable:
                assert order.status is OrderStatus.REJECTED

    @rule(seconds=st.sampled_from([1, 14, 16, 61, 70, 600]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule(seconds=st.sampled_from([-90, -5, 0, 5, 90]))
    def let_the_workers_clock_drift(self, seconds: int) -> None:
        self.skew = timedelta(seconds=seconds)

    @rule(down=st.booleans())
    def sweep(self, *, down: bool) -> None:
        self.mail.down = down
        self.run(self.sweeper.sweep())
        self.mail.down = False

    @rule(calls=st.integers(0, 40), after=st.booleans())
    def sweep_and_kill(self, calls: int, *, after: bool) -> None:
        self.plan.arm(calls, after=after)
        self.run(self.sweeper.sweep())
        self.plan.disarm()

    @rule(down=st.booleans())
    def break_or_mend_the_provider(self, *, down: bool) -> None:
        self.payments.unavailable = down

    @rule(call=st.sampled_from(PaymentCall), refused=st.booleans())
    def refuse_our_requests_or_accept_them(self, call: PaymentCall, *, refused: bool) -> None:
        """Each refusal is saved under the idempotency key that it met."""
        (self.payments.refusing.add if refused else self.payments.refusing.discard)(call)

    @rule(which=st.integers(0, 50))
    def cancel_a_payment_by_hand(self, which: int) -> None:
        if payments := self.open_payments():
            payments[which % len(payments)].status = PaymentStatus.CANCELLED

    @rule(which=st.integers(0, 50))
    def change_a_payments_amount(self, which: int) -> None:
        """As if a release that counts the currency in other units had created it, under its idempotency key."""
        if payments := self.open_payments():
            self.payments.recreate(payments[which % len(payments)], by=1)

    def open_payments(self) -> list[FakePayment]:
        return [payment for payment in self.payments.payments.values() if payment.status is PaymentStatus.OPEN]

    @invariant()
    def stock_agrees_with_the_orders(self) -> None:
        held = sum(line.quantity for order in self.all_orders() if order.holds_stock for line in order.lines)
        stock = self.store.stock("acme", "TEA") or [INITIAL_STOCK]
        assert min(stock) >= 0
        assert sum(stock) + held == INITIAL_STOCK

    @invariant()
    def money_agrees_with_what_has_ended(self) -> None:
        for order in self.all_orders():
            charged = self.payments.charged.get(order.order_id, 0)
            kept = charged - self.payments.refunded.get(order.order_id, 0)
            assert charged in {0, order.total}, "charged twice"
            if not order.is_open:
                confirmed = order.status is OrderStatus.CONFIRMED and order.payment.id is not None
                assert kept == (order.total if confirmed else 0)

    @invariant()
    def versions_and_fences_only_grow(self) -> None:
        for order in self.all_orders():
            version, fence = self.seen.get(order.order_id, (0, 0))
            assert (order.version >= version, order.fence >= fence) == (True, True)
            self.seen[order.order_id] = (order.version, order.fence)

    def teardown(self) -> None:
        """The weather clears: everything works again, and nobody helps."""
        self.plan.disarm()
        self.payments.unavailable = False
        self.payments.refusing.clear()
        self.skew = timedelta()
        for _ in range(20):
            if not any(order.is_open for order in self.all_orders()):
                break
            self.clock.advance(LEASE + timedelta(minutes=16))
            self.run(self.sweeper.sweep())
            while self.mail.bodies:
                self.deliver(self.mail.bodies.pop(), receive_count=2)
        assert [order for order in self.all_orders() if order.is_open] == []
        asked = [order for order in self.all_orders() if order.cancel_requested_at is not None]
        assert {order.status for order in asked} <= {OrderStatus.CANCELLED}
        self.stock_agrees_with_the_orders()
        self.money_agrees_with_what_has_ended()
        self.runner.close()

    def all_orders(self) -> list[Order]:
        return list(self.store.orders.values())

    def deliver(self, body: str, *, receive_count: int) -> None:
        message = ReceivedMessage(
            message_id=uuid.uuid4().hex, receipt="receipt", body=body, receive_count=receive_count, sent_at=0
        )
        try:
            self.run(self.handle(Delivery(message, held_until=time.monotonic() + 3600)))
        except PlatformError:
            self.mail.bodies.append(body)  # it becomes visible again

    def run(self, work: Awaitable[Any]) -> Any:
        async def until_killed() -> Any:
            try:
                return await work
            except Crashed:
                return None

        return self.runner.run(until_killed())


TestWorkflow = WorkflowMachine.TestCase
TestWorkflow.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
