"""Plan of a run: what customers do, which faults there are, and which machines fail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from order_shared.domain.order.payments import PaymentCall
from tests.simulation.faults import Fault
from tests.simulation.history import Border
from tests.simulation.provider import Outage


class Theme(StrEnum):
    """What a run is about: see `tests.simulation.themes`."""

    STORM = "every kind of fault"
    QUIET = "no fault"
    CANCELS = "cancellations at any moment"
    SCARCE = "the last units"
    POISON = "handlings that crash"
    LOST_MESSAGES = "messages lost, and several sweepers"
    LETTERS = "messages that cannot be processed"
    DRAIN = "machines drained"
    OUTAGE = "provider away"
    REFUSED = "provider refuses calls for a day"
    SHORT_LEASES = "leases that end early"
    TWINS = "requests that look alike"
    SLOW = "handlings longer than a visibility time-out"
    CONTENDED = "tables that refuse most writes"
    UNSETTLED = "messages that cannot be deleted"
    AMOUNTS = "payments changed by hand"
    FROZEN = "machines that stand still"
    LOG = "many writers of one log"
    NEW_LOG = "a log that begins"


SKUS = ("TEA", "CUP")
RARE = "RARE"
"""Product that one customer of a theme orders, and that is not on sale for a while."""
PLENTY = 1000
STORM_SECONDS = 60.0
"""Time in which customers come, and everything fails that may. Then all is well again."""
SKEW_SECONDS = 90.0


class Probe(StrEnum):
    """Request that a customer makes once the order is placed, and that changes nothing."""

    REPEAT = "the same request again"
    UNSOLD = "the same request again while its product is not on sale"
    OTHER_BODY = "the same key with another request"
    UNKNOWN_SKU = "an order of a product that does not exist"
    STRANGER = "a read by another customer, and by an administrator"
    OTHER_VERSION = "a cancellation of a version that the order does not have"


PROBES = tuple(probe for probe in Probe if probe is not Probe.UNSOLD)
"""Probes of any order; the other one needs a product that nobody else orders."""


@dataclass(frozen=True, kw_only=True)
class OrderPlan:
    """What one customer does. Times are in seconds; `cancels_after` is counted from the acknowledgement."""

    number: int
    at: float
    quantities: Mapping[str, int]
    token: str | None = None
    reference: str | None = None
    posts: int = 1
    """Requests with the same key at the same time."""
    patient: bool = True
    """Ask again until there is an answer."""
    cancels_after: float | None = None
    cancels_twice: bool = False
    cancels_at_once: bool = False
    """The customer sends two requests to cancel at the same time."""
    cancels_in_undo: bool = False
    """The customer cancels while the payment is undone, if that happens within `cancels_after`."""
    cancels_in_payment: bool = False
    """The customer cancels while the payment is confirmed, if that happens within `cancels_after`."""
    if_match: bool = False
    """Cancel only the version that was read before."""
    probes: tuple[Probe, ...] = ()
    twin: bool = False
    """The customer places two such orders at the same instant, under two keys and at two machines."""
    reference_taken: bool = False
    """Another order of the customer has the reference, as it is written here."""
    traceparent: str | None = None
    key_used_before: bool = False
    """The customer has used the idempotency key two days ago, and its record is still stored."""

    @property
    def customer(self) -> str:
        return f"customer-{self.number}"


class ReaderKind(StrEnum):
    POLLER = "poller"
    TAIL = "tail"
    OF_CUSTOMER = "reader of one customer"
    OF_CHANGES = "reader of some changes"


class EventKind(StrEnum):
    KILL_API = "API killed"
    KILL_PROCESSOR = "processor killed"
    STOP_PROCESSOR = "processor drained"
    STOP_API = "API drained"
    FREEZE_API = "API frozen"
    FREEZE_PROCESSOR = "processor frozen"
    QUEUE_DOWN = "queue down"
    QUEUE_HANGS = "polls without an answer"
    QUEUE_SILENT = "settlements without an answer"
    SENDS_SILENT = "sends of APIs without an answer"
    TABLES_DOWN = "tables down"
    PROVIDER_DOWN = "provider down"
    REFUSED_CALLS = "provider refuses a call"
    PAYMENT_CANCELLED = "payment cancelled by hand"
    PAYMENT_CHANGED = "payment has another amount"
    PAYMENT_TAKEN = "confirmation takes effect while its payment is undone"
    PAYMENT_WRITES_LATE = "writes of a payment take effect after the next payment is stored"
    POISON = "handling of an order crashes"
    STOCK_SHARDS_RAISED = "stock shards raised"
    RESTOCK = "stock added and removed"
    LETTER = "message that cannot be processed"
    KILL_NOTIFIER = "notifier killed"
    STOP_NOTIFIER = "notifier drained"
    FREEZE_NOTIFIER = "notifier frozen"
    EPOCH_RAISED = "epoch of the logs raised"


UNSOUND = frozenset(
    {
        EventKind.KILL_API,
        EventKind.KILL_PROCESSOR,
        EventKind.STOP_PROCESSOR,
        EventKind.STOP_API,
        EventKind.FREEZE_API,
        EventKind.FREEZE_PROCESSOR,
        EventKind.QUEUE_DOWN,
        EventKind.QUEUE_HANGS,
        EventKind.QUEUE_SILENT,
        EventKind.SENDS_SILENT,
    }
)

UNSOUND_TABLES = frozenset({EventKind.TABLES_DOWN, EventKind.PAYMENT_WRITES_LATE})

OF_MESSAGES = frozenset({Fault.REFUSED_ENTRY, Fault.REFUSED_DELETION, Fault.UNDELETED, Fault.EXPIRED})
"""Faults of single messages, which are met at every border."""
FREEZES = frozenset({EventKind.FREEZE_API, EventKind.FREEZE_PROCESSOR})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens to all. `which` chooses among its targets; `seconds` is how long it lasts."""

    number: int
    at: float
    kind: EventKind
    seconds: float
    which: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: str
    orders: tuple[OrderPlan, ...]
    events: tuple[Event, ...]
    rates: Mapping[Fault, float]
    skews: tuple[float, ...]
    """Seconds by which the clocks of machines are ahead, in turn."""
    apis: int
    processors: int
    stock: Mapping[str, tuple[int, ...]]
    """Units of each stock shard."""
    operators: bool
    """Operators retry or reject parked orders in the storm too."""
    theme: Theme = Theme.STORM
    turn: int = 0
    """How often the theme has had its turn before. Themes with two variants alternate them."""
    storm_seconds: float = STORM_SECONDS
    borders: frozenset[Border] = frozenset(Border)
    """Borders whose requests meet faults."""
    ways: tuple[float, float, float] = (0.004, 0.01, 0.1)
    """Seconds that a request to tables, queue and provider takes at most, each way."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the processors that differ from those of other runs."""
    api: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the APIs that differ from the defaults."""
    pace: int = 1
    """Factor by which the waits of the outbox are shorter: the orders of a day go through it in minutes."""
    quota: int
    table_units: float
    calls_per_second: float
    rounds: int | None = None
    """Steps of an order in one delivery; None is the default."""
    writes: int | None = None
    """Writes of one transaction; None is DynamoDB's limit."""
    notifiers: int = 0
    """0 runs without logs of events."""
    notifier: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the notifiers that differ from those of other runs."""
    feed_seconds: float = 1.0
    """Longest delay of the change feed."""
    feed_duplicates: float = 0.0
    """Share of the changes that the feed sends twice."""
    log_exists: bool = True
    """The environment's log has begun before the run."""
    log_seconds: float = 0.005
    """Time that a transaction of a log takes."""
    readers: tuple[ReaderKind, ...] = (ReaderKind.POLLER, ReaderKind.TAIL)
    reader_seconds: float = 20.0
    """Longest time between two reads of a log in which nothing happens."""
    log_orders: int | None = None
    """Orders of one append, and small numbers of its attempts and of pages and events of a read.

    None is the default of each.
    """
    fault_limit: int | None = None
    removed: tuple[str, ...] = field(default=())

    @property
    def frozen_seconds(self) -> float:
        """Seconds that machines stand still."""
        return sum(event.seconds for event in self.events if event.kind in FREEZES)

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong with tables, queue and machines. Customers, the provider and operators may do anything."""
        meets_faults = bool(self.rates) and Border.TABLES in self.borders
        is_up = UNSOUND_TABLES.isdisjoint(event.kind for event in self.events)
        return not meets_faults and is_up and self.table_units >= PLENTY and self.has_sound_queue

    @property
    def has_sound_queue(self) -> bool:
        """Nothing is wrong with queue and machines."""
        unsound = {event.kind for event in self.events} & UNSOUND
        meets_faults = bool(self.rates) and Border.QUEUE in self.borders
        meets_faults = meets_faults or not self.rates.keys().isdisjoint(OF_MESSAGES)
        return not unsound and not meets_faults and self.quota >= PLENTY

    @property
    def token(self) -> str:
        return "~".join((self.seed, *self.removed))

    def parts(self) -> Iterator[str]:
        """Return what may be left out, by name."""
        if self.notifiers:
            yield "l"
        if self.processors > 1:
            yield "p"
        if self.apis > 1:
            yield "a"
        if any(self.skews):
            yield "s"
        yield from (f"e{event.number}" for event in self.events)
        yield from (f"f:{fault.name}" for fault in self.rates)
        yield from (f"o{order.number}" for order in self.orders)

    def without(self, part: str) -> "Plan":
        """Return the plan without one part. Raises ValueError for an unknown one."""
        removed = (*(each for each in self.removed if not (part[0] == "n" == each[0])), part)
        kind, name = part[0], part[1:]
        if kind == "o":
            return replace(
                self, removed=removed, orders=tuple(each for each in self.orders if each.number != int(name))
            )
        if kind == "e":
            return replace(
                self, removed=removed, events=tuple(each for each in self.events if each.number != int(name))
            )
        if kind == "f":
            rates = {fault: rate for fault, rate in self.rates.items() if fault.name != name[1:]}
            return replace(self, removed=removed, rates=rates)
        if kind == "n":
            return replace(self, removed=removed, fault_limit=int(name))
        if kind in "alps":
            smaller = {"a": {"apis": 1}, "l": {"notifiers": 0}, "p": {"processors": 1}, "s": {"skews": (0.0,)}}
            return replace(self, removed=removed, **smaller[kind])  # type: ignore[arg-type]
        raise ValueError(f"{part!r} is no part of a plan")


OUTAGES = tuple(Outage)
CALLS = tuple(PaymentCall)
