"""Processors come back to messages that have waited: for minutes, for a day, or to an outbox without any message."""

import asyncio
from dataclasses import dataclass

from tests.simulation.customers import paid, unpaid
from tests.simulation.history import Gauge, What
from tests.simulation.loop import MAX_STEPS
from tests.simulation.queue import QueueRules
from tests.simulation.world import Rules, World, simulate

MINUTE = 60.0
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class BacklogNumbers:
    """A processor handles about `concurrency` messages in the time of one write.

    The ways are as long as they have to be for that to be `scale` times less than a real one handles.
    """

    scale: float = 100.0
    rate: float = 400.0
    """Orders a second, before division by `scale`. They go on while the backlog is worked off."""
    away: float = 15 * MINUTE
    """Time without processors while orders come in."""
    rest: float = 0.0
    """Time without processors and without orders, afterwards."""
    concurrency: int = 2
    table_way: float = 0.15
    drain: float = 60 * MINUTE
    max_steps: int = MAX_STEPS

    @property
    def rules(self) -> Rules:
        return Rules(
            queue=QueueRules(quota=round(120_000 / self.scale)),
            table_way=self.table_way,
            processor={"concurrency": self.concurrency},
            max_steps=self.max_steps,
            gauge_seconds=1.0 if self.rest < HOUR else MINUTE,
        )


@dataclass(kw_only=True)
class BacklogResult:
    digest: str
    backlog: int
    """Messages that waited when the first processor started."""
    orders: int
    resent: int
    delivered: int
    empty_polls: int
    """Polls without a message before the backlog was empty."""
    drained_minutes: float | None
    """Time from the first processor's start until no order was open."""
    parked: int
    most_visible: int
    steps: int


def play_backlog(seed: str, numbers: BacklogNumbers) -> BacklogResult:
    """Let orders wait, start one processor, and the second when half of the backlog is done."""
    return simulate(seed, numbers.rules, lambda world: _play(world, numbers))


async def _play(world: World, numbers: BacklogNumbers) -> BacklogResult:
    world.stock()
    for _ in range(2):
        world.fleet.start_api()
    rate = numbers.rate / numbers.scale
    await world.customers.buy(unpaid(rate), seconds=numbers.away)
    await asyncio.sleep(numbers.rest)
    backlog, started = world.queue.visible, world.loop.time()
    goes_on = asyncio.create_task(world.customers.buy(unpaid(rate), seconds=numbers.drain))
    world.fleet.start_processor()
    await world.until(lambda: world.queue.visible <= backlog / 2, within=numbers.drain)
    world.fleet.start_processor()
    drained = await world.until(lambda: world.queue.visible == 0, within=numbers.drain)
    empty_polls = world.history.totals[What.EMPTY_POLL]
    goes_on.cancel()
    ended = await world.until(lambda: not world.open_orders, within=10 * MINUTE)
    return BacklogResult(
        digest=world.history.digest,
        backlog=backlog,
        orders=len(world.store.orders),
        resent=world.history.totals[What.RESENT],
        delivered=world.history.totals[What.DELIVERED],
        empty_polls=empty_polls,
        drained_minutes=(world.loop.time() - started) / MINUTE if drained and ended else None,
        parked=world.history.totals[What.PARKED],
        most_visible=world.history.highest(Gauge.VISIBLE),
        steps=world.loop.steps,
    )


@dataclass(frozen=True, kw_only=True)
class OutboxNumbers:
    orders_per_second: float = 10.0
    seconds: float = 20.0
    before: float = 3 * MINUTE
    """Time that the processors have been running."""


@dataclass(kw_only=True)
class OutboxResult:
    digest: str
    orders: int
    sent_by_api: int
    drained_seconds: float | None
    """Time from the last acceptance until no order was open."""
    steps: int


def play_outbox_alone(seed: str, numbers: OutboxNumbers) -> OutboxResult:
    """Accept paid orders while the queue takes no message: afterwards the outbox has them, and the queue is empty."""
    return simulate(seed, Rules(), lambda world: _play_outbox_alone(world, numbers))


async def _play_outbox_alone(world: World, numbers: OutboxNumbers) -> OutboxResult:
    world.stock()
    world.fleet.start_api()
    for _ in range(2):
        world.fleet.start_processor()
    await asyncio.sleep(numbers.before)
    world.queue.down = True
    await world.customers.buy(paid(numbers.orders_per_second), seconds=numbers.seconds)
    sent_by_api = world.history.totals[What.SENT] - world.history.totals[What.RESENT]
    world.queue.down = False
    accepted = world.loop.time()
    drained = await world.until(lambda: not world.open_orders, within=HOUR)
    return OutboxResult(
        digest=world.history.digest,
        orders=len(world.customers.purchases),
        sent_by_api=sent_by_api,
        drained_seconds=world.loop.time() - accepted if drained else None,
        steps=world.loop.steps,
    )
