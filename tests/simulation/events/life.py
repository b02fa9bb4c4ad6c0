"""Life of the logs in a run: notifiers that fail while orders change, readers that are killed, and the end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from order_shared.aws.encoding import attributes
from order_shared.domain.idempotency import to_seconds
from order_shared.storage.event_log.items import LogState, state_item
from order_shared.storage.event_log.repair import EventLogRepair
from order_shared.tables import EVENTS
from tests.fakes import TABLES
from tests.memory_dynamo import Change
from tests.simulation.clock import START, VirtualClock
from tests.simulation.customers import TENANT
from tests.simulation.events.feed import ChangeFeed, FeedQueue
from tests.simulation.events.machines import NotifierMachine, Notifiers, notifier_metrics
from tests.simulation.events.readers import RunningReader, StoredReader
from tests.simulation.events.recorded import RecordedReader
from tests.simulation.events.visibility import EventReads
from tests.simulation.events.watch import OPERATOR, LogWatch, events_of
from tests.simulation.events.webhooks import SHARE, WebhookLife
from tests.simulation.history import History, What
from tests.simulation.loop import Host
from tests.simulation.plans import Event, EventKind, Plan, ReaderKind, Theme

if TYPE_CHECKING:
    from tests.simulation.invariants import Watch
    from tests.simulation.life import StormyWorld
    from tests.simulation.logbook import Logbook

AGE = timedelta(hours=1)
"""Time since which the environment's log exists, in runs that do not begin it."""
LOG_BEGINS_SECONDS = 0.3
"""Time at which notifiers start and begin the log of the environment, in runs that begin it."""
LATE_READERS_SECONDS = 0.6
"""Time at which half of the readers start in these runs. The others ask for a log that has not begun."""
READER_LIVES = 15
"""Least number of times that readers are killed in a storm."""
QUIET_SECONDS = 2.0
"""Time from a write to its events that nothing disturbs."""
RAISE_SECONDS = 5.0


