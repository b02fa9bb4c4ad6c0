"""Histories of the simulation walk the table of the log, and forged ones are refused."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.items import LogState
from order_shared.storage.event_log.read import ExpiredReason
from tests.model.history import ItemWrite, Refused, Write
from tests.model.log.history import Delivery, LogEvent, Refusal, Slice, Start
from tests.model.log.simulated import EXISTING, log_events
from tests.model.log.stages import STAGES
from tests.model.log.steps import TABLE
from tests.model.log.walker import LogWalker
from tests.model.stages import Stage
from tests.simulation.life import live
from tests.simulation.plan import plan_of

NEW_LOG_SEED = 26
"""Seed in which notifiers begin the log, and an operator raises its epoch."""

pytestmark = pytest.mark.timeout(120)


def walk(history: Iterable[LogEvent], exists: LogState | None = None) -> Counter[str]:
    walker = LogWalker(exists)
    walker.walk(history)
    return +walker.taken


@pytest.fixture(scope="module")
def history() -> list[LogEvent]:
    return list(log_events(live(plan_of(str(NEW_LOG_SEED)), keep_effects=True).effects or []))


def test_a_history_of_the_simulation_takes_the_steps_of_the_log(history: list[LogEvent]) -> None:
    observable = {step.name for step in TABLE.values() if not step.unseen}
    taken = walk(history)
    assert taken.keys() <= observable
    assert {
        "begin",
        "append",
        "raise_epoch",
        "raise_head",
        "take",
        "end_read",
        "refuse_epoch",
        "repeat",
    } <= taken.keys()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_staged_run_takes_its_transitions(stage: Stage) -> None:
    assert stage.takes <= walk(log_events(stage.play()), EXISTING).keys()


def is_append(event: LogEvent) -> bool:
    return isinstance(event, Write) and event.by.startswith("notifier") and any(map(is_page, event.items))


def is_page(item: ItemWrite) -> bool:
    return item.table == "events" and "entries" in (item.after or {})


def last(history: list[LogEvent], chosen: Callable[[LogEvent], bool]) -> int:
    return max(number for number, event in enumerate(history) if chosen(event))


def forged_append(history: list[LogEvent], change: Callable[[ItemWrite], ItemWrite]) -> list[LogEvent]:
    """Return the history up to its last append, with the items of that append changed."""
    number = last(history, is_append)
    write = history[number]
    assert isinstance(write, Write)
    return [*history[:number], replace(write, items=tuple(map(change, write.items)))]


def without(name: str) -> Callable[[ItemWrite], ItemWrite]:
    """Return the change that removes an attribute from what the conditions say."""

    def change(item: ItemWrite) -> ItemWrite:
        return replace(item, claimed={key: value for key, value in (item.claimed or {}).items() if key != name})

    return change


@pytest.mark.parametrize(
    ("name", "reason"),
    [("next", "head unchanged"), ("epoch", "epoch"), ("version", "condition"), ("feed", "condition that it is absent")],
)
def test_an_append_without_one_of_its_conditions_is_refused(history: list[LogEvent], name: str, reason: str) -> None:
    number = last(history, lambda event: is_append(event) and _continues(event))
    with pytest.raises(Refused, match=reason):
        walk(forged_append(history[: number + 1], without(name)))


def _continues(event: LogEvent) -> bool:
    """Return whether an append continues the events of an order that has some."""
    assert isinstance(event, Write)
    return any((item.claimed or {}).get("version") for item in event.items)


def test_an_append_of_other_events_than_the_order_has_is_refused(history: list[LogEvent]) -> None:
    def change(item: ItemWrite) -> ItemWrite:
        if not is_page(item):
            return item
        after = dict(item.after or {})
        first, *rest = after["entries"]
        return replace(item, after={**after, "entries": [{**first, "version": first["version"] + 1}, *rest]})

    with pytest.raises(Refused):
        walk(forged_append(history, change))


def test_an_append_that_is_made_twice_is_refused(history: list[LogEvent]) -> None:
    number = last(history, is_append)
    with pytest.raises(Refused, match="no append without"):
        walk([*history[: number + 1], history[number]])


def test_a_change_that_is_acknowledged_before_it_is_appended_is_refused(history: list[LogEvent]) -> None:
    with pytest.raises(Refused, match="acknowledged before it is appended"):
        walk([event for event in history if not is_append(event) and not isinstance(event, Slice | Start | Refusal)])


def slices(history: list[LogEvent]) -> tuple[int, Slice]:
    """Return the place of the last slice with more than one event, and the slice."""
    number = last(history, lambda event: isinstance(event, Slice) and len(event.events) > 1)
    part = history[number]
    assert isinstance(part, Slice)
    return number, part


def test_a_reader_that_skips_an_event_is_refused(history: list[LogEvent]) -> None:
    number, part = slices(history)
    with pytest.raises(Refused, match="missing, or another one"):
        walk([*history[:number], replace(part, events=part.events[1:])])


def test_a_read_from_a_position_of_another_epoch_is_refused(history: list[LogEvent]) -> None:
    number, part = slices(history)
    with pytest.raises(Refused, match="epoch of the log"):
        walk([*history[:number], replace(part, before=replace(part.before, epoch=part.before.epoch - 1))])


def test_a_read_that_ends_before_the_end_is_refused(history: list[LogEvent]) -> None:
    number, part = slices(history)
    early = replace(part, events=(), next=replace(part.before, sequence=part.before.sequence), more=False)
    shorter = replace(early, before=replace(early.before, sequence=1), next=replace(early.next, sequence=2))
    first = next(event for event in history if isinstance(event, Slice) and event.events and event.before.sequence == 1)
    with pytest.raises(Refused, match=r"at the end|missing"):
        walk([*history[:number], replace(shorter, events=first.events[:1], matching=first.matching)])


def test_a_position_is_refused_for_its_epoch_only(history: list[LogEvent]) -> None:
    with pytest.raises(Refused, match="nothing expires"):
        walk([*history, Refusal(before=Position(epoch=1, sequence=1), reason=ExpiredReason.RETENTION)])


def test_a_position_that_no_log_had_is_refused(history: list[LogEvent]) -> None:
    with pytest.raises(Refused, match="no log had"):
        walk([*history, Start(position=Position(epoch=1, sequence=7), is_latest=True)])


def test_a_message_of_an_order_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match="never stored"):
        walk([Delivery(by="notifier-1", call="receive", message="1", order=("acme#ada", "2026"))])
