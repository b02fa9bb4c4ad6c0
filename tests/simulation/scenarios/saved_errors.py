"""The payment provider answers with errors for a minute, saves them under their keys, and replays them afterwards."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from itertools import count

from order_api.auth import Identity
from order_shared.domain.order.models import Order, OrderStatus
from tests.simulation.customers import paid
from tests.simulation.history import What
from tests.simulation.provider import Outage
from tests.simulation.world import Rules, World, simulate

MINUTE = 60.0


@dataclass(frozen=True, kw_only=True)
class SavedErrorNumbers:
    kind: Outage = Outage.SAVED_ERROR
    rate: float = 2.0
    before: float = 10.0
    errors: float = MINUTE
    after: float = 10.0
    drain: float = 40 * MINUTE


@dataclass(kw_only=True)
class SavedErrorResult:
    digest: str
    wanted: Counter[str]
    """Ends that the customers want."""
    ended: Counter[str]
    wrong_money: list[str]
    """Orders whose charges and refunds do not fit their end."""
    saved: Counter[str]
    """Errors that the provider has saved, by call."""
    parked: int
    steps: int


def play_saved_errors(seed: str, numbers: SavedErrorNumbers) -> SavedErrorResult:
    return simulate(seed, Rules(), lambda world: _play(world, numbers))


async def _play(world: World, numbers: SavedErrorNumbers) -> SavedErrorResult:
    world.stock()
    for _ in range(2):
        world.fleet.start_api()
        world.fleet.start_processor()
    seconds = numbers.before + numbers.errors + numbers.after
    cancelled: set[str] = set()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.customers.buy(paid(numbers.rate), seconds=seconds))
        group.create_task(_cancel_each_third(world, seconds, cancelled))
        await asyncio.sleep(numbers.before)
        world.provider.outage = numbers.kind
        await asyncio.sleep(numbers.errors)
        world.provider.outage = None
    await world.until(lambda: not world.open_orders, within=numbers.drain)
    orders = list(world.store.orders.values())
    return SavedErrorResult(
        digest=world.history.digest,
        wanted=Counter("cancelled" if each.order_id in cancelled else "confirmed" for each in orders),
        ended=Counter(str(each.status) for each in orders),
        wrong_money=[each.order_id for each in orders if not _is_settled(world, each)],
        saved=Counter(str(failure.call) for failure in world.provider.failures.values()),
        parked=world.history.totals[What.PARKED],
        steps=world.loop.steps,
    )


async def _cancel_each_third(world: World, seconds: float, cancelled: set[str]) -> None:
    """Cancel orders soon after their acceptance, before, during or after their payment; add their ids to a set."""
    ends_at = world.loop.time() + seconds
    for number in count(step=3):
        while len(world.customers.purchases) <= number:
            if world.loop.time() >= ends_at:
                return
            await asyncio.sleep(0.5)
        order = world.customers.purchases[number].order
        cancelled.add(order.order_id)
        machine = world.fleet.apis[0]
        identity = Identity(order.customer, frozenset())
        await world.loop.start_on(machine.host, machine.service.cancel(identity, order.order_id, None))


def _is_settled(world: World, order: Order) -> bool:
    """Return whether exactly the total of a confirmed order was charged and kept, and nothing of another order."""
    charged = world.provider.charged.get(order.order_id, 0)
    refunded = world.provider.refunded.get(order.order_id, 0)
    if order.status is OrderStatus.CONFIRMED:
        return (charged, refunded) == (order.total, 0)
    return charged == refunded and charged in {0, order.total}
