"""What must hold of the log of events at every write, and once all is quiet."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiodynamo.utils import dy2py

from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.history import HistoryEntry
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.items import LOG_KEY, Head, LogPage, to_head, to_page, to_state
from order_shared.storage.order_items import to_order
from order_shared.tables import EVENTS, ORDERS
from tests.memory_dynamo import Change, Json
from tests.simulation.events.log_history import LogHistory
from tests.simulation.events.machines import NOTIFIER
from tests.simulation.events.readers import StoredReader

EMPTY = Head(next=1, last=0, epoch=0, born=datetime.min.replace(tzinfo=UTC))
OPERATOR = "operator"


@dataclass
class _Append:
    """Changes of one request to the log of a tenant."""

    pages: list[LogPage]
    heads: list[tuple[Head, Head]]
    """Heads before and after."""
    checks_epoch: bool
    """The request checks the epoch of the environment's log."""
    cursors: dict[str, tuple[int, int]]
    """Cursors before and after, by order."""


class LogWatch:
    """Checks every write of the log. Faults go to `add_fault`.

    The events of an order before its log was `born` are none.
    """

    def __init__(self, add_fault: Callable[[str], None], now: Callable[[], float]) -> None:
        self._add = add_fault
        self._now = now
        self._orders: dict[str, Json] = {}
        """Stored items of orders, by id."""
        self.changed_at: dict[tuple[str, int], float] = {}
        """Time of the write that made each version of an order."""
        self.appended_at: dict[tuple[str, int], float] = {}
        self.history = LogHistory(now)
        self._born = EMPTY.born
        self.epoch = 0
        """Epoch that the operator has raised all logs to."""

    def check(self, changes: list[Change], by: str) -> None:
        """Check the changes of one request of a machine."""
        append = _Append([], [], checks_epoch=False, cursors={})
        for key, before, after in changes:
            if key.table == ORDERS.name and after is not None:
                self._note(after)
            elif key.table == EVENTS.name:
                self._sort(append, before, after)
        if append.heads or append.pages or append.cursors:
            for text in self._faults(append, by):
                self._add(f"{by}: {text}")

    def _note(self, item: Json) -> None:
        order_id, version = item["order_id"]["S"], int(item["version"]["N"])
        former = self._orders.get(order_id)
        for made in range(int(former["version"]["N"]) + 1 if former else 1, version + 1):
            self.changed_at[order_id, made] = self._now()
        self._orders[order_id] = item

    def _sort(self, append: _Append, before: Json | None, after: Json | None) -> None:
        """Note a change of one item, by its kind."""
        old, new = (None if item is None else dy2py(item, int) for item in (before, after))
        if new is None:
            self._add(f"an item of the log has vanished: {old}")
        elif new["feed"] == LOG_KEY["feed"]:
            append.checks_epoch = old == new
            self.history.state_changed(to_state(new))
            if old is not None and (new["born"] != old["born"] or new["epoch"] < old["epoch"]):
                self._add(f"the state of the logs went from {old} to {new}")
        elif new["sequence"]:
            if old is not None:
                self._add(f"page {new['sequence']} was changed")
            append.pages.append(to_page(new))
        elif new["feed"].startswith("order#"):
            order_id = new["feed"].removeprefix("order#")
            append.cursors[order_id] = (0 if old is None else old["version"], new["version"])
        else:
            head = to_head(new)
            self.history.head_changed(head)
            self._born = head.born
            append.heads.append((EMPTY if old is None else to_head(old), head))

    def _faults(self, append: _Append, by: str) -> Iterator[str]:
        if len(append.heads) != 1:
            yield f"{len(append.heads)} heads were written in one request"
            return
        before, after = append.heads[0]
        if before is not EMPTY and before.born != after.born:
            yield f"the log was born at {before.born}, and now at {after.born}"
        if by == OPERATOR:
            if append.pages or append.cursors or after.epoch <= before.epoch or after.next != before.next:
                yield f"the epoch was raised from {before} to {after}"
            return
        if not by.startswith(NOTIFIER) or len(append.pages) != 1:
            yield f"{len(append.pages)} pages were appended"
            return
        if append.checks_epoch != (before is EMPTY):
            yield f"the epoch of the logs was {'checked' if append.checks_epoch else 'not checked'} with {before}"
        yield from self._page_faults(append.pages[0], before, after)
        if {entry.order_id for entry in append.pages[0].entries} != append.cursors.keys():
            yield f"the cursors of {sorted(append.cursors)} were moved with other orders' events"
            return
        for entry in append.pages[0].entries:
            yield from self._entry_faults(entry, append.cursors[entry.order_id], after.born)

    def _page_faults(self, page: LogPage, before: Head, after: Head) -> Iterator[str]:
        if after.epoch < self.epoch or (before is not EMPTY and after.epoch != before.epoch):
            yield f"the epoch went from {before.epoch} to {after.epoch}, after all were raised to {self.epoch}"
        if (page.sequence, page.previous) != (before.next, before.last):
            yield f"page {page.sequence} after {page.previous} was appended to {before}"
        if (after.next, after.last) != (page.end, page.sequence) or page.end <= page.sequence:
            yield f"the head became {after} with the page from {page.sequence} to {page.end}"

    def _entry_faults(self, entry: OrderEvents, cursor: tuple[int, int], born: datetime) -> Iterator[str]:
        order_id, last = entry.order_id, entry.version + len(entry.history) - 1
        order = self._order(order_id)
        if order is None:
            yield f"{order_id} has events, and does not exist"
            return
        first = _first_version(order.history, cursor[0], born)
        if entry.version != first or cursor[1] != last:
            yield f"{order_id}: versions {entry.version} to {last} were appended, and its cursor went by {cursor}"
        if not entry.history:
            yield f"{order_id}: an entry without events was appended"
        if entry.history != order.history[entry.version - 1 : last] or entry.customer != order.customer:
            yield f"{order_id}: the events are not those of its history"
        for version in range(entry.version, last + 1):
            self.appended_at[order_id, version] = self._now()

    def _order(self, order_id: str) -> Order | None:
        item = self._orders.get(order_id)
        return None if item is None else to_order(dy2py(item, int))

    def has_events(self, order: Order) -> bool:
        """Return whether the log has the events of an order as it was read. Changes before the log have none."""
        known = (order.order_id, order.version) in self.appended_at
        return known or _first_version(order.history, 0, self._born) > order.version

    # At rest

    def faults_at_rest(self, items: Mapping[str, Json], readers: Sequence[StoredReader]) -> Iterator[str]:
        """Compare the log with the orders, and what readers have read with the log. `items` has the log's, by range."""
        log = events_of(items)
        pages = sorted((to_page(dy2py(item, int)) for key, item in items.items() if key != "0"), key=_sequence)
        expected = 1
        for page in pages:
            if page.sequence != expected:
                yield f"page {page.sequence} of the log follows {expected - 1} events"
            expected = page.end
        head = to_head(dy2py(items["0"], int)) if "0" in items else EMPTY
        if head.next != expected:
            yield f"the log has {expected - 1} events, and its head is {head}"
        yield from self._order_faults(log, head.born)
        for reader in readers:
            wanted = reader.wanted(log)
            if [each.event for each in reader.seen] != wanted:
                yield f"the {reader.kind} saw {len(reader.seen)} events, and not the {len(wanted)} of the log"

    def _order_faults(self, log: list[OrderEvent], born: datetime) -> Iterator[str]:
        of_order: defaultdict[str, list[OrderEvent]] = defaultdict(list)
        for event in log:
            of_order[event.order_id].append(event)
        for order_id in self._orders:
            order = self._order(order_id)
            assert order is not None
            first = _first_version(order.history, 0, born)
            history = OrderEvents(
                customer=order.customer,
                order_id=order.order_id,
                version=first,
                history=order.history[first - 1 :],
            )
            found = of_order.pop(order_id, [])
            if found != list(history):
                yield f"{order_id} has the events {_names(found)}, not {_names(list(history))}"
        yield from (f"{order_id} has events, and does not exist" for order_id in of_order)

    @property
    def longest_delay(self) -> float:
        """Return the longest time from a write of an order to its events."""
        return max((at - self.changed_at[version] for version, at in self.appended_at.items()), default=0.0)


def _first_version(history: Sequence[HistoryEntry], cursor: int, born: datetime) -> int:
    """Return the first version after the cursor that has events."""
    while cursor < len(history) and history[cursor].at < born:
        cursor += 1
    return cursor + 1


def events_of(items: Mapping[str, Json]) -> list[OrderEvent]:
    """Return the events of a log, whose items are given by range."""
    return [event for _, page in sorted((int(key), page) for key, page in items.items()) for event in _events(page)]


def _events(page: Json) -> list[OrderEvent]:
    item = dy2py(page, int)
    return [event for entry in to_page(item).entries for event in entry] if item["sequence"] else []


def _sequence(page: LogPage) -> int:
    return page.sequence


def _names(events: Sequence[OrderEvent]) -> str:
    return ", ".join(f"{event.version} {event.change}" for event in events) or "no events"
