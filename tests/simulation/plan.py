"""Plan of a run: what customers do, which faults there are, and which machines fail. It follows from the run's token.

A token is a seed, and what is left out of its plan: `17` or `17~o3~e0~f:SLOW~n12`, which is seed 17 without order 3,
event 0 and slow requests, and with no fault after the first twelve.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from devstack.payments.bank import Token
from order_shared.domain.order.payments import PaymentCall
from tests.simulation.faults import Fault
from tests.simulation.provider import Outage

SKUS = ("TEA", "CUP")
STORM_SECONDS = 60.0
"""Time in which customers come, and everything fails that may. Then all is well again."""
SKEW_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class OrderPlan:
    """What one customer does. Times are in seconds; `cancels_after` is counted from the acknowledgement."""

    number: int
    at: float
    quantities: Mapping[str, int]
    token: str | None = None
    reference: str | None = None
    posts: int = 1
    """Requests with the same key at the same time."""
    patient: bool = True
    """Ask again until there is an answer."""
    cancels_after: float | None = None
    key_used_before: bool = False
    """The customer has used the idempotency key two days ago, and its record is still stored."""

    @property
    def customer(self) -> str:
        return f"customer-{self.number}"


class EventKind(StrEnum):
    KILL_API = "API killed"
    KILL_PROCESSOR = "processor killed"
    STOP_PROCESSOR = "processor drained"
    FREEZE_API = "API frozen"
    FREEZE_PROCESSOR = "processor frozen"
    QUEUE_DOWN = "queue down"
    TABLES_DOWN = "tables down"
    PROVIDER_DOWN = "provider down"
    REFUSED_CALLS = "provider refuses a call"
    PAYMENT_CANCELLED = "payment cancelled by hand"
    PAYMENT_CHANGED = "payment has another amount"
    POISON = "handling of an order crashes"
    STOCK_SHARDS_RAISED = "stock shards raised"
    RESTOCK = "stock added and removed"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens to all. `which` chooses among its targets; `seconds` is how long it lasts."""

    number: int
    at: float
    kind: EventKind
    seconds: float
    which: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: str
    orders: tuple[OrderPlan, ...]
    events: tuple[Event, ...]
    rates: Mapping[Fault, float]
    skews: tuple[float, ...]
    """Seconds by which the clocks of machines are ahead, in turn."""
    apis: int
    processors: int
    stock: Mapping[str, tuple[int, ...]]
    """Units of each stock shard."""
    operators: bool
    """Operators retry or reject parked orders in the storm too."""
    quota: int
    table_units: float
    calls_per_second: float
    fault_limit: int | None = None
    removed: tuple[str, ...] = field(default=())

    @property
    def token(self) -> str:
        return "~".join((self.seed, *self.removed))

    def parts(self) -> Iterator[str]:
        """Return what may be left out, by name."""
        if self.processors > 1:
            yield "p"
        if self.apis > 1:
            yield "a"
        if any(self.skews):
            yield "s"
        yield from (f"e{event.number}" for event in self.events)
        yield from (f"f:{fault.name}" for fault in self.rates)
        yield from (f"o{order.number}" for order in self.orders)

    def without(self, part: str) -> "Plan":
        """Return the plan without one part. Raises ValueError for an unknown one."""
        removed = (*(each for each in self.removed if not (part[0] == "n" == each[0])), part)
        kind, name = part[0], part[1:]
        if kind == "o":
            return replace(
                self, removed=removed, orders=tuple(each for each in self.orders if each.number != int(name))
            )
        if kind == "e":
            return replace(
                self, removed=removed, events=tuple(each for each in self.events if each.number != int(name))
            )
        if kind == "f":
            rates = {fault: rate for fault, rate in self.rates.items() if fault.name != name[1:]}
            return replace(self, removed=removed, rates=rates)
        if kind == "n":
            return replace(self, removed=removed, fault_limit=int(name))
        if kind in "aps":
            smaller = {"a": {"apis": 1}, "p": {"processors": 1}, "s": {"skews": (0.0,)}}
            return replace(self, removed=removed, **smaller[kind])  # type: ignore[arg-type]
        raise ValueError(f"{part!r} is no part of a plan")


