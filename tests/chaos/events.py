"""Proves that every change of an order becomes one event, in order for each order, and exits with 1 if not.

Customers place, pay and cancel orders, while APIs, processors and notifiers are killed before and after each kind of
request that they make. Once all is quiet, the log of events is held against the history of each order.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Protocol

import uvloop
from rich.console import Console
from rich.table import Table

from devstack.lab.history import Verdict
from devstack.stack import running_infrastructure
from order_shared.domain.order.events import OrderEvent, OrderEvents
from order_shared.domain.order.models import Order
from order_shared.storage.event_log.read import ALL_EVENTS, NumberedEvent
from tests.chaos.customers import go_shopping
from tests.chaos.proxy import Clear
from tests.chaos.scenarios import SHARDS, Trial
from tests.chaos.wire import RECEIVE, Answer, Call, Forward, Reset
from tests.chaos.world import World, open_world
from tests.waiting import eventually

STATE = Path(".local/chaos-events")
PROCESSES = ("api-1", "api-2", "processor-1", "processor-2", "notifier-1", "notifier-2")
STOCK = {"COMMON": 100_000, "HOT": 60, "RARE": 15}
AT_ONCE = 12
LEAST = 50
CROWD_SECONDS = 420.0
MAX_GAP = 10
"""Maximum requests of one kind between two kills at it."""
UNCOUNTED = frozenset({"GetQueueUrl", "GetQueueAttributes"})
EVENT_SECONDS = 120.0

Point = tuple[str, str, str]
"""Kind of process, before or after, operation."""


class Reaper:
    """Plan that kills a process before or after a request: each kind of request in turn, again and again.

    One process at a time is dead. `kills` counts the kills by point; `seen` has every point met.
    """

    def __init__(self, world: World, dice: Random) -> None:
        self._world = world
        self._dice = dice
        self._left: dict[Point, int] = {}
        self.kills: Counter[Point] = Counter()
        self.seen: set[Point] = set()
        self._struck = asyncio.Event()
        self._reviving = asyncio.create_task(self._revive())

    async def meet(self, call: Call, forward: Forward) -> Answer:
        self._pass(call, "before")
        answer = await forward(call)
        if call.operation != RECEIVE or answer.content.get("Messages"):
            self._pass(call, "after")
        return answer

    @property
    def unkilled(self) -> list[Point]:
        """Return the kinds of request that were seen without a kill."""
        return sorted(point for point in self.seen if not self.kills[point])

    async def stop(self) -> None:
        """Kill nobody any more, and start what is dead."""
        self._reviving.cancel()
        await asyncio.gather(self._reviving, return_exceptions=True)
        await self._world.revive()

    def _pass(self, call: Call, when: str) -> None:
        if call.operation in UNCOUNTED:
            return
        if self._struck.is_set():
            return  # one process at a time; what a process asks while it starts is not counted either
        point = (call.caller.partition("-")[0], when, call.operation)
        self.seen.add(point)
        left = self._left.setdefault(point, self._dice.randint(0, MAX_GAP))
        self._left[point] = left - 1
        is_due = left <= 0 and self.kills[point] == min(self.kills[each] for each in self.seen)
        if not is_due:
            return
        self.kills[point] += 1
        self._left[point] = self._dice.randint(0, MAX_GAP)
        self._world.kill(call.caller)
        self._struck.set()
        raise Reset

    async def _revive(self) -> None:
        while True:
            await self._struck.wait()
            await self._world.revive()
            self._struck.clear()


@dataclass
class Outcome:
    orders: int = 0
    events: int = 0
    kills: Counter[Point] = field(default_factory=Counter)
    unkilled: list[Point] = field(default_factory=list)
    """Kinds of request that were met, and at which nobody was killed."""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Audience(Protocol):
    """What else reads the log of the shop while processes are killed."""

    async def open(self, tenant: str) -> None:
        """Prepare, before the first order."""

    async def faults(self, events: Sequence[OrderEvent]) -> list[str]:
        """Return what is wrong with what was read, once everything has been killed and started again."""
        ...


async def run_events(
    world: World, name: str, customers: int, *, seconds: float = CROWD_SECONDS, audience: Audience | None = None
) -> Outcome:
    """Let customers shop while processes are killed, and compare the log with the orders. The name is the seed.

    Customers come until there were enough, and until each kind of request was killed at or `seconds` are over.
    """
    started = time.monotonic()
    trial = Trial(world, name, STOCK, SHARDS)
    if audience is not None:
        await audience.open(trial.shop.tenant)
    reaper = Reaper(world, Random(name))  # noqa: S311 - reproducible, not secret
    numbers = count()
    give_up_at = started + seconds

    async def shop() -> None:
        """Send customers one after another, until there were enough and each kind of request was killed at."""
        for number in numbers:
            has_killed_enough = time.monotonic() > give_up_at or (number > LEAST and not reaper.unkilled)
            if number >= customers and has_killed_enough:
                return
            await go_shopping(trial.shop, trial.history, number, name, list(STOCK))

    async with trial.under(reaper, Clear()):
        await asyncio.gather(*(shop() for _ in range(AT_ONCE)))
        await reaper.stop()
    orders = await world.books.orders(trial.shop.tenant)
    events = await read_log(world, trial.shop.tenant, orders)
    outcome = Outcome(
        orders=len(orders),
        events=len(events),
        kills=reaper.kills,
        unkilled=reaper.unkilled,
        faults=compare(orders, events),
    )
    if audience is not None:
        outcome.faults += await audience.faults([each.event for each in events])
    outcome.faults += _details((await trial.result(reaper.kills.total())).verdict)
    outcome.seconds = time.monotonic() - started
    return outcome


def _details(verdict: Verdict) -> list[str]:
    return [] if verdict.holds else list(verdict.details)


async def read_log(world: World, tenant: str, orders: Sequence[Order]) -> list[NumberedEvent]:
    """Return the tenant's events once there are as many as changes of its orders, or time is up."""
    expected = sum(len(OrderEvents.of(order)) for order in orders)
    reader = world.books.event_reader
    found: list[NumberedEvent] = []

    async def is_complete() -> bool:
        found.clear()
        position = await reader.earliest(tenant)
        while True:
            part = await reader.read(tenant, position, limit=1000, matching=ALL_EVENTS)
            found.extend(part.events)
            position = part.next
            if not part.more:
                return len(found) >= expected

    with suppress(AssertionError):  # the comparison tells what is missing
        await eventually(is_complete, "the log", patience=EVENT_SECONDS, pause=0.5)
    return found


