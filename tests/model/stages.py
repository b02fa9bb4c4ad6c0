"""Staged runs of the simulation: situations that are rare in its seeds, and the transitions that each takes.

Each stage is a plan, rules of the world, and a life that interferes: operators, hands at the payment provider, errors
that repeat until somebody acts.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from aws_json_client import ServiceError
from devstack.payments.bank import Token
from order_processor.payments.gateway import FailureReason, PaymentDeclined, PaymentStatus, PaymentUnavailable
from order_shared.domain.order.models import Order
from order_shared.messaging.queue import OutgoingMessage
from tests.memory_dynamo import Json
from tests.simulation.faults import Fault
from tests.simulation.history import Border, Effect
from tests.simulation.life import Life, StormyWorld, live, rules_of
from tests.simulation.logbook import Logbook
from tests.simulation.plans import Event, EventKind, OrderPlan, Plan

LOOK_SECONDS = 0.02
DAY_AND_MORE = 30 * 3600.0
FOREIGN_TYPE = "com.example.unknown"


class Staged(Life):
    """Life with one more actor, who acts from the beginning of the storm."""

    async def play(self) -> None:
        acting = self._start(self.act())
        await super().play()
        acting.cancel()

    async def act(self) -> None:
        """Do nothing more than the plan says."""

    def open_orders(self) -> Iterator[Order]:
        return (order for order in self.world.store.orders.values() if order.is_open)


class PaymentsCancelledAtOnce(Staged):
    """Somebody cancels each payment at the provider as soon as its order names it."""

    async def act(self) -> None:
        cancelled: set[str] = set()
        while True:
            for order in self.open_orders():
                payment = self.world.provider.payments.get(order.payment.id or "")
                if payment and payment.status is PaymentStatus.OPEN and order.order_id not in cancelled:
                    cancelled.add(order.order_id)
                    payment.status = PaymentStatus.CANCELLED
            await asyncio.sleep(LOOK_SECONDS)


class AmountsChanged(Staged):
    """Each payment has another amount once its order's money has moved; responses of the provider are lost."""

    async def act(self) -> None:
        changed: set[str] = set()
        while True:
            for order in self.open_orders():
                payment = self.world.provider.payments.get(order.payment.id or "")
                if payment and payment.status is PaymentStatus.SUCCEEDED and order.order_id not in changed:
                    changed.add(order.order_id)
                    self.world.provider.recreate(payment, by=1)
            await asyncio.sleep(LOOK_SECONDS)


class CreationDeclined(Staged):
    """The provider declines to create payments, as Stripe does below the smallest amount."""

    async def act(self) -> None:
        async def decline(_: object) -> str:
            raise PaymentDeclined("amount_too_small")

        with mock.patch.object(self.world.provider, "create", decline):
            await asyncio.Event().wait()


class CreationRefused(Staged):
    """The provider refuses to create payments for more than a day, so that an order gets overdue."""

    rest_seconds = 2 * DAY_AND_MORE

    async def act(self) -> None:
        async def refuse(_: object) -> str:
            raise PaymentUnavailable("refused", FailureReason.REFUSED)

        with mock.patch.object(self.world.provider, "create", refuse):
            await asyncio.sleep(DAY_AND_MORE)


class PaymentsPoisoned(Staged):
    """The handling of each paid order crashes once its payment is stored, until operators have acted three times."""

    async def act(self) -> None:
        while len(self.operators.trail.operations) < 3:
            self.world.provider.poisoned.update(order.order_id for order in self.open_orders() if order.payment.id)
            await asyncio.sleep(LOOK_SECONDS)
        self.world.provider.poisoned.clear()


class TransactionsPoisoned(Staged):
    """Every transaction of a processor fails with an error that nobody expects, until operators have acted twice."""

    async def act(self) -> None:
        write = self.world.dynamo.write

        def refuse(operation: str, payload: Json, *, by: str) -> Json:
            if operation == "TransactWriteItems" and by.startswith("processor"):
                raise ServiceError("ValidationException", 400, {"message": "staged"})
            return write(operation, payload, by=by)

        with mock.patch.object(self.world.dynamo, "write", refuse):
            await self.world.until(lambda: len(self.operators.trail.operations) >= 2, within=self.rest_seconds)


