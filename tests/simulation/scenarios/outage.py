"""The payment provider is away for an hour, while paid and unpaid orders come in."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.customers import PAID, UNPAID, Purchase, paid, unpaid
from tests.simulation.history import Gauge, What
from tests.simulation.loop import MAX_STEPS
from tests.simulation.provider import Outage, ProviderRules
from tests.simulation.queue import QueueRules
from tests.simulation.world import Rules, World, simulate

MINUTE = 60.0
COHORT_SECONDS = 60.0
"""Orders accepted this soon after the outage began are followed."""


@dataclass(frozen=True, kw_only=True)
class OutageNumbers:
    """Before division by `scale`, where nothing else is said. Rates are by second."""

    scale: float = 1000.0
    paid_rate: float = 50.0
    unpaid_rate: float = 50.0
    quota: int = 120_000
    calls_per_second: float = 400.0
    burst: float = 20.0
    """Not divided: a scaled limit by second is less than the calls of one order."""
    kind: Outage = Outage.NO_CONNECTION
    before_minutes: float = 10.0
    outage_minutes: float = 60.0
    drain_minutes: float = 180.0
    max_steps: int = MAX_STEPS
    minutes_shown: tuple[int, ...] = (1, 5, 8, 13, 20, 30, 45, 60)

    @property
    def scaled_quota(self) -> int:
        return round(self.quota / self.scale)


@dataclass(kw_only=True)
class OutageResult:
    digest: str = ""
    messages_per_order: dict[int, float] = field(default_factory=dict)
    """By minute of the outage: messages sent for each order that was accepted in its first minute."""
    quota: int = 0
    most_in_flight: int = 0
    quota_reached_minute: float | None = None
    resent_scheduled: int = 0
    unpaid_wait_before: float = 0.0
    """The longest time from acceptance to the end, in seconds, of the unpaid orders placed before the outage."""
    unpaid_wait: float = 0.0
    """The same of those placed in the outage; infinite if one has not ended."""
    calls_in_outage: int = 0
    calls_after: int = 0
    limited_after: int = 0
    """Calls after the outage that were answered by 429."""
    drained_minutes: float | None = None
    """Time from the end of the outage to the end of every order."""
    orders: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    parked: int = 0
    steps: int = 0


def play_outage(seed: str, numbers: OutageNumbers) -> OutageResult:
    provider = ProviderRules(calls_per_second=numbers.calls_per_second / numbers.scale, burst=numbers.burst)
    rules = Rules(queue=QueueRules(quota=numbers.scaled_quota), provider=provider, max_steps=numbers.max_steps)
    return simulate(seed, rules, lambda world: _play(world, numbers))


async def _play(world: World, numbers: OutageNumbers) -> OutageResult:
    result = OutageResult(quota=numbers.scaled_quota)
    world.stock()
    for _ in range(2):
        world.fleet.start_api()
        world.fleet.start_processor()
    begins = numbers.before_minutes * MINUTE
    ends = begins + numbers.outage_minutes * MINUTE
    async with asyncio.TaskGroup() as group:
        for buying in (paid(numbers.paid_rate / numbers.scale), unpaid(numbers.unpaid_rate / numbers.scale)):
            group.create_task(world.customers.buy(buying, seconds=ends))
        await asyncio.sleep(begins)
        world.provider.outage = numbers.kind
        for minute in numbers.minutes_shown:
            if minute <= numbers.outage_minutes:
                await asyncio.sleep(begins + minute * MINUTE - world.loop.time())
                result.messages_per_order[minute] = _messages_per_order(world, begins)
        await asyncio.sleep(ends - world.loop.time())
        world.provider.outage = None
    drained = await world.until(lambda: not world.open_orders, within=numbers.drain_minutes * MINUTE)
    result.drained_minutes = (world.loop.time() - ends) / MINUTE if drained else None
    _measure(result, world, begins, ends)
    return result


def _measure(result: OutageResult, world: World, begins: float, ends: float) -> None:
    history, purchases = world.history, world.customers.purchases
    unpaid_orders = [each for each in purchases if each.kind == UNPAID]
    result.digest = history.digest
    result.most_in_flight = history.highest(Gauge.IN_FLIGHT)
    at_quota = [second for second, count in history.gauges[Gauge.IN_FLIGHT].items() if count >= result.quota]
    result.quota_reached_minute = (min(at_quota) - begins) / MINUTE if at_quota else None
    result.resent_scheduled = history.totals[What.RESENT_SCHEDULED]
    result.unpaid_wait_before = _longest(world, (each for each in unpaid_orders if each.accepted_at < begins))
    result.unpaid_wait = _longest(world, (each for each in unpaid_orders if begins <= each.accepted_at < ends))
    result.calls_in_outage = history.count(What.PROVIDER_CALL, begins, ends)
    result.calls_after = history.count(What.PROVIDER_CALL, ends)
    result.limited_after = history.count(What.PROVIDER_LIMITED, ends)
    result.orders = len(purchases)
    result.ended = {str(status): count for status, count in sorted(world.statuses(purchases).items())}
    result.parked = history.totals[What.PARKED]
    result.steps = world.loop.steps


def _messages_per_order(world: World, begins: float) -> float:
    early = [
        each.order.order_id
        for each in world.customers.purchases
        if each.kind == PAID and begins <= each.accepted_at < begins + COHORT_SECONDS
    ]
    return round(sum(world.queue.sends_of[order_id] for order_id in early) / max(1, len(early)), 2)


def _longest(world: World, purchases: Iterable[Purchase]) -> float:
    waits = [world.wait_of(each) for each in purchases]
    return max((float("inf") if wait is None else wait for wait in waits), default=0.0)