def plan_of(token: str) -> Plan:
    """Return the plan of a token. Raises ValueError."""
    seed, *removed = token.split("~")
    plan = _drawn(seed)
    for part in removed:
        plan = plan.without(part)
    return plan


TOKENS = (
    None,
    None,
    Token.WORKS,
    Token.WORKS,
    Token.WORKS,
    Token.WORKS,
    Token.DECLINED,
    Token.FAILS_ONCE,
    Token.SAVES_500,
)
RATES: Mapping[Fault, float] = {
    Fault.LOST_REQUEST: 0.05,
    Fault.LOST_RESPONSE: 0.08,
    Fault.LATE: 0.05,
    Fault.SLOW: 0.08,
    Fault.CONFLICT: 0.15,
    Fault.THROTTLED: 0.08,
    Fault.SERVER_ERROR: 0.05,
    Fault.UNEXPECTED: 0.02,
    Fault.REFUSED_ENTRY: 0.2,
    Fault.DUPLICATE: 0.4,
    Fault.UNDELETED: 0.3,
    Fault.EXPIRED: 0.3,
    Fault.SAVED_FAILURE: 0.1,
}
"""Highest rate of each kind."""


def _drawn(seed: str) -> Plan:
    """Draw a plan. Each run has some kinds of fault only, so that one kind does not hide the effect of another."""
    dice = Random(f"{seed}/plan")  # noqa: S311 - reproducible, not secret
    kinds = [kind for kind in Fault if dice.random() < 0.35]
    shards = dice.choice((1, 1, 2, 3))
    scarce = dice.random() < 0.3
    return Plan(
        seed=seed,
        orders=tuple(_order(dice, number) for number in range(dice.randint(3, 10))),
        events=tuple(_event(dice, number) for number in range(dice.randint(0, 6))),
        rates={kind: RATES[kind] * dice.choice((0.3, 1.0)) for kind in kinds},
        skews=tuple(dice.choice((0.0, 0.0, dice.uniform(-SKEW_SECONDS, SKEW_SECONDS))) for _ in range(6)),
        apis=dice.randint(1, 2),
        processors=dice.choice((1, 2, 2, 2, 3)),
        stock={sku: tuple(dice.randint(0, 5) if scarce else 40 for _ in range(shards)) for sku in SKUS},
        operators=dice.random() < 0.5,
        quota=dice.choice((120_000, 120_000, 120_000, 3)),
        table_units=dice.choice((1000.0, 1000.0, 1000.0, 20.0)),
        calls_per_second=dice.choice((100.0, 100.0, 5.0)),
    )


def _order(dice: Random, number: int) -> OrderPlan:
    skus = dice.sample(SKUS, dice.choice((1, 1, 2)))
    return OrderPlan(
        number=number,
        at=dice.choice((0.0, dice.uniform(0.0, STORM_SECONDS / 2))),
        quantities={sku: dice.randint(1, 4) for sku in skus},
        token=dice.choice(TOKENS),
        reference=f"PO-{number}" if dice.random() < 0.3 else None,
        posts=dice.choice((1, 1, 1, 2)),
        patient=dice.random() < 0.85,
        cancels_after=_cancel(dice) if dice.random() < 0.4 else None,
        key_used_before=dice.random() < 0.1,
    )


def _cancel(dice: Random) -> float:
    """Return a time at any point of an order's way."""
    return dice.choice((0.0, dice.uniform(0.0, 0.5), dice.uniform(0.0, 3.0), dice.uniform(0.0, STORM_SECONDS)))


def _event(dice: Random, number: int) -> Event:
    return Event(
        number=number,
        at=dice.uniform(0.0, STORM_SECONDS),
        kind=dice.choice(tuple(EventKind)),
        seconds=dice.choice((dice.uniform(0.1, 5.0), dice.uniform(5.0, 30.0), dice.uniform(30.0, 90.0))),
        which=dice.randrange(1000),
    )


OUTAGES = tuple(Outage)
CALLS = tuple(PaymentCall)