class LogLife:
    """Everything that belongs to the log of events in one run."""

    def __init__(self, world: "StormyWorld", plan: Plan, watch: "Watch", book: "Logbook") -> None:
        self._world = world
        self._plan = plan
        self._violations = watch
        self._book = book
        self._dice = Random(f"{plan.seed}/log")  # noqa: S311 - reproducible, not secret
        self.history = History(world.loop.time)
        self.history.effects = world.history.effects
        self.queue = FeedQueue(world.rules.queue, self._dice, self.history, world.loop.time)
        self.feed = ChangeFeed(
            self.queue, self._dice, self._start, seconds=plan.feed_seconds, duplicates=plan.feed_duplicates
        )
        self.reads = EventReads(world.store.tables, self._dice, world.loop.time, world.rules.tables.log_seconds)
        self.watch = LogWatch(watch.add, world.loop.time)
        self.notifiers = Notifiers(world, plan, self.queue, watch.add, self.watch.has_events)
        self.readers = [
            StoredReader(kind, watch.add, self.watch.history, lambda: self.watch.epoch)
            for kind in ReaderKind
            if kind in plan.readers
        ]
        self._reading: list[Host] = []
        self._page_appended = asyncio.Event()
        self._lives = 0
        dice = Random(f"{plan.seed}/webhooks")  # noqa: S311 - reproducible, not secret
        has_endpoints = self._is_simulated and dice.random() < SHARE
        self.webhooks = WebhookLife(world.store, plan.seed) if has_endpoints else None
        self.notifiers.webhooks = self.webhooks
        self._killed_at_commit: set[str] = set()
        """Machines that die as soon as a request of theirs to the log has taken effect."""
        self._appended_before = _appended()
        world.dynamo.event_reads = self.reads

    @property
    def _is_simulated(self) -> bool:
        return self._plan.notifiers > 0

    def begin(self) -> None:
        """Start notifiers and readers."""
        if not self._is_simulated:
            return
        if self.webhooks is not None:
            self.webhooks.begin()
            if self._plan.theme is Theme.QUIET:
                self.webhooks.heal()
        if self._plan.log_exists:
            born = START - AGE
            state = LogState(epoch=to_seconds(born), born=born)
            self._world.store.tables.put(TABLES.events, attributes(state_item(state)))
            self.watch.history.state_changed(state)
            self._start_notifiers()
        else:
            self._start(self._begin_late())
        late = {False: LATE_READERS_SECONDS, True: 0.0}[self._plan.log_exists]
        self._reading = [
            self._start_reader(reader, after=late * (number % 2)) for number, reader in enumerate(self.readers)
        ]
        if self._plan.theme is not Theme.QUIET:
            self._start(self._kill_readers())

    def _start_notifiers(self) -> None:
        for _ in range(self._plan.notifiers):
            self.notifiers.start()

    async def _begin_late(self) -> None:
        """Start the notifiers, which begin the environment's log, once some readers have asked for it."""
        await asyncio.sleep(LOG_BEGINS_SECONDS)
        self._start_notifiers()

    def committed(self, changes: list[Change], by: str) -> None:
        """Take the changes of one request to the tables."""
        self.reads.committed(changes)
        self.watch.check(changes, by)
        if self._is_simulated:
            self.feed.committed(changes)
        if self.webhooks is not None:
            for fault in self.webhooks.check(changes):
                self._violations.add(f"{by}: {fault}")
        if any(key.table == EVENTS.name and before is None for key, before, _ in changes):
            self._page_appended.set()
            self._page_appended = asyncio.Event()
        if by in self._killed_at_commit and any(key.table == EVENTS.name for key, *_ in changes):
            self._killed_at_commit.discard(by)
            for machine in [each for each in self.notifiers.running if each.host.name == by]:
                self.notifiers.kill(machine)

    async def happen(self, event: Event) -> None:
        """Let an event of the plan happen to notifiers and their queue."""
        act = ACTS.get(event.kind)
        if act is not None and self._is_simulated:
            await asyncio.sleep(event.at)
            await act(self, event)

    async def kill(self, event: Event) -> None:
        """Kill a notifier: at once, or as soon as it has appended, if it does so within the event's seconds."""
        machine = self._one_of(event)
        if machine is None:
            return
        if event.which % 3:
            self._killed_at_commit.add(machine.host.name)
            await self._world.until(lambda: machine not in self.notifiers.running, within=event.seconds, every=0.5)
            self._killed_at_commit.discard(machine.host.name)
        if machine in self.notifiers.running:
            self.notifiers.kill(machine)
        await asyncio.sleep(event.seconds)
        self.notifiers.start()

    async def stop(self, event: Event) -> None:
        machine = self._one_of(event)
        if machine is not None:
            self.notifiers.start()
            self._start(self._drain(machine))

    async def _drain(self, machine: NotifierMachine) -> None:
        if machine not in self.notifiers.running:
            return  # another event has stopped or killed it
        try:
            await self.notifiers.stop(machine)
        except Exception as error:  # noqa: BLE001 - whatever it is, a drain ends without an error
            self._violations.add(f"{machine.host.name} ended with {error!r:.150}")

    async def freeze(self, event: Event) -> None:
        machine = self._one_of(event)
        if machine is not None:
            await self.notifiers.freeze(machine, event.seconds)

    async def stop_queue(self, event: Event) -> None:
        self.queue.down = True
        await asyncio.sleep(event.seconds)
        self.queue.down = False

    async def hang_polls(self, event: Event) -> None:
        self.queue.answers.clear()
        await asyncio.sleep(event.seconds)
        self.queue.answers.set()

    async def silence_queue(self, event: Event) -> None:
        self.queue.settles.clear()
        await asyncio.sleep(event.seconds)
        self.queue.settles.set()

    async def raise_epoch(self, event: Event) -> None:
        """Let an operator raise the epoch of all logs, again until it is done. `which` is 0 if requests meet faults."""
        dynamo = self.notifiers.dynamo(Host(OPERATOR), faulty=not event.which)
        repair = EventLogRepair(dynamo, TABLES, VirtualClock(self._world.loop))
        while True:
            with suppress(Exception):
                self.watch.epoch = max(self.watch.epoch, (await repair.raise_epoch())[0])
                return
            await asyncio.sleep(RAISE_SECONDS)

    def calm(self) -> None:
        """End every fault."""
        self.queue.down = False
        self.queue.answers.set()
        self.queue.settles.set()
        self.feed.hurry()
        if self.webhooks is not None:
            self.webhooks.heal()
        self._killed_at_commit.clear()
        for machine in self.notifiers.running:
            self._world.loop.resume(machine.host)
        if self._is_simulated and not self.notifiers.running:
            self.notifiers.start()

    def end(self) -> None:
        """Check that every notifier still runs."""
        for machine in self.notifiers.running:
            if machine.task.done():
                self._violations.add(f"{machine.host.name} ended by itself")

    def is_at_rest(self) -> bool:
        """Return whether every change has been handled, and every reader is at the end of the log."""
        if self.feed.pending or self.queue.visible or self.queue.in_flight:
            return False
        head = self._log_items().get("0")
        end = 1 if head is None else int(head["next"]["N"])
        if not self._is_simulated:
            return True
        if self.webhooks is not None and not self.webhooks.is_at_rest(end):
            return False
        return all(reader.position and reader.examined == end for reader in self.readers)

    def faults(self) -> Iterator[str]:
        """Return what does not hold at rest."""
        if not self._is_simulated:
            return
        yield from self.watch.faults_at_rest(self._log_items(), self.readers)
        if self.webhooks is not None:
            log = events_of(self._log_items())
            yield from self.webhooks.faults(log, is_quiet=self._plan.theme is Theme.QUIET)
        yield from (f"the feed has the dead letter {letter.body}" for letter in self.queue.dead_letters)
        if self._plan.theme is Theme.QUIET:
            yield from self._quiet_faults()

    def _quiet_faults(self) -> Iterator[str]:
        for what in (What.SENT, What.DELIVERED, What.DELETED):
            if self.history.totals[what] != self.feed.changes:
                yield f"{self.history.totals[what]} changes were {what}, of {self.feed.changes}"
        for what in (What.HIDDEN, What.DEAD_LETTER):
            if self.history.totals[what]:
                yield f"{self.history.totals[what]} changes were {what}"
        if self.watch.longest_delay > QUIET_SECONDS:
            yield f"the events of a write were appended after {self.watch.longest_delay:.1f} s"
        failed = {
            line: count for line, count in self._book.of_notifiers.items() if line.endswith(("failed", "crashed"))
        }
        if failed:
            yield f"notifiers logged {failed}"
        appended, events = _appended() - self._appended_before, sum(len(each.seen) for each in self.readers[:1])
        if appended != events:
            yield f"{appended} events count as appended, of {events}"

    async def _kill_readers(self) -> None:
        """Kill a reader from time to time, until the storm ends. Another one goes on from its position."""
        loop = self._world.loop
        while loop.time() < self._plan.storm_seconds:
            await asyncio.sleep(self._dice.uniform(0.0, self._plan.storm_seconds / READER_LIVES))
            number = self._dice.randrange(len(self.readers))
            loop.kill(self._reading[number])
            self._reading[number] = self._start_reader(self.readers[number])

    def _start_reader(self, stored: StoredReader, *, after: float = 0.0) -> Host:
        self._lives += 1
        host = Host(f"reader-{self._lives}")
        log = RecordedReader(self.notifiers.dynamo(host), TABLES, VirtualClock(self._world.loop))
        log.record, log.host = self._world.history.record, host.name
        dice = Random(f"{self._plan.seed}/{host.name}")  # noqa: S311 - reproducible, not secret
        reader = RunningReader(stored, log, dice, lambda: self._page_appended, self._plan.reader_seconds)
        self._world.loop.start_on(host, reader.run(after))
        return host

    def _log_items(self) -> dict[str, dict[str, Any]]:
        """Return the items of the tenant's log by range key."""
        found = self._world.store.tables.of_table(EVENTS.name)
        return {key.range: item for key, item in found if key.hash == TENANT}

    def _one_of(self, event: Event) -> NotifierMachine | None:
        running = self.notifiers.running
        return running[event.which % len(running)] if running else None

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._world.loop.start_on(self._world.loop.world, work)


ACTS: dict[EventKind, Callable[[LogLife, Event], Coroutine[Any, Any, None]]] = {
    EventKind.KILL_NOTIFIER: LogLife.kill,
    EventKind.STOP_NOTIFIER: LogLife.stop,
    EventKind.FREEZE_NOTIFIER: LogLife.freeze,
    EventKind.EPOCH_RAISED: LogLife.raise_epoch,
    EventKind.QUEUE_DOWN: LogLife.stop_queue,
    EventKind.QUEUE_HANGS: LogLife.hang_polls,
    EventKind.QUEUE_SILENT: LogLife.silence_queue,
}
OF_LOG = frozenset(ACTS) - {EventKind.QUEUE_DOWN, EventKind.QUEUE_HANGS, EventKind.QUEUE_SILENT}
"""Kinds of event that happen to the log alone."""


def _appended() -> int:
    """Return the number of events that notifiers count as appended."""
    metrics: Counter[str] = Counter()
    for family in notifier_metrics().registry.collect():
        for sample in family.samples:
            metrics[sample.name] += int(sample.value)
    return metrics["order_events_total"]
