"""Events of a simulated run, for the walker: from the effects that the simulation records at its borders."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any

from order_processor.order.flows import DEFER_AFTER
from order_processor.payments.gateway import Payment
from order_processor.schedule import CAP, PARK_AFTER, SweepSchedule
from order_shared.domain.order.models import MAX_ATTEMPTS
from tests.model.history import Call, Event, ItemWrite, Kill, Limits, Message, Write
from tests.simulation.history import Border, Effect
from tests.simulation.world import processor_settings

EQUAL = re.compile(r"(#n\d+) = (:v\d+)")
ABSENT = re.compile(r"attribute_not_exists\((#n\d+)\)")
SUBJECT = re.compile(r'"subject":\s*"([^"]*)"')
OUTCOMES = {"PaymentDeclined": "declined", "IdempotencyKeySpent": "spent"}


def limits(sweep_base_seconds: float | None = None) -> Limits:
    """Return the limits of the code that the simulation runs, or of processes with another base of sweeps."""
    schedule = SweepSchedule(timedelta(seconds=sweep_base_seconds or processor_settings().sweep_base_seconds))
    overdue = next(number for number in range(10_000) if schedule.is_overdue(number))
    outage = next(number for number in range(10_000) if schedule.wait(number) == CAP)
    assert schedule.wait(overdue) * overdue >= PARK_AFTER
    return Limits(max_attempts=MAX_ATTEMPTS, defer_after=DEFER_AFTER, overdue_sweeps=overdue, outage_sweeps=outage)


def events(effects: Iterable[Effect]) -> Iterator[Event]:
    """Yield the events of a run in their order."""
    orders: dict[str, str] = {}
    for (border, _), group in groupby(effects, key=lambda each: (each.border, each.request or id(each))):
        found = list(group)
        effect = found[0]
        match border:
            case Border.TABLES:
                yield Write(by=effect.by, items=tuple(map(item_write, found)))
            case Border.PROVIDER:
                yield _call(effect)
            case Border.QUEUE:
                yield from _message(effect, orders)
            case Border.MACHINES if effect.call == "kill":
                yield Kill(by=effect.by)


def item_write(effect: Effect) -> ItemWrite:
    table, hash_key, range_key = effect.subject.split("|", 2)
    return ItemWrite(
        table=table, key=(hash_key, range_key), before=plain_item(effect.before), after=plain_item(effect.after),
        claimed=claimed_of(*effect.condition),
    )  # fmt: skip


def claimed_of(
    expression: str | None, names: Mapping[str, str] | None, values: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a condition says of single attributes: their value, or None for their absence."""
    names, values = names or {}, values or {}
    claimed: dict[str, Any] = {names[name]: None for name in ABSENT.findall(expression or "")}
    return claimed | {names[name]: _plain(values[value]) for name, value in EQUAL.findall(expression or "")}


def _call(effect: Effect) -> Call:
    charge, outcome = effect.before, effect.after
    created = outcome if effect.call == "create" and outcome is not None and not _is_error(outcome) else None
    matches, declined = True, False
    if isinstance(outcome, Payment):
        result, matches, declined = str(outcome.status), outcome.matches, outcome.declined is not None
    elif created is not None:
        result = "created"
    elif outcome is None:
        result = "refunded"
    else:
        result = OUTCOMES.get(outcome, "unavailable") if _is_error(outcome) else str(outcome)
    attempts = charge.attempts
    return Call(
        by=effect.by, call=effect.call, order=effect.subject, payment=charge.payment_id, result=result, created=created,
        attempts={name: getattr(attempts, name) for name in ("create", "confirm", "cancel", "refund")},
        matches=matches, declined=declined,
    )  # fmt: skip


def _is_error(outcome: Any) -> bool:
    return isinstance(outcome, str) and outcome[:1].isupper()


def _message(effect: Effect, orders: dict[str, str]) -> Iterator[Message]:
    call, subject = effect.call, effect.subject
    if call in {"send", "dead_letter"} and (found := SUBJECT.search(effect.after)):
        orders[subject] = found[1]
    if call == "change_visibility":
        seconds = effect.after
        call = (
            "give_back"
            if seconds == 0
            else "extend"
            if seconds >= processor_settings().visibility_seconds
            else "postpone"
        )
    if subject in orders:
        yield Message(by=effect.by, call=call, message=subject, order=orders[subject], receives=effect.before or 0)


def plain_item(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if item is None else {name: _plain(value) for name, value in item.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "M":
            return plain_item(content)
        case "L":
            return [_plain(each) for each in content]
        case _:
            return content