class UnreadableCopies(Staged):
    """Each message of an order is sent once more with a type that no release knows. Operators redrive the letters."""

    async def act(self) -> None:
        queue, copied = self.world.queue, 0
        while True:
            if copied < len(self.world.store.orders):
                copied += 1
                order = list(self.world.store.orders.values())[copied - 1]
                body = f'{{"specversion":"1.0","type":"{FOREIGN_TYPE}","subject":"{order.order_id}"}}'
                queue.put(OutgoingMessage(body), by="operator", sweeps=False)
            queue.dead_letters.clear()
            await asyncio.sleep(1.0)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A staged run, and the transitions that it takes for certain."""

    name: str
    takes: frozenset[str]
    orders: tuple[OrderPlan, ...]
    make_life: Callable[[StormyWorld, Plan, Logbook], Life] = Staged
    rates: Mapping[Fault, float] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    causes: str | None = None
    """Pattern of the violations that the interference itself causes: no plan announces it to the checks."""

    def play(self) -> list[Effect]:
        """Return the effects of the run. Raises AssertionError if it breaks an invariant."""
        plan = replace(QUIET, seed=f"stage {self.name}", orders=self.orders, rates=self.rates, **self.plan)
        rules = replace(rules_of(plan), **self.rules)
        outcomes = live(plan, keep_effects=True, make_life=self.make_life, rules=rules)
        violations = [each for each in outcomes.violations if not (self.causes and re.search(self.causes, each))]
        assert not violations, f"{self.name}: {violations}"
        return outcomes.effects or []


QUIET = Plan(
    seed="", orders=(), events=(), rates={}, skews=(0.0,), apis=1, processors=2, stock={"TEA": (40,), "CUP": (40,)},
    operators=True, quota=120_000, table_units=1000.0, calls_per_second=100.0,
)  # fmt: skip


def orders(count: int, token: str | None = Token.WORKS, quantity: int = 1, **more: Any) -> tuple[OrderPlan, ...]:
    return tuple(
        OrderPlan(number=number, at=0.0, quantities={"TEA": quantity}, token=token, **more) for number in range(count)
    )


def mixed(count: int, quantity: int) -> tuple[OrderPlan, ...]:
    """Return orders at one time, every second of which is paid."""
    both = (None, Token.WORKS)
    return tuple(replace(order, token=both[order.number % 2]) for order in orders(count, None, quantity))


PROVIDER_ONLY = frozenset({Border.PROVIDER})


def way_to_provider(seconds: float) -> tuple[float, float, float]:
    """Return the times of the ways, with a long one to the provider."""
    return (0.004, 0.01, seconds)


def changed(number: int) -> Event:
    return Event(number=number, at=0.0, kind=EventKind.PAYMENT_CHANGED, seconds=30.0, which=number)


STAGES = (
    Stage(name="slow provider", takes=frozenset({"extend"}), orders=orders(2), plan={"ways": way_to_provider(12.0)}),
    Stage(
        name="stock in many shards", takes=frozenset({"consolidate", "reserve_with_moves", "confirm_with_moves"}),
        orders=mixed(16, 4), plan={"stock": {"TEA": (3,) * 12}, "processors": 3},
    ),
    Stage(
        name="creation declined", takes=frozenset({"create_declined", "end_refused"}), orders=orders(2),
        make_life=CreationDeclined, causes="nobody decline",
    ),
    Stage(
        name="payment cancelled before its confirmation", takes=frozenset({"confirm_ended", "drop_cancelled"}),
        orders=orders(2), make_life=PaymentsCancelledAtOnce, causes="confirmed again after it had ended",
    ),
    Stage(
        name="saved errors of an undo",
        takes=frozenset({"cancel_spoiled", "cancel_replayed", "next_undo_key"}), orders=orders(8, Token.DECLINED),
        rates={Fault.SAVED_FAILURE: 0.5, Fault.LOST_RESPONSE: 0.4},
    ),
    Stage(
        name="saved errors of refunds", takes=frozenset({"refund_spoiled", "refund_replayed", "next_undo_key"}),
        orders=orders(12, Token.REFUND_SAVES_500, cancels_after=30.0),
        rates={Fault.LOST_RESPONSE: 0.3}, plan={"borders": PROVIDER_ONLY},
    ),
    Stage(
        name="amounts changed",
        takes=frozenset({"park_paid_amount", "retry", "reject_held", "publish_parked", "refund"}),
        orders=orders(4), make_life=AmountsChanged, rates={Fault.LOST_RESPONSE: 0.6}, plan={"borders": PROVIDER_ONLY},
    ),
    Stage(
        name="amounts changed before the confirmation",
        takes=frozenset({"retrieve", "undo_differing", "cancel_payment", "end_replaced"}), orders=orders(4),
        rates={Fault.LOST_REQUEST: 0.5},
        plan={"events": tuple(changed(number) for number in range(2)), "borders": PROVIDER_ONLY},
    ),
    Stage(
        name="unexpected errors", takes=frozenset({"note_failure_of_other"}), orders=orders(8),
        rates={Fault.UNEXPECTED: 0.3, Fault.DUPLICATE: 1.0}, plan={"ways": way_to_provider(2.0)},
    ),
    Stage(
        name="payments poisoned", takes=frozenset({"retry", "reject_held", "unpark_cancelled"}), orders=orders(1),
        make_life=PaymentsPoisoned,
    ),
    Stage(
        name="transactions poisoned", takes=frozenset({"note_failure", "retry", "reject_pending"}),
        orders=orders(1, None), make_life=TransactionsPoisoned,
        causes="handler_crashed|handlings crashed|failed attempts",
    ),
    Stage(name="unreadable copies", takes=frozenset({"dead_letter"}), orders=orders(3), make_life=UnreadableCopies),
    Stage(
        name="overdue", takes=frozenset({"defer", "park_overdue"}), orders=orders(1), make_life=CreationRefused,
        plan={"processors": 1}, rules={"max_steps": 3_000_000},
    ),
)  # fmt: skip
