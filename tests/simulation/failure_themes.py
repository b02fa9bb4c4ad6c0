"""Themes about failures of machines, messages, tables and the provider, one kind in each."""

from itertools import chain
from random import Random

from devstack.payments.bank import Token
from order_shared.domain.order.payments import PaymentCall
from tests.simulation.faults import Fault
from tests.simulation.history import Border
from tests.simulation.plans import CALLS, SKUS, EventKind, Plan, Theme
from tests.simulation.provider import Outage
from tests.simulation.theme_parts import PAID, events, order, sound

FROZEN_SECONDS = 8.0
"""Time for which a machine stands still: longer than the visibility time-out of the messages that it holds."""


def poison(plan: Plan, dice: Random) -> Plan:
    is_faulty = plan.turn % 2 == 1
    orders = (order(number, dice, at=0.0, token=dice.choice((None, *PAID))) for number in range(8 if is_faulty else 4))
    happening = events(*((EventKind.POISON, 0.0, 10.0, dice.randrange(9)) for _ in range(5 if is_faulty else 2)))
    settings = {"retry_cap_seconds": 2.0, "sweep_base_seconds": dice.choice((2.0, 5.0)), "sweep_interval_seconds": 1.0}
    return sound(
        plan,
        Theme.POISON,
        orders,
        events=happening,
        settings=settings,
        rates={Fault.DUPLICATE: 0.8, Fault.UNDELETED: 0.8, Fault.UNEXPECTED: 0.25} if is_faulty else {},
        borders=frozenset({Border.TABLES}),
        storm_seconds=200.0,
        operators=True,
        processors=2,
    )


def lost_messages(plan: Plan, dice: Random) -> Plan:
    orders = (order(number, dice, at=dice.uniform(0.0, 2.0)) for number in range(6))
    away = 90.0 if plan.turn % 2 else dice.uniform(10.0, 25.0)
    return sound(
        plan,
        Theme.LOST_MESSAGES,
        orders,
        rates={Fault.REFUSED_ENTRY: 0.4},
        borders=frozenset({Border.QUEUE}),
        events=events((EventKind.QUEUE_DOWN, 0.0, away, 0), (EventKind.QUEUE_HANGS, away + 1.0, 32.0, 0)),
        ways=(0.4, 0.01, 0.1),
        settings={"sweep_interval_seconds": 1.0},
        processors=3,
        storm_seconds=60.0 if away < 60.0 else 130.0,
    )


def letters(plan: Plan, dice: Random) -> Plan:
    orders = (order(number, dice, cancels_after=dice.choice((None, 0.5))) for number in range(3))
    faults = {Fault.LOST_REQUEST: 0.3, Fault.LOST_RESPONSE: 0.2, Fault.REFUSED_ENTRY: 0.6} if plan.turn % 2 else {}
    return sound(
        plan,
        Theme.LETTERS,
        orders,
        events=events(*((EventKind.LETTER, dice.uniform(0.0, 5.0), 0.0, kind) for kind in range(18 if faults else 6))),
        rates=faults,
        borders=frozenset({Border.QUEUE}),
    )


def drain(plan: Plan, dice: Random) -> Plan:
    """Machines that have to leave work unfinished, or that have time for it while the queue is away for a while."""
    is_short = plan.turn % 2 == 0
    orders = (order(number, dice, at=dice.uniform(0.0, 20.0), token=dice.choice(PAID)) for number in range(14))
    unsent = (order(number, dice, at=30.0 + number / 10, token=None) for number in range(14, 14 if is_short else 24))
    stops = (EventKind.STOP_PROCESSOR, EventKind.STOP_PROCESSOR, EventKind.STOP_PROCESSOR, EventKind.STOP_API)
    silence = ((EventKind.SENDS_SILENT, 31.0, 10.0, 0), (EventKind.STOP_API, 32.0, 0.0, 0))
    return sound(
        plan,
        Theme.DRAIN,
        chain(orders, unsent),
        events=events(
            *((kind, dice.uniform(0.0, 25.0), 0.0, dice.randrange(9)) for kind in stops),
            *((EventKind.STOP_PROCESSOR, dice.uniform(0.0, 20.0), 5.0, dice.randrange(9)) for _ in range(2)),
            *((EventKind.STOP_PROCESSOR, dice.uniform(22.0, 45.0), 0.0, dice.randrange(9)) for _ in range(8)),
            *((EventKind.QUEUE_SILENT, dice.uniform(at, at + 8.0), 4.5, 0) for at in (10.0, 25.0) if is_short),
            *(() if is_short else ((EventKind.QUEUE_DOWN, dice.uniform(5.0, 20.0), 8.0, 0), *silence)),
        ),
        ways=(0.05, 0.3 if is_short else 0.01, 4.0 if is_short else 0.5),
        settings={
            "drain_seconds": 3.0 if is_short else 30.0,
            "receive_wait_seconds": 20 if is_short else 2,
            "concurrency": 3 if is_short else 2,
        },
        processors=2,
        storm_seconds=60.0,
    )


