"""Themes about customers: what they order, cancel and repeat, and how they pay."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from devstack.payments.bank import Token
from tests.simulation.faults import Fault
from tests.simulation.history import Border
from tests.simulation.plans import PROBES, RARE, SKUS, EventKind, Plan, Probe, Theme
from tests.simulation.theme_parts import TOKENS, events, order, sound


def quiet(plan: Plan, dice: Random) -> Plan:
    orders = (
        order(
            number,
            dice,
            reference=f"PO-{number}" if dice.random() < 0.5 else None,
            cancels_after=dice.uniform(0.0, 2.0) if dice.random() < 0.3 else None,
            probes=tuple(probe for probe in PROBES if dice.random() < 0.3),
        )
        for number in range(8)
    )
    rare = order(8, dice, quantities={RARE: 1}, probes=(Probe.UNSOLD,))
    return sound(plan, Theme.QUIET, (*orders, rare), stock=dict.fromkeys((*SKUS, RARE), (40, 40)))


def cancels(plan: Plan, dice: Random) -> Plan:
    tokens = (None, Token.WORKS, Token.WORKS, Token.FAILS_ONCE)
    in_undo = (5.0, 5.0)
    waits = (in_undo, in_undo, (0.0, 1.6), (0.0, 0.0), (0.2, 1.0))
    orders = (
        order(
            number,
            dice,
            token=Token.DECLINED if number % 5 < 3 else dice.choice(tokens),
            cancels_after=dice.uniform(*waits[number % 5]),
            cancels_in_undo=number % 5 < 2,
            cancels_twice=dice.random() < 0.5,
            cancels_at_once=dice.random() < 0.5,
            if_match=number % 5 >= 2 and dice.random() < 0.7,
            probes=(Probe.OTHER_VERSION,) if dice.random() < 0.3 else (),
            reference=f" PO-{number}",
        )
        for number in range(20)
    )
    in_payment = (
        order(number, dice, token=Token.WORKS, cancels_after=5.0, cancels_in_payment=True, if_match=True)
        for number in range(20, 28)
    )
    return sound(
        plan,
        Theme.CANCELS,
        (*orders, *in_payment),
        ways=(dice.choice((0.05, 0.1)), 0.01, 0.1),
        processors=2,
        rounds=12 if plan.turn % 2 else 3,
    )


def scarce(plan: Plan, dice: Random) -> Plan:
    """Orders for more than a shard has, all at once: each moves stock to its own shard, also that of the others.

    Stock is even, uneven, or in so many shards that its moves exceed the writes of a transaction.
    """
    is_scattered, is_limited = plan.turn % 2 == 0, plan.turn % 4 in {1, 2}
    is_even = is_scattered or is_limited
    shards = 12 if is_limited else dice.choice((2, 3, 4))
    most = 3 if is_even else dice.choice((1, 2, 4))
    orders = (
        order(
            number,
            dice,
            at=dice.choice((0.0, 0.0, 0.1, 3.0)),
            quantities={SKUS[0]: 4 if is_even else dice.randint(1, 4)},
            token=token,
        )
        for number, token in enumerate(dice.choices((None, None, *TOKENS), k=12))
    )
    happening = events(
        *(
            (EventKind.RESTOCK, dice.uniform(0.0, 1.0), 0.0, 2 * dice.randrange(99) + dice.choice((0, 0, 1)))
            for _ in range(3)
        ),
        *((EventKind.STOCK_SHARDS_RAISED, dice.uniform(0.0, 4.0), 0.0, dice.randrange(9)) for _ in range(2)),
    )
    single = (
        order(number, dice, at=dice.choice((0.0, 0.1, 0.2)), quantities={SKUS[0]: 1}, token=None)
        for number in range(12, 16 if is_scattered else 12)
    )
    least = most if is_even else 0
    stock = {sku: tuple(dice.randint(least, most) for _ in range(shards)) for sku in SKUS}
    return sound(
        plan,
        Theme.SCARCE,
        (*orders, *single),
        stock=stock,
        events=happening,
        ways=(dice.choice((0.01, 0.05)), 0.01, 0.1),
        settings={"concurrency": 10},
        writes=3 if is_limited else None,
        processors=2,
    )


def twins(plan: Plan, dice: Random) -> Plan:
    is_faulty = plan.turn % 2 == 1
    first = order(0, dice, at=0.0)
    orders = (
        order(
            number,
            dice,
            at=0.5 + 0.3 * number,
            quantities=first.quantities,
            twin=dice.random() < 0.5,
            posts=dice.choice((1, 1, 2, 3)),
            reference=dice.choice((None, f"PO-{number}", f" PO-{number}")),
            reference_taken=dice.random() < 0.6,
            key_used_before=dice.random() < 0.2,
            probes=tuple(probe for probe in PROBES if dice.random() < 0.5),
            cancels_after=dice.choice((None, 0.0, 6.0)),
        )
        for number in range(1, 7)
    )
    return sound(
        plan,
        Theme.TWINS,
        (
            replace(first, posts=4),
            *(replace(each, reference=None, cancels_after=None) if each.twin else each for each in orders),
        ),
        stock=dict.fromkeys(SKUS, (200,)),
        apis=2,
        api={"cancel_window": timedelta(seconds=3), **({"accept_deadline_seconds": 1.0} if is_faulty else {})},
        rates={Fault.LOST_RESPONSE: 0.1, Fault.LOST_REQUEST: 0.1, Fault.SLOW: 0.2} if is_faulty else {},
        borders=frozenset({Border.TABLES}),
    )


def amounts(plan: Plan, dice: Random) -> Plan:
    """Payments that have another amount, or that are cancelled or taken, when the next owner of an order finds them."""
    is_storm = plan.turn % 2 == 1
    orders = (
        order(
            number,
            dice,
            token=dice.choice((Token.WORKS, *[Token.FAILS_ONCE] * 3, Token.DECLINED)),
            cancels_after=dice.choice((None, 20.0, dice.uniform(0.0, 15.0))),
            cancels_in_undo=dice.random() < 0.7,
        )
        for number in range(12)
    )
    declined = () if is_storm else (order(number, dice, token=Token.DECLINED) for number in range(12, 20))
    changes = (
        *((EventKind.PAYMENT_CHANGED, dice.uniform(1.0, 12.0), 20.0, dice.randrange(9)) for _ in range(10)),
        *((EventKind.PAYMENT_CANCELLED, dice.uniform(1.0, 12.0), 20.0, dice.randrange(9)) for _ in range(2)),
        *((EventKind.PAYMENT_TAKEN, dice.uniform(1.0, 20.0), 20.0, dice.randrange(9)) for _ in range(3)),
        *((EventKind.PAYMENT_WRITES_LATE, 0.0, 60.0, 9) for _ in range(is_storm)),
    )
    rates = {Fault.LOST_REQUEST: 0.05, Fault.LOST_RESPONSE: 0.1, Fault.LATE: 0.1, Fault.UNREADABLE: 0.05}
    return sound(
        plan,
        Theme.AMOUNTS,
        (*orders, *declined),
        rates=rates if is_storm else {Fault.LOST_RESPONSE: 0.2},
        borders=frozenset({Border.PROVIDER, Border.TABLES} if is_storm else {Border.PROVIDER}),
        events=events(*changes),
        ways=(0.004, 0.01, 1.0),
        settings={"retry_cap_seconds": 4.0, "storage_deadline_seconds": 2.0},
        operators=True,
        processors=2,
        storm_seconds=100.0,
    )
