"""Parts of themes: orders, events, and plans in which nothing is wrong."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

from devstack.payments.bank import Token
from tests.simulation.plans import SKUS, Event, EventKind, OrderPlan, Plan, Theme

TOKENS = (None, Token.WORKS, Token.WORKS, Token.DECLINED)
PAID = (Token.WORKS, Token.WORKS, Token.DECLINED)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def order(number: int, dice: Random, **changed: Any) -> OrderPlan:
    """Return an order of one product that is not cancelled."""
    drawn = {
        "at": dice.uniform(0.0, 5.0),
        "quantities": {dice.choice(SKUS): dice.randint(1, 4)},
        "token": dice.choice(TOKENS),
        "traceparent": TRACE if dice.random() < 0.5 else None,
    }
    return OrderPlan(number=number, **{**drawn, **changed})


def events(*parts: tuple[EventKind, float, float, int]) -> tuple[Event, ...]:
    """Return events of a kind, at a time, for some seconds, with a choice."""
    return tuple(
        Event(number=number, kind=kind, at=at, seconds=seconds, which=which)
        for number, (kind, at, seconds, which) in enumerate(parts)
    )


def sound(plan: Plan, theme: Theme, orders: Iterable[OrderPlan], **changed: Any) -> Plan:
    """Return a plan of these orders in which nothing is wrong, except for what is `changed`."""
    sound: dict[str, Any] = {
        "theme": theme,
        "orders": tuple(orders),
        "events": (),
        "rates": {},
        "skews": (0.0,),
        "stock": {sku: (40,) * len(shards) for sku, shards in plan.stock.items()},
        "operators": False,
        "quota": 120_000,
        "table_units": 1000.0,
        "calls_per_second": 100.0,
        "storm_seconds": 20.0,
    }
    return replace(plan, **{**sound, **changed})
