"""The checker of the log of events can fail: each invariant is broken once by hand."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from order_shared.aws.encoding import attributes
from order_shared.domain.clock import to_text
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.models import Order
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.items import Head, LogPage, LogState, cursor_item, head_item, page_item, state_item
from order_shared.storage.event_log.read import ExpiredReason, NumberedEvent
from order_shared.storage.order_items import to_item
from order_shared.tables import EVENTS, ORDERS
from tests.factories import NOON, make_customer, make_order
from tests.memory_dynamo import Change, ItemKey
from tests.simulation.events.log_history import LogHistory
from tests.simulation.events.readers import StoredReader
from tests.simulation.events.watch import LogWatch
from tests.simulation.plans import ReaderKind

NOTIFIER = "notifier-1"
PLACED = make_order(customer=make_customer("acme"), at=NOON)
CONFIRMED = PLACED.confirm(NOON + timedelta(seconds=1))
BORN = NOON - timedelta(hours=1)


def head(after: int, last: int, **changed: Any) -> Head:
    return Head(**{"next": after, "last": last, "epoch": 1, "born": BORN, **changed})


def page(order: Order, sequence: int, previous: int, version: int = 1) -> LogPage:
    entry = OrderEvents(
        customer=order.customer, order_id=order.order_id, version=version, history=order.history[version - 1 :]
    )
    return LogPage(sequence=sequence, previous=previous, entries=(entry,), expires_at=0)


def changed(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    old, new = (None if item is None else attributes(item) for item in (before, after))
    item = before or after or {}
    return Change(ItemKey(EVENTS.name, item["feed"], str(item["sequence"])), old, new)


def of_head(before: Head | None, after: Head) -> Change:
    return changed(None if before is None else head_item("acme", before), head_item("acme", after))


def of_page(page: LogPage) -> Change:
    return changed(None, page_item("acme", page))


def of_cursor(before: int | None, after: int) -> Change:
    old = None if before is None else cursor_item(PLACED.order_id, before, NOON)
    return changed(old, cursor_item(PLACED.order_id, after, NOON))


def of_order(before: Order | None, after: Order) -> Change:
    old = None if before is None else attributes(to_item(before))
    key = ItemKey(ORDERS.name, after.customer.key, to_text(after.created_at))
    return Change(key, old, attributes(to_item(after)))


STATE = state_item(LogState(epoch=1, born=BORN))
FIRST = [of_head(None, head(2, 1)), of_page(page(PLACED, 1, 0)), of_cursor(None, 1), changed(STATE, STATE)]


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def watch(faults: list[str]) -> LogWatch:
    """Return the checker of a log with the first event of an order, which has changed since."""
    watch = LogWatch(faults.append, lambda: 0.0)
    watch.check([of_order(None, PLACED)], "api-1")
    watch.check(FIRST, NOTIFIER)
    watch.check([of_order(PLACED, CONFIRMED)], "processor-1")
    return watch


def stored(*changes: Change) -> dict[str, Any]:
    """Return the log's items as they are at rest."""
    return {change.key.range: change.after for change in changes if change.key.hash == "acme"}


SECOND = [of_head(head(2, 1), head(3, 2)), of_page(page(CONFIRMED, 2, 1, version=2)), of_cursor(1, 2)]


def test_a_right_log_has_no_faults(watch: LogWatch, faults: list[str]) -> None:
    watch.check(SECOND, NOTIFIER)
    reader = StoredReader(ReaderKind.POLLER, faults.append, watch.history, lambda: 0)
    reader.begin(Position(epoch=1, sequence=1), 0.0)
    for number, event in enumerate((*page(PLACED, 1, 0).entries[0], *page(CONFIRMED, 2, 1, version=2).entries[0]), 2):
        after = Position(epoch=1, sequence=number)
        reader.store([NumberedEvent(event=event, after=after)], after)
    assert faults == []
    assert list(watch.faults_at_rest(stored(*FIRST, *SECOND), [reader])) == []