def outage(plan: Plan, dice: Random) -> Plan:
    orders = (
        order(number, dice, token=dice.choice((Token.WORKS, *PAID)), at=dice.uniform(0.0, 10.0)) for number in range(10)
    )
    kinds = (Outage.NO_CONNECTION, Outage.LIMITED, Outage.SERVER_ERROR, Outage.WRONG_KEY)
    which = tuple(Outage).index(dice.choice(kinds))
    return sound(
        plan,
        Theme.OUTAGE,
        orders,
        events=events((EventKind.PROVIDER_DOWN, dice.uniform(0.0, 3.0), dice.choice((60.0, 150.0)), which)),
        rates={Fault.LOST_RESPONSE: 0.15, **({Fault.REFUSED_DELETION: 0.6} if plan.turn % 2 else {})},
        borders=frozenset({Border.PROVIDER}),
        settings={"retry_cap_seconds": dice.choice((2.0, 20.0))},
        storm_seconds=160.0,
    )


def refused(plan: Plan, dice: Random) -> Plan:
    """An order whose payment is refused for a day, in the minutes that a day takes at this pace."""
    orders = (order(number, dice, token=Token.WORKS, at=0.0) for number in range(2))
    calls = [CALLS.index(PaymentCall.CREATE), CALLS.index(PaymentCall.CONFIRM)]
    return sound(
        plan,
        Theme.REFUSED,
        orders,
        events=events((EventKind.REFUSED_CALLS, 0.0, 1800.0, dice.choice(calls))),
        settings={
            "sweep_base_seconds": 0.25,
            "sweep_interval_seconds": 2.5,
            "visibility_seconds": 120,
            "retry_cap_seconds": 0.5,
        },
        pace=60,
        processors=1,
        apis=1,
        storm_seconds=1800.0,
    )


def short_leases(plan: Plan, dice: Random) -> Plan:
    orders = (order(number, dice, token=dice.choice((*PAID, Token.FAILS_ONCE))) for number in range(5))
    poison = ((EventKind.POISON, 0.0, 10.0, dice.randrange(9)),) if dice.random() < 0.7 else ()
    return sound(
        plan,
        Theme.SHORT_LEASES,
        orders,
        rates={Fault.DUPLICATE: 0.8, Fault.SLOW: 0.3},
        events=events(*poison),
        borders=frozenset({Border.PROVIDER}),
        ways=(0.02, 0.01, 1.5),
        settings={"lease_seconds": 2.0, "retry_cap_seconds": 5.0, "visibility_seconds": 6},
        processors=2,
        storm_seconds=60.0,
    )


