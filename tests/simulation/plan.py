"""Draw the plan of a run from its token.

A token is a seed, and what is left out of its plan: `17` or `17~o3~e0~f:SLOW~n12`, which is seed 17 without order 3,
event 0 and slow requests, and with no fault after the first twelve.
"""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from zlib import crc32

from devstack.payments.bank import Token
from tests.simulation.events.life import OF_LOG
from tests.simulation.events.plans import with_log
from tests.simulation.faults import Fault
from tests.simulation.plans import PROBES, SKEW_SECONDS, SKUS, STORM_SECONDS, Event, EventKind, OrderPlan, Plan, Theme
from tests.simulation.themes import THEMES, TURNS


def plan_of(token: str) -> Plan:
    """Return the plan of a token. Raises ValueError."""
    seed, *removed = token.split("~")
    plan = with_log(_drawn(seed))
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
    Fault.UNREADABLE: 0.02,
    Fault.REFUSED_ENTRY: 0.2,
    Fault.REFUSED_DELETION: 0.3,
    Fault.DUPLICATE: 0.4,
    Fault.UNDELETED: 0.3,
    Fault.EXPIRED: 0.3,
    Fault.SAVED_FAILURE: 0.1,
}
"""Highest rate of each kind."""

OF_THEMES = OF_LOG | frozenset(
    {
        EventKind.QUEUE_HANGS,
        EventKind.QUEUE_SILENT,
        EventKind.SENDS_SILENT,
        EventKind.PAYMENT_TAKEN,
        EventKind.PAYMENT_WRITES_LATE,
    }
)
"""Kinds of event that only themes have, and those of the log, which has its own dice."""
OF_STORMS = tuple(kind for kind in EventKind if kind not in OF_THEMES)


def _drawn(seed: str) -> Plan:
    """Draw a plan. Each run has some kinds of fault only, so that one kind does not hide the effect of another.

    The themes take turns: one of three seeds is a storm.
    """
    dice = Random(f"{seed}/plan")  # noqa: S311 - reproducible, not secret
    kinds = [kind for kind in Fault if dice.random() < 0.35]
    shards = dice.choice((1, 1, 2, 3))
    scarce = dice.random() < 0.3
    plan = Plan(
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
        settings={"concurrency": dice.choice((4, 4, 24))},
    )
    number = int(seed) if seed.isdecimal() else crc32(seed.encode())
    turn, position = divmod(number, len(TURNS))
    theme = TURNS[position]
    return plan if theme is Theme.STORM else THEMES[theme](replace(plan, turn=turn), dice)


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
        if_match=dice.random() < 0.3,
        probes=tuple(probe for probe in PROBES if dice.random() < 0.1),
    )


def _cancel(dice: Random) -> float:
    """Return a time at any point of an order's way."""
    return dice.choice((0.0, dice.uniform(0.0, 0.5), dice.uniform(0.0, 3.0), dice.uniform(0.0, STORM_SECONDS)))


def _event(dice: Random, number: int) -> Event:
    return Event(
        number=number,
        at=dice.uniform(0.0, STORM_SECONDS),
        kind=dice.choice(OF_STORMS),
        seconds=dice.choice((dice.uniform(0.1, 5.0), dice.uniform(5.0, 30.0), dice.uniform(30.0, 90.0))),
        which=dice.randrange(1000),
    )