def compare(orders: Sequence[Order], found: Sequence[NumberedEvent]) -> list[str]:
    """Return what is wrong with a log: events that are missing, doubled, strange or out of order, and gaps."""
    faults: list[str] = []
    numbers = [each.after.sequence - 1 for each in found]
    if numbers != list(range(1, len(found) + 1)):
        faults.append(f"the events are numbered from {numbers[:1]} to {numbers[-1:]}, and they are {len(found)}")
    of_order: defaultdict[str, list[OrderEvent]] = defaultdict(list)
    for each in found:
        of_order[each.event.order_id].append(each.event)
    for order in orders:
        expected, actual = list(OrderEvents.of(order)), of_order.pop(order.order_id, [])
        if actual != expected:
            faults.append(f"{order.order_id} has {_names(actual)}, not {_names(expected)}")
    faults += [f"{order_id} has events, and does not exist" for order_id in of_order]
    return faults


def _names(events: Sequence[OrderEvent]) -> str:
    return ", ".join(f"{event.version} {event.change}" for event in events) or "no events"


def report(outcome: Outcome, verdict: str, state: Path) -> int:
    """Print the outcome; `verdict` is what holds if there is no fault. Return the exit code."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=100)
    table = Table("killed", "when", "request", "kills")
    for (kind, when, operation), kills in sorted(outcome.kills.items()):
        table.add_row(kind, when, operation, str(kills))
    console.print(table)
    for fault in outcome.faults[:20]:
        console.print(f"  {fault}")
    is_whole = outcome.orders > 0 and not outcome.faults and not outcome.unkilled
    for point in outcome.unkilled:
        console.print(f"  nobody was killed {' '.join(point)}")
    verdict = verdict if is_whole else f"FAILED; the logs are in {state}/logs"
    console.print(
        f"{outcome.orders} orders, {outcome.events} events, {outcome.kills.total()} kills: {verdict}; "
        f"{outcome.seconds:.0f} s"
    )
    return 0 if is_whole else 1


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.events", description=summary, epilog=rest)
    parser.add_argument("--orders", metavar="N", type=int, default=2000, help="customers, each with an order (2000)")
    parser.add_argument("--seed", default="seed 1", help="name of the run, from which all else follows")
    options = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)

    async def run() -> Outcome:
        async with open_world(stack, "events-", PROCESSES) as world:
            return await run_events(world, options.seed, options.orders)

    with running_infrastructure(STATE) as stack:
        outcome = uvloop.run(run())
    return report(outcome, "each once, in order, without a gap", STATE)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
