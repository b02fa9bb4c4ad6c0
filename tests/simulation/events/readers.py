"""Readers of a log, which are killed and go on from the positions that they have stored.

Each stores its position together with the events before it. A poller reads slices of any size and often stores only a
part of one. A tail reads to the end as soon as it can, and stores each event by itself, as a stream of server-sent
events does. A filtered reader wants the events of one customer, or of some changes.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from aws_json_client import ServiceError
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import Customer
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.read import (
    ALL_EVENTS,
    BEFORE_LOG,
    EventFilter,
    EventLogReader,
    ExpiredReason,
    LogSlice,
    NumberedEvent,
    PositionExpired,
)
from tests.simulation.customers import TENANT
from tests.simulation.events.log_history import LogHistory
from tests.simulation.logbook import BY_CHANCE
from tests.simulation.plans import ReaderKind

ERROR_SECONDS = 0.5
WAKE_SECONDS = 0.05
"""Longest time from an append to the reads of those whom it wakes."""
WOKEN_SHARE = 0.7


FILTERS = {
    ReaderKind.OF_CUSTOMER: EventFilter(customer=Customer(tenant=TENANT, id="customer-0")),
    ReaderKind.OF_CHANGES: EventFilter(changes=frozenset({OrderChange.PLACED, OrderChange.CANCELLED})),
}


@dataclass
class StoredReader:
    """What a reader has stored. It outlives the machine that reads."""

    kind: ReaderKind
    add_fault: Callable[[str], None]
    log_history: LogHistory
    raised_epoch: Callable[[], int]
    """Return the epoch to which an operator has raised all logs."""
    first: int | None = None
    """Number of the first event to read. Without retention, only a tail that is late begins after the first one."""
    position: Position | None = None
    seen: list[NumberedEvent] = field(default_factory=list)
    examined: int = 1
    """Number of the next event to examine."""

    @property
    def matching(self) -> EventFilter:
        return FILTERS.get(self.kind, ALL_EVENTS)

    def wanted(self, log: Sequence[OrderEvent]) -> list[OrderEvent]:
        """Return the events of a log that the reader must have seen at its end."""
        customer, changes = self.matching.customer, self.matching.changes or frozenset(OrderChange)
        found = [event for event in log[(self.first or 1) - 1 :] if event.change in changes]
        return [event for event in found if customer is None or event.customer == customer]

    def begin(self, position: Position, asked_at: float) -> None:
        """Store the position at which the reader begins, which it asked for at a time."""
        if self.kind is ReaderKind.TAIL:
            self.check_latest(position, asked_at)
        else:
            self.check_earliest(position, asked_at)
        self.first, self.position = position.sequence, position
        self.examined = position.sequence

    def check_earliest(self, position: Position, asked_at: float) -> None:
        """Check the position of the oldest event, as asked for at a time. None expires in a run."""
        if position.sequence != 1 or position.epoch not in self.log_history.epochs_since(asked_at):
            self.add_fault(f"the {self.kind} found {position} as the earliest position")

    def check_latest(self, position: Position, asked_at: float) -> None:
        """Check the position at the end of the log, as asked for at a time."""
        if not self.log_history.was_end(position, asked_at):
            self.add_fault(f"the {self.kind} found {position} as the latest position")

    def check_expired(self, position: Position, reason: ExpiredReason, asked_at: float) -> None:
        """Check that a position expired for its epoch, and that the log had another one since the read was sent."""
        if reason is not ExpiredReason.EPOCH:
            self.add_fault(f"the {self.kind} cannot read from {position.sequence}: {reason}")
        elif position.epoch == BEFORE_LOG:
            self.add_fault(f"the {self.kind} cannot read from the position before the log: {reason}")
        elif self.log_history.epochs_since(asked_at) == {position.epoch}:
            self.add_fault(f"the position of the {self.kind} expired, but its epoch {position.epoch} is the log's")

    def store(self, events: list[NumberedEvent], position: Position) -> None:
        """Store events, and the position after them."""
        for each in events:
            number = each.after.sequence - 1
            if number < self.examined or (self.matching == ALL_EVENTS and number != self.examined):
                self.add_fault(f"the {self.kind} read the event {number}, and expected {self.examined}")
            self.examined = number + 1
        if position.sequence < self.examined:
            self.add_fault(f"the {self.kind} got the position {position.sequence} after {self.examined - 1}")
        self.seen += events
        self.examined, self.position = position.sequence, position


def is_planted(error: Exception) -> bool:
    """Return whether an error of the storage is one that the simulation has planted."""
    return isinstance(error, StorageUnavailable) or BY_CHANCE in repr(getattr(error, "content", ""))


@dataclass
class RunningReader:
    """One life of a reader on a machine."""

    stored: StoredReader
    log: EventLogReader
    dice: Random
    appended: Callable[[], asyncio.Event]
    """Return what is set once something is appended."""
    longest_seconds: float
    """Longest time between two reads of a log in which nothing happens."""

    async def run(self, after: float) -> None:
        """Read until the machine dies, from `after` seconds on."""
        await asyncio.sleep(after)
        wait = self.longest_seconds
        while True:
            try:
                has_read = await self._read()
            except (StorageUnavailable, ServiceError) as error:
                if not is_planted(error):
                    raise
                await asyncio.sleep(ERROR_SECONDS)
                continue
            wait = 0.1 if has_read else min(2 * wait, self.longest_seconds)
            await self._wait(wait * self.dice.random())

    async def _wait(self, seconds: float) -> None:
        """Wait for some time, or, as most readers do, until something is appended."""
        if self.dice.random() < WOKEN_SHARE:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.appended().wait()
            seconds = WAKE_SECONDS * self.dice.random()
        await asyncio.sleep(seconds)

    async def _read(self) -> bool:
        """Read a slice, and return whether there was something in it."""
        stored, loop = self.stored, asyncio.get_running_loop()
        asked_at = loop.time()
        if stored.position is None:
            is_tail = stored.kind is ReaderKind.TAIL
            stored.begin(await (self.log.latest(TENANT) if is_tail else self.log.earliest(TENANT)), asked_at)
        elif stored.kind is ReaderKind.POLLER and self.dice.random() < 0.5:
            stored.check_earliest(await self.log.earliest(TENANT), asked_at)
        assert stored.position is not None
        limit = 1000 if stored.kind is ReaderKind.TAIL else self.dice.choice((1, 2, 3, 10))
        raised, epoch = stored.raised_epoch(), stored.position.epoch
        asked_at = loop.time()
        try:
            part = await self.log.read(TENANT, stored.position, limit=limit, matching=stored.matching)
        except PositionExpired as error:
            stored.check_expired(stored.position, error.reason, asked_at)
            await self._restart(error)
            return False
        if BEFORE_LOG < epoch < raised:
            stored.add_fault(f"the {stored.kind} read from the epoch {epoch}, although all were raised to {raised}")
        if part.more and part.next.sequence <= stored.position.sequence:
            stored.add_fault(f"the {stored.kind} does not get on from {stored.position.sequence}")
        if len(part.events) > limit:
            stored.add_fault(f"the {stored.kind} got {len(part.events)} events, and wanted {limit}")
        await self._take(part)
        return bool(part.events) or part.more

    async def _take(self, part: LogSlice) -> None:
        events = list(part.events)
        if self.stored.kind is ReaderKind.TAIL:
            for each in events:
                self.stored.store([each], each.after)
                await asyncio.sleep(0.01 * self.dice.random())
        elif events and self.dice.random() < 0.3:
            taken = events[: self.dice.randint(1, len(events))]
            self.stored.store(taken, taken[-1].after)
            return
        else:
            self.stored.store(events, part.next)

    async def _restart(self, error: PositionExpired) -> None:
        """Go on after the epoch was raised. Nothing was restored in truth, so no event is missing."""
        stored = self.stored
        assert stored.position is not None
        if error.reason is not ExpiredReason.EPOCH:
            await asyncio.sleep(self.longest_seconds)
            return
        asked_at = asyncio.get_running_loop().time()
        latest = await self.log.latest(TENANT)
        stored.check_latest(latest, asked_at)
        stored.position = Position(epoch=latest.epoch, sequence=stored.position.sequence)
