"""Walk a recorded history along the table of the log, and refuse what the table does not allow.

The walker knows the stored orders and the log. It does not see what notifiers have read: their copies of head and
cursors are what the conditions of their requests say. A reader's copy of the head may be any earlier one.

The models have one event per version, and an order may have several. Heads of the table are therefore counted in
versions, and `_versions_at` translates a head's number.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from order_shared.domain.clock import from_text
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.items import LOG_KEY, LogPage, LogState, to_page
from order_shared.storage.event_log.read import BEFORE_LOG, ExpiredReason
from order_shared.storage.order_items import to_order
from tests.model.history import ItemWrite, Json, Refused, Write
from tests.model.log.evaluation import apply, refusing
from tests.model.log.history import Death, Delivery, Interruption, LogEvent, Refusal, Slice, Start
from tests.model.log.table import DONE

NOTIFIERS = "notifier"
Heads = list[tuple[int, int]]
"""Epoch and next number of each head so far."""


class LogWalker:
    """Walk of one history with the log of one tenant. `taken` counts the steps of the table that explain its events."""

    def __init__(self, exists: LogState | None = None) -> None:
        """Begin a walk. `exists` is the environment's log if it has begun before."""
        self.taken: Counter[str] = Counter()
        self._keys: dict[tuple[str, str], str] = {}
        self._orders: dict[str, Order] = {}
        self._born = datetime.min.replace(tzinfo=UTC) if exists is None else exists.born
        self._heads: Heads = []
        self._epochs = [BEFORE_LOG if exists is None else exists.epoch]
        self._versions_at = {0: 0, 1: 1}
        self._events = dict[int, OrderEvent]()
        self._lost: set[str] = set()
        self._sent: Counter[str] = Counter()
        self._received: dict[tuple[str, str], int] = {}
        """Version of the order when a notifier received a message, by message and notifier."""
        self._c = SimpleNamespace(
            version=defaultdict(int), cursor=defaultdict(int), early=defaultdict(int), old=defaultdict(int),
            rebuilds=defaultdict(int),
        )  # fmt: skip
        self._state: dict[str, Any] = {
            "c": self._c,
            "h": SimpleNamespace(next=0, epoch=0),
            "w": SimpleNamespace(epoch=self._epochs[0], raised=0, restored=0),
            "l": SimpleNamespace(page=defaultdict(int), start=defaultdict(int)),
            "e": SimpleNamespace(state=defaultdict(int)),
            "g": SimpleNamespace(
                last=defaultdict(int), end=1, copies=defaultdict(int), twice=0, skipped=0, misnumbered=0, backfilled=0,
            ),
            "VERSIONS": (),
        }  # fmt: skip

    def walk(self, events: Iterable[LogEvent]) -> None:
        """Walk the events in their order. Raises Refused at the first one that the table does not allow."""
        for event in events:
            match event:
                case Write():
                    self._write(event)
                case Delivery():
                    self._deliver(event)
                case Death():
                    self.taken["kill"] += 1
                case Start():
                    self._start(event)
                case Slice():
                    self._read(event)
                case Refusal():
                    self._refuse(event)
                case Interruption():
                    self.taken["read_fails"] += 1

    # Writes

    def _write(self, write: Write) -> None:
        for item in write.items:
            if item.table == "orders" and item.after is not None:
                self._note(item.key, item.after)
        items = [item for item in write.items if item.table == "events" and item.before != item.after]
        pages = [item for item in items if item.key[0] != LOG_KEY["feed"] and item.key[1] != "0"]
        if pages:
            if len(pages) > 1 or (pages[0].before is None) == (pages[0].after is None):
                raise Refused(f"pages are changed, or several are written: {write}")
            self._write_page(write, items, pages[0])
            return
        for item in items:
            self._write_state(item)

    def _note(self, key: tuple[str, str], item: Json) -> None:
        order = to_order(dict(item))
        self._keys[key] = order.order_id
        self._orders[order.order_id] = order
        self.taken["change"] += order.version > self._c.version[order.order_id]
        self._c.version[order.order_id] = order.version
        self._count_early(order)

    def _count_early(self, order: Order) -> None:
        self._c.early[order.order_id] = sum(entry.at < self._born for entry in order.history)

    def _write_state(self, item: ItemWrite) -> None:
        """Take the begin of the log, or a raise of the epoch of the log or of a head."""
        after, w, h = item.after, self._state["w"], self._state["h"]
        if after is None:
            raise Refused(f"an item of the log is removed: {item}")
        my = SimpleNamespace(epoch=after.get("epoch"))
        if item.key[0] == LOG_KEY["feed"]:
            step = "begin" if item.before is None else "raise_epoch"
            self._require(step, {"my": my}, item)
            if step == "begin":
                self._born = from_text(after["born"])
                for order in self._orders.values():
                    self._count_early(order)
            w.epoch = after["epoch"]
            self._epochs.append(w.epoch)
        elif "born" in after and item.before is not None and {**item.before, "epoch": after["epoch"]} == after:
            step = "raise_head"
            self._require(step, {"my": my}, item, facts=("head exists",))
            apply(step, {**self._state, "my": my})
            self._heads.append((h.epoch, after["next"]))
        else:
            raise Refused(f"no step of the log: {item}")
        self.taken[step] += 1

    def _write_page(self, write: Write, items: list[ItemWrite], written: ItemWrite) -> None:
        if written.after is None:
            self._remove(to_page(dict(written.before or {})))
            return
        page = to_page(dict(written.after))
        heads = [item for item in items if item.after is not None and "born" in item.after]
        cursors = {item.key[0].removeprefix("order#"): item for item in items if item.key[0].startswith("order#")}
        if len(heads) != 1 or cursors.keys() != {entry.order_id for entry in page.entries}:
            raise Refused(f"a page without its head and cursors: {write}")
        claimed = heads[0].claimed or {}
        my = SimpleNamespace(next=self._versions_at.get(claimed.get("next") or 0, -1), epoch=claimed.get("epoch") or 0)
        my.known = my.epoch = my.epoch or self._checked_epoch(write)
        if "previous" not in (written.after or {}) or (written.claimed or {}).get("feed", 0) is not None:
            raise Refused(f"a page without the condition that it is absent: {write}")
        if write.by.startswith(NOTIFIERS):
            self._append(write, page, cursors, my)
        else:
            self._append_lost(write, page, cursors, my)
        head, h = heads[0].after or {}, self._state["h"]
        self._versions_at[page.end] = h.next
        if (head["next"], head["epoch"], head["last"]) != (page.end, my.epoch, page.sequence) or page.end != 1 + max(
            self._events
        ):
            raise Refused(f"the head does not follow the page: {write}")
        self._heads.append((head["epoch"], page.end))

    def _append(self, write: Write, page: LogPage, cursors: dict[str, ItemWrite], my: Any) -> None:
        my.has = dict.fromkeys(cursors, 1)
        my.version = {entry.order_id: entry.version + len(entry.history) - 1 for entry in page.entries}
        my.cursor = {order: _claimed_version(item) for order, item in cursors.items()}
        state = {"my": my, "ORDERS": tuple(cursors)}
        self._require("append", state, write, facts=("epoch known", "something is missing"))
        for entry in page.entries:
            first = max(my.cursor[entry.order_id], self._c.early[entry.order_id]) + 1
            order = self._orders[entry.order_id]
            if entry.version != first or entry.history != order.history[first - 1 : my.version[entry.order_id]]:
                raise Refused(f"other events than those of the order's history: {write}")
        apply("append", {**self._state, **state})
        if any(getattr(self._state["g"], witness) for witness in ("twice", "skipped", "misnumbered", "backfilled")):
            raise Refused(f"the append breaks a property of the log: {write}")
        self._store(page, cursors, write)
        self.taken["append"] += 1

    def _append_lost(self, write: Write, page: LogPage, cursors: dict[str, ItemWrite], my: Any) -> None:
        if {event.id for entry in page.entries for event in entry} - self._lost:
            raise Refused(f"events that are not lost are appended again: {write}")
        my.lost = {(entry.order_id, entry.version): 1 for entry in page.entries}
        for order, item in cursors.items():
            my.version, my.rebuilds = {0: _claimed_version(item)}, (item.claimed or {}).get("rebuilds") or 0
            of_order = SimpleNamespace(cursor={0: self._c.cursor[order]}, rebuilds=self._c.rebuilds[order])
            self._require("append_lost", {"my": my, "c": of_order}, write, facts=("order as compared",))
            self._c.rebuilds[order] += 1
        apply("append_lost", {**self._state, "my": my, "c": SimpleNamespace(), "VERSIONS": tuple(my.lost)})
        self._store(page, cursors, write)
        self.taken["append_lost"] += 1

    def _store(self, page: LogPage, cursors: dict[str, ItemWrite], write: Write) -> None:
        for order, item in cursors.items():
            after = item.after or {}
            if (after["version"], after.get("rebuilds", 0)) != (self._c.cursor[order], self._c.rebuilds[order]):
                raise Refused(f"the cursor of {order} does not follow its events: {write}")
        events = [event for entry in page.entries for event in entry]
        self._events.update(enumerate(events, page.sequence))
        self._lost -= {event.id for event in events}

    def _remove(self, page: LogPage) -> None:
        """Take the loss of a page. Its numbers are not given again."""
        self._lost |= {event.id for entry in page.entries for event in entry}

    def _checked_epoch(self, write: Write) -> int:
        """Return the epoch that the request requires of the environment's log, or 0."""
        checks = [item for item in write.items if item.key[0] == LOG_KEY["feed"]]
        return (checks[0].claimed or {}).get("epoch", 0) if checks else 0

    # Messages

    def _deliver(self, delivery: Delivery) -> None:
        order = self._keys.get(delivery.order)
        if order is None:
            raise Refused(f"a message of an order that was never stored: {delivery}")
        key = (delivery.message, delivery.by)
        match delivery.call:
            case "send":
                self._sent[order] += 1
                self.taken["repeat"] += self._sent[order] > self._c.version[order]
            case "receive":
                self._received[key] = self._c.version[order]
                self.taken["receive_change"] += 1
            case "delete":
                if self._received.get(key, 0) > max(self._c.cursor[order], self._c.early[order]):
                    raise Refused(f"a change is acknowledged before it is appended: {delivery}")
                self.taken["acknowledge_change"] += 1
            case "give_back":
                self.taken["give_up"] += 1

    # Readers

    def _start(self, start: Start) -> None:
        position = start.position
        at = (position.epoch, position.sequence)
        is_known = at in self._heads if start.is_latest else position.sequence == 1
        if is_known and any(epoch == position.epoch for epoch, _ in self._heads):
            self.taken["start_latest" if start.is_latest else "start_earliest"] += 1
        elif position.sequence == 1 and position.epoch in self._epochs:
            self.taken["start_before"] += 1
        else:
            raise Refused(f"a position that no log had: {start}")

    def _read(self, part: Slice) -> None:
        if part.next == part.before and not part.events and not part.more:
            return  # the end of the log, or no log
        ends = sorted(end for epoch, end in self._heads if epoch == part.next.epoch and end >= part.next.sequence)
        for number in range(part.before.sequence, part.next.sequence):
            event = self._events.get(number)
            if event is None or part.matching.matches(event) != ((number, event) in part.events):
                raise Refused(f"the event {number} is missing, or another one: {part}")
            self._require("take", self._at(part, number, ends[-1] if ends else 0), part, facts=("found",))
            self.taken["take"] += 1
        if len(part.events) != sum(part.before.sequence <= number < part.next.sequence for number, _ in part.events):
            raise Refused(f"events outside the slice: {part}")
        at_end = self._at(part, part.next.sequence, ends[0] if ends else 0)
        if not part.more:
            self._require("end_read", at_end, part)
            self.taken["end_read"] += 1
        self._require("accept_position", self._at(part, part.before.sequence, ends[-1] if ends else 0), part)

    def _at(self, part: Slice, number: int, end: int) -> dict[str, Any]:
        """Return the state in which a reader has found the event with a number, in a log with an end."""
        pages = SimpleNamespace(page=defaultdict(lambda: DONE), start=defaultdict(int))
        return {
            "s": SimpleNamespace(at=number, epoch=part.before.epoch),
            "my": SimpleNamespace(found=number, end=end, epoch=part.next.epoch),
            "l": pages,
        }

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.reason is not ExpiredReason.EPOCH:
            raise Refused(f"nothing expires in the simulation: {refusal}")
        epochs = [*self._epochs, *(epoch for epoch, _ in self._heads)]
        others = [epoch for epoch in epochs if epoch not in (BEFORE_LOG, refusal.before.epoch)]
        state = {"s": refusal.before, "my": SimpleNamespace(epoch=others[-1] if others else refusal.before.epoch)}
        self._require("refuse_epoch", state, refusal)
        self.taken["refuse_epoch"] += 1

    def _require(self, name: str, state: dict[str, Any], event: object, *, facts: tuple[str, ...] = ()) -> None:
        """Raise Refused unless the step's guards, and these of its facts, hold."""
        if broken := refusing(name, {**self._state, **state}, facts=facts):
            raise Refused(f"no {name} without {', '.join(broken)}: {event}")


def _claimed_version(item: ItemWrite) -> int:
    """Return the version that the condition of a write requires of a cursor; 0 if it requires that there is none."""
    claimed = item.claimed or {}
    if "version" not in claimed and "feed" not in claimed:
        raise Refused(f"a cursor is written without a condition: {item}")
    return claimed.get("version") or 0
