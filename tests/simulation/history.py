"""What happened in a run: every event goes into one digest, and is counted by virtual second."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from enum import StrEnum, auto
from typing import Any, NamedTuple


class What(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SENT = "sent"
    RESENT = "sent by the sweeper"
    RESENT_SCHEDULED = "sent by the sweeper, though a message of the order was in the queue"
    DELIVERED = "delivered"
    EMPTY_POLL = "poll without messages"
    DELETED = "deleted"
    HIDDEN = "visibility changed"
    DEAD_LETTER = "dead letter"
    WRITTEN = "order written"
    PARKED = "parked"
    ENDED = "ended"
    PROVIDER_CALL = "provider call"
    PROVIDER_LIMITED = "provider call answered by 429"
    CONFLICT = "transaction conflict"
    THROTTLED = "write throttled"
    STARTED = "process started"
    STOPPED = "process stopped"
    KILLED = "process killed"
    PAUSED = "process frozen"
    RESUMED = "process goes on"


class Gauge(StrEnum):
    VISIBLE = "messages visible"
    IN_FLIGHT = "messages in flight"


class Border(StrEnum):
    """Where an effect takes place, outside the services."""

    TABLES = auto()
    QUEUE = auto()
    PROVIDER = auto()
    MACHINES = auto()
    FEED = auto()
    """The queue of changes, and the deaths of the notifiers that read it."""
    READERS = auto()
    """What readers of the log get."""


class Effect(NamedTuple):
    """One effect at a border, in the order in which effects took place.

    border    call                                                   subject       before, after
    tables    UpdateItem, TransactWriteItems; one for each item      table|hash|range  item as DynamoDB's JSON, or None
    queue     send                                                   message id    None, body
    queue     receive, delete, change_visibility, dead_letter        message id    receive count, detail
    provider  create, retrieve, confirm, cancel, refund              order id      arguments, result or error's name
    machines  start, stop, kill, pause, resume                       host          None
    feed      as the queue, and kill                                 as the queue  as the queue
    readers   start_latest, start_earliest, read, refused, failed    host          position, result

    `at` is the virtual time in seconds, `by` the host. Effects of one request to the tables share `request`, and
    `condition` is the write's condition expression with its names and values.
    """

    at: float
    border: Border
    call: str
    by: str
    subject: str
    before: Any
    after: Any
    request: int
    condition: Any = None


class History:
    """Events and gauges by second. Two runs with the same events in the same order have the same `digest`.

    `effects` is None unless the effects are recorded: `keep_effects`.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hash = hashlib.sha256()
        self.totals: Counter[What] = Counter()
        self.by_second: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.gauges: dict[Gauge, dict[int, int]] = {gauge: {} for gauge in Gauge}
        self.effects: list[Effect] | None = None

    def keep_effects(self) -> list[Effect]:
        """Record every effect from now on, and return their list."""
        self.effects = []
        return self.effects

    def record(
        self,
        border: Border,
        call: str,
        *,
        by: str,
        subject: str,
        before: Any = None,
        after: Any = None,
        request: int = 0,
        condition: Any = None,
    ) -> None:
        if self.effects is not None:
            self.effects.append(Effect(self._now(), border, call, by, subject, before, after, request, condition))

    def note(self, what: What, subject: str = "", *, by: str = "", kind: str = "") -> None:
        """Record an event about `subject` on the machine `by`. With a `kind` it is counted as `{what}: {kind}` too."""
        now = self._now()
        self._hash.update(f"{now:.6f} {by} {what} {kind} {subject}\n".encode())
        self.totals[what] += 1
        counts = self.by_second[int(now)]
        counts[what] += 1
        if kind:
            counts[f"{what}: {kind}"] += 1

    def measure(self, gauge: Gauge, value: int) -> None:
        self.gauges[gauge][int(self._now())] = value

    def highest(self, gauge: Gauge) -> int:
        return max(self.gauges[gauge].values(), default=0)

    def count(self, what: str, start: float = 0.0, end: float = float("inf")) -> int:
        """Count the events of a sort in a span of virtual seconds."""
        return sum(counts[what] for second, counts in self.by_second.items() if start <= second < end)

    def busiest_second(self, what: str) -> int:
        return max((counts[what] for counts in self.by_second.values()), default=0)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