def slow(plan: Plan, dice: Random) -> Plan:
    """Provider or tables so slow that a message is extended, or lost, while it is handled."""
    is_table = plan.turn % 2 == 1
    orders = (
        order(
            number,
            dice,
            at=dice.uniform(0.0, 20.0),
            token=dice.choice((Token.WORKS, Token.DECLINED, Token.FAILS_ONCE, None if is_table else Token.WORKS)),
            cancels_after=dice.uniform(0.0, 15.0) if dice.random() < 0.4 else None,
        )
        for number in range(9)
    )
    in_payment = (
        order(number, dice, at=dice.uniform(0.0, 20.0), token=Token.WORKS, cancels_after=20.0, cancels_in_payment=True)
        for number in range(9, 9 if is_table else 21)
    )
    queue_fails = ((EventKind.QUEUE_DOWN, 5.0 + 8 * number, dice.uniform(3.0, 6.0), 0) for number in range(5))
    return sound(
        plan,
        Theme.SLOW,
        (*orders, *in_payment),
        stock=dict.fromkeys(SKUS, (2, 2, 2) if is_table else (40,)),
        rates={Fault.EXPIRED: 0.4},
        events=events(*queue_fails),
        borders=frozenset({Border.PROVIDER}),
        ways=(1.0 if is_table else 0.004, dice.choice((0.01, 0.3)), 0.1 if is_table else 2.5),
        settings={
            "visibility_seconds": 3 if is_table else 6,
            "receive_wait_seconds": 2,
            "concurrency": 2,
            "retry_cap_seconds": 4.0,
        },
        processors=3,
        storm_seconds=60.0,
    )


def contended(plan: Plan, dice: Random) -> Plan:
    orders = (
        order(number, dice, cancels_after=dice.choice((None, dice.uniform(0.0, 3.0))), at=dice.uniform(0.0, 3.0))
        for number in range(14)
    )
    paid = (order(number, dice, token=dice.choice(PAID), at=dice.uniform(0.0, 3.0)) for number in range(14, 34))
    crashes = {Fault.UNEXPECTED: 0.05, Fault.UNREADABLE: 0.2} if plan.turn % 2 else {}
    conflicts = dice.choice((0.4, 0.4 if crashes else 0.7))  # with both, hardly any write would succeed
    poison = [(EventKind.POISON, at, 10.0, dice.randrange(9)) for at in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)]
    return sound(
        plan,
        Theme.CONTENDED,
        (*orders, *paid),
        stock={sku: (100,) * len(shards) for sku, shards in plan.stock.items()},
        rates={Fault.CONFLICT: conflicts, Fault.THROTTLED: 0.1, Fault.DUPLICATE: 0.7, **crashes},
        events=events((EventKind.TABLES_DOWN, 5.0, 20.0, 0), *([] if crashes else poison)),
        borders=frozenset({Border.TABLES}),
        ways=(0.004, 0.01, 0.5),
        settings={"storage_deadline_seconds": 0.3, "retry_cap_seconds": 2.0},
        processors=2,
        storm_seconds=40.0,
    )


def unsettled(plan: Plan, dice: Random) -> Plan:
    orders = (order(number, dice, token=None, at=1.0 + number / 100) for number in range(40))
    return sound(
        plan,
        Theme.UNSETTLED,
        orders,
        stock=dict.fromkeys(SKUS, (200,)),
        rates={Fault.REFUSED_DELETION: 0.9, Fault.UNDELETED: 0.2},
        ways=(0.002, 0.005, 0.1),
        borders=frozenset({Border.PROVIDER}),
        settings={"concurrency": 1},
        processors=1,
        storm_seconds=10.0,
    )


def frozen(plan: Plan, dice: Random) -> Plan:
    """Processors that stand still again and again, in the midst of their work, for longer than they hold messages."""
    orders = (
        order(
            number,
            dice,
            at=dice.uniform(0.0, 3.5),
            token=dice.choice((*PAID, Token.FAILS_ONCE)),
            quantities={SKUS[number % 2]: 4},
            cancels_after=dice.uniform(0.0, 30.0) if dice.random() < 0.7 else None,
        )
        for number in range(24)
    )
    at, freezes = 3.0, []
    for _ in range(5):
        freezes += [(EventKind.FREEZE_PROCESSOR, at, FROZEN_SECONDS, which) for which in range(2)]
        at += FROZEN_SECONDS + dice.uniform(0.7, 2.5)
    return sound(
        plan,
        Theme.FROZEN,
        orders,
        stock={SKUS[0]: (3,) * 20, SKUS[1]: (60,)},
        events=events(*freezes),
        ways=(0.5, 0.01, 0.5),
        settings={"visibility_seconds": 6, "lease_seconds": 3.0, "retry_cap_seconds": 2.0, "concurrency": 12},
        processors=2,
        storm_seconds=60.0,
    )