Make = Callable[[], list[Change]]
BROKEN: dict[str, Make] = {
    "an item of the log has vanished": lambda: [changed(page_item("acme", page(PLACED, 1, 0)), None)],
    "page 1 was changed": lambda: [
        changed(page_item("acme", page(PLACED, 1, 0)), page_item("acme", page(CONFIRMED, 1, 0)))
    ],
    "0 heads were written": lambda: SECOND[1:],
    "was born at": lambda: [of_head(head(2, 1), head(3, 2, born=NOON)), *SECOND[1:]],
    "0 pages were appended": lambda: [SECOND[0], SECOND[2]],
    "the epoch went from": lambda: [of_head(head(2, 1), head(3, 2, epoch=2)), *SECOND[1:]],
    "was appended to": lambda: [SECOND[0], of_page(page(CONFIRMED, 3, 1, version=2)), SECOND[2]],
    "the head became": lambda: [of_head(head(2, 1), head(5, 2)), *SECOND[1:]],
    "other orders' events": lambda: SECOND[:2],
    "its cursor went by": lambda: [of_head(head(2, 1), head(4, 2)), of_page(page(CONFIRMED, 2, 1)), SECOND[2]],
    "not those of its history": lambda: [
        SECOND[0],
        of_page(page(PLACED.reject(NOON, None), 2, 1, version=2)),  # type: ignore[arg-type] # a reason is not needed
        SECOND[2],
    ],
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_wrong_write_of_the_log_is_a_fault(watch: LogWatch, faults: list[str], text: str) -> None:
    watch.check(BROKEN[text](), NOTIFIER)
    assert any(text in fault for fault in faults), faults


def test_a_write_by_another_machine_is_a_fault(watch: LogWatch, faults: list[str]) -> None:
    watch.check(SECOND, "api-1")
    assert any("pages were appended" in fault for fault in faults)


def test_at_rest_a_missing_event_a_gap_and_a_reader_that_missed_one_are_faults(watch: LogWatch) -> None:
    reader = StoredReader(ReaderKind.TAIL, lambda _: None, watch.history, lambda: 0)
    found = list(watch.faults_at_rest(stored(*FIRST), [reader]))
    assert [any(text in fault for fault in found) for text in ("has the events 1 placed, not", "the tail saw 0")] == [
        True,
        True,
    ]
    found = list(watch.faults_at_rest(stored(FIRST[0], of_page(page(PLACED, 2, 1))), []))
    assert any("page 2 of the log follows 0 events" in fault for fault in found)
    assert any("has 2 events, and its head" in fault for fault in found)


@pytest.mark.parametrize("numbers", [[2], [1, 1], [1, 3]])
def test_a_reader_that_skips_or_repeats_an_event_is_a_fault(
    watch: LogWatch, faults: list[str], numbers: list[int]
) -> None:
    reader = StoredReader(ReaderKind.POLLER, faults.append, watch.history, lambda: 0)
    reader.begin(Position(epoch=1, sequence=1), 0.0)
    (event,) = page(PLACED, 1, 0).entries[0]
    for number in numbers:
        after = Position(epoch=1, sequence=number + 1)
        reader.store([NumberedEvent(event=event, after=after)], after)
    assert any("the poller read the event" in fault for fault in faults)


@pytest.mark.parametrize("kind", [ReaderKind.POLLER, ReaderKind.TAIL])
@pytest.mark.parametrize("changed", [{"sequence": 3}, {"epoch": 2}, {"epoch": 0}])
def test_a_position_that_the_log_did_not_have_is_a_fault(
    watch: LogWatch, faults: list[str], kind: ReaderKind, changed: dict[str, int]
) -> None:
    """The tail asks for the end, and the poller for the oldest event."""
    right = {"epoch": 1, "sequence": 2 if kind is ReaderKind.TAIL else 1}
    for position in (right, right | changed):
        assert faults == []
        StoredReader(kind, faults.append, watch.history, lambda: 0).begin(Position(**position), 0.0)
    assert len(faults) == 1


def test_a_position_may_expire_while_an_epoch_is_raised(faults: list[str]) -> None:
    """The operator raises the environment's epoch first, and then that of each log.

    A reader that finds no log reads the environment's epoch. That may be raised meanwhile, and the log begun before.
    """
    now = 0.0
    history = LogHistory(lambda: now)
    reader = StoredReader(ReaderKind.POLLER, faults.append, history, lambda: 0)
    history.state_changed(LogState(epoch=1, born=BORN))
    now = 1.0
    history.head_changed(head(2, 1))
    now = 2.0
    history.state_changed(LogState(epoch=2, born=BORN))
    early = Position(epoch=2, sequence=1)
    reader.begin(early, 0.5)
    reader.check_expired(early, ExpiredReason.EPOCH, 3.0)
    now = 4.0
    history.head_changed(head(2, 1, epoch=2))
    reader.check_expired(early, ExpiredReason.EPOCH, 3.5)
    assert faults == []
    reader.check_expired(early, ExpiredReason.EPOCH, 4.5)
    reader.check_expired(Position(epoch=0, sequence=1), ExpiredReason.EPOCH, 3.0)
    reader.check_expired(early, ExpiredReason.RETENTION, 3.0)
    assert len(faults) == 3
