"""What a plan says of the log: its own dice draw it, so that the rest of a plan does not depend on it."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from devstack.payments.bank import Token
from tests.simulation.faults import Fault
from tests.simulation.history import Border
from tests.simulation.plans import Event, EventKind, Plan, ReaderKind, Theme
from tests.simulation.theme_parts import order, sound

ENDS = (EventKind.KILL_NOTIFIER, EventKind.STOP_NOTIFIER, EventKind.FREEZE_NOTIFIER)
LOG_THEMES = frozenset({Theme.LOG, Theme.NEW_LOG})
FAULTS = {
    Fault.LOST_RESPONSE: 0.1,
    Fault.LATE: 0.05,
    Fault.SLOW: 0.3,
    Fault.CONFLICT: 0.1,
    Fault.THROTTLED: 0.05,
    Fault.UNEXPECTED: 0.08,
    Fault.UNREADABLE: 0.02,
}


def with_log(plan: Plan) -> Plan:
    """Return the plan with notifiers, their feed, and what happens to them."""
    if plan.theme in LOG_THEMES:
        return plan
    if plan.theme is Theme.QUIET:
        return replace(plan, feed_seconds=0.5, notifiers=1 + plan.turn % 2, reader_seconds=1.0)
    dice = Random(f"{plan.seed}/log plan")  # noqa: S311 - reproducible, not secret
    most = 3 if plan.theme is Theme.STORM else 1
    return replace(
        plan,
        notifiers=dice.choice((1, 2, 2)),
        feed_seconds=dice.choice((0.5, 5.0, 30.0)),
        feed_duplicates=dice.choice((0.0, 0.3)),
        log_seconds=dice.choice((0.005, 0.05)),
        readers=tuple(ReaderKind) if plan.theme is Theme.STORM else plan.readers,
        events=(*plan.events, *_events(dice, dice.randint(0, most), len(plan.events), plan.storm_seconds)),
    )


def log(plan: Plan, dice: Random) -> Plan:
    """Four notifiers that append to one log, whose transactions take long, and whose slices are small."""
    orders = (
        order(
            number,
            dice,
            at=dice.uniform(0.0, 15.0),
            token=dice.choice((None, Token.WORKS, Token.DECLINED)),
            cancels_after=dice.uniform(0.0, 5.0) if dice.random() < 0.4 else None,
        )
        for number in range(16)
    )
    faults = FAULTS if plan.turn % 2 == 0 else {}
    return sound(
        plan,
        Theme.LOG,
        orders,
        rates=faults,
        borders=frozenset({Border.TABLES}),
        events=(
            *_events(dice, 5, 0, 20.0),
            _epoch(dice, 5, 0.0, 20.0),
            Event(number=6, at=10.0, kind=EventKind.TABLES_DOWN, seconds=15.0, which=0),
            *(Event(number=number, at=12.0, kind=EventKind.STOP_NOTIFIER, seconds=0.0, which=0) for number in (7, 8)),
        ),
        notifiers=4,
        notifier={"drain_seconds": 3.0, "receive_wait_seconds": 2},
        feed_seconds=dice.choice((1.0, 10.0)),
        feed_duplicates=0.8,
        log_seconds=0.3,
        readers=tuple(ReaderKind),
        reader_seconds=2.0,
        log_orders=3,
        storm_seconds=30.0,
    )


def new_log(plan: Plan, dice: Random) -> Plan:
    """A log that several notifiers begin at the same time, with epochs that are raised before and beside its events.

    Its first orders come at the same moment, the others one by one. The feed sends each change twice, at almost the
    same time: a notifier reads the cursor of an order while another one appends the order's first event.
    """
    first = (order(number, dice, at=dice.uniform(5.0, 5.1), token=None) for number in range(8))
    others = (order(number, dice, at=dice.uniform(5.0, 25.0), token=None) for number in range(8, 38))
    return sound(
        plan,
        Theme.NEW_LOG,
        (*first, *others),
        rates={Fault.LOST_RESPONSE: 0.1, Fault.SLOW: 0.05, Fault.CONFLICT: 0.1},
        borders=frozenset({Border.TABLES}),
        events=(
            *(replace(event, at=event.at + 5.0) for event in _events(dice, 3, 0, 3.0)),
            _epoch(dice, 3, 2.5, 3.0, which=1),
            *(_epoch(dice, number, at, at + 1.5) for number, at in ((4, 5.0), (5, 6.5))),
        ),
        skews=tuple(dice.uniform(-1.0, 1.0) for _ in range(6)),
        ways=(0.25, 0.01, 0.1),
        notifiers=4,
        feed_seconds=0.2,
        feed_duplicates=1.0,
        log_seconds=0.1,
        readers=tuple(ReaderKind),
        reader_seconds=1.0,
        log_orders=4,
        log_exists=False,
        storm_seconds=25.0,
    )


def _events(dice: Random, count: int, first: int, until: float) -> Iterator[Event]:
    for number in range(first, first + count):
        seconds = dice.choice((dice.uniform(0.1, 5.0), dice.uniform(5.0, 30.0)))
        kind, at = dice.choice(ENDS), dice.uniform(0.0, min(until, 60.0))
        yield Event(number=number, at=at, kind=kind, seconds=seconds, which=dice.randrange(1000))


def _epoch(dice: Random, number: int, first: float, last: float, *, which: int = 0) -> Event:
    return Event(number=number, at=dice.uniform(first, last), kind=EventKind.EPOCH_RAISED, seconds=0.0, which=which)
