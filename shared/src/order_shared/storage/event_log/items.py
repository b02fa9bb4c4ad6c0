"""Stored form of the log of order events. Table `events`: hash `feed`, range `sequence`.

    feed       sequence            holds
    acme       0                   head: `next` number, `last` page, `epoch`, `born`
    acme       n                   page whose first event has the number n: `entries`, `previous` page, `expires_at`
    order#ord… 0                   cursor: `version` up to which the order's events are in the log, `expires_at`, and
                                   `rebuilds`: how often lost events of the order were appended again, unless 0
    #log       0                   the log of the environment: `epoch`, `born`

The events of a tenant are numbered from 1 on without a gap. A page contains the events of several orders, and an entry
those of one order. `born` is the time at which the environment's log began: older changes have no events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiodynamo.expressions import Condition, F

from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import from_text, to_text
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.history import HistoryEntry, OrderChange
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.models import Customer
from order_shared.storage.order_items import history_items

RETENTION = timedelta(days=30)
"""Time for which events can be read. Older changes are never appended."""
CURSOR_RETENTION = timedelta(days=60)

LOG_KEY: Mapping[str, str | int] = {"feed": "#log", "sequence": 0}
ABSENT = F("feed").does_not_exist()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """State of the environment's log. `epoch` is raised when positions of readers become invalid, as by a restore."""

    epoch: int
    born: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Head of a tenant's log. `next` is the number of the next event. `last` is the last page's number, or 0."""

    next: int
    last: int
    epoch: int
    born: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Cursor of an order. `version` is the last one whose events were appended, 0 if there is no cursor.

    `rebuilds` is the number of times that lost events of the order were appended again.
    """

    version: int = 0
    rebuilds: int = 0


NO_CURSOR = Cursor()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Page of a tenant's log. `previous` is the number of the page before it, or 0."""

    sequence: int
    previous: int
    entries: tuple[OrderEvents, ...]
    expires_at: int
    """In epoch seconds."""

    @property
    def end(self) -> int:
        """Return the number after the last event."""
        return self.sequence + sum(map(len, self.entries))

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at <= to_seconds(now)


def next_page(head: Head, entries: Sequence[OrderEvents], now: datetime) -> tuple[LogPage, Head]:
    """Return the page that follows the log of `head`, and the head after it."""
    page = LogPage(
        sequence=head.next, previous=head.last, entries=tuple(entries), expires_at=to_seconds(now + RETENTION)
    )
    return page, Head(next=page.end, last=page.sequence, epoch=head.epoch, born=head.born)


def head_key(tenant: str) -> Item:
    return page_key(tenant, 0)


def page_key(tenant: str, sequence: int) -> Item:
    return {"feed": tenant, "sequence": sequence}


def cursor_key(order_id: str) -> Item:
    return {"feed": f"order#{order_id}", "sequence": 0}


def to_state(item: Item) -> LogState:
    return LogState(epoch=item["epoch"], born=from_text(item["born"]))


def state_item(state: LogState) -> Item:
    return {**LOG_KEY, "epoch": state.epoch, "born": to_text(state.born)}


def to_head(item: Item) -> Head:
    return Head(next=item["next"], last=item["last"], epoch=item["epoch"], born=from_text(item["born"]))


def head_item(tenant: str, head: Head) -> Item:
    state = {"next": head.next, "last": head.last, "epoch": head.epoch, "born": to_text(head.born)}
    return {**head_key(tenant), **state}


def to_cursor(item: Item) -> Cursor:
    return Cursor(version=item["version"], rebuilds=item.get("rebuilds", 0))


def cursor_item(order_id: str, version: int, now: datetime, rebuilds: int = 0) -> Item:
    item = {**cursor_key(order_id), "version": version, "expires_at": to_seconds(now + CURSOR_RETENTION)}
    return item | {"rebuilds": rebuilds} if rebuilds else item


def unchanged(cursor: Cursor) -> Condition:
    """Return the condition that a cursor is as it was read."""
    if cursor == NO_CURSOR:
        return ABSENT
    rebuilds = F("rebuilds").equals(cursor.rebuilds) if cursor.rebuilds else F("rebuilds").does_not_exist()
    return F("version").equals(cursor.version) & rebuilds


def page_item(tenant: str, page: LogPage) -> Item:
    return {
        **page_key(tenant, page.sequence),
        "previous": page.previous,
        "entries": list(map(_entry_item, page.entries)),
        "expires_at": page.expires_at,
    }


def to_page(item: Item) -> LogPage:
    return LogPage(
        sequence=item["sequence"],
        previous=item["previous"],
        entries=tuple(_to_entry(item["feed"], entry) for entry in item["entries"]),
        expires_at=item["expires_at"],
    )


def _entry_item(events: OrderEvents) -> Item:
    return {
        "customer": events.customer.stored_id,
        "order_id": events.order_id,
        "version": events.version,
        "history": history_items(events.history),
    }


def _to_entry(tenant: str, item: Item) -> OrderEvents:
    return OrderEvents(
        customer=Customer.of_stored(tenant, item["customer"]),
        order_id=OrderId(item["order_id"]),
        version=item["version"],
        history=tuple(
            HistoryEntry(tuple(map(OrderChange, entry["types"])), from_text(entry["at"])) for entry in item["history"]
        ),
    )
