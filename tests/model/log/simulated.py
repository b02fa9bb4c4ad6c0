"""Events of a simulated run for the walker of the log: from the effects that the simulation records at its borders."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby

from order_shared.domain.idempotency import to_seconds
from order_shared.storage.event_log.items import LogState
from tests.model.history import Write
from tests.model.log.history import Death, Delivery, Interruption, LogEvent, Refusal, Slice, Start
from tests.model.simulated import item_write
from tests.simulation.clock import START
from tests.simulation.events.life import AGE
from tests.simulation.events.machines import notifier_settings
from tests.simulation.history import Border, Effect

EXISTING = LogState(epoch=to_seconds(START - AGE), born=START - AGE)
"""The environment's log in runs that do not begin it."""


def log_events(effects: Iterable[Effect]) -> Iterator[LogEvent]:
    """Yield the events of a run that concern the log, in their order."""
    orders: dict[str, tuple[str, str]] = {}
    for (border, _), group in groupby(effects, key=lambda each: (each.border, each.request or id(each))):
        found = list(group)
        match border:
            case Border.TABLES:
                yield Write(by=found[0].by, items=tuple(map(item_write, found)))
            case Border.FEED:
                yield from _of_feed(found[0], orders)
            case Border.READERS:
                yield _of_reader(found[0])


def _of_feed(effect: Effect, orders: dict[str, tuple[str, str]]) -> Iterator[Delivery | Death]:
    call = effect.call
    if call == "kill":
        yield Death(by=effect.by)
        return
    if call == "send":
        keys = json.loads(effect.after)["dynamodb"]["Keys"]
        orders[effect.subject] = (keys["customer_key"]["S"], keys["created_at"]["S"])
    if call == "change_visibility":
        call = "extend" if effect.after >= notifier_settings().visibility_seconds else "give_back"
    yield Delivery(by=effect.by, call=call, message=effect.subject, order=orders[effect.subject])


def _of_reader(effect: Effect) -> LogEvent:
    before, after = effect.before, effect.after
    match effect.call:
        case "start_latest" | "start_earliest":
            return Start(position=after, is_latest=effect.call == "start_latest")
        case "refused":
            return Refusal(before=before, reason=after)
        case "read":
            position, matching = before
            events = tuple((each.after.sequence - 1, each.event) for each in after.events)
            return Slice(before=position, next=after.next, events=events, matching=matching, more=after.more)
    return Interruption()
