"""More customers want a product than there are units of it."""

from dataclasses import dataclass

from order_shared.domain.order.models import OrderStatus
from tests.simulation.customers import unpaid
from tests.simulation.history import What
from tests.simulation.world import Rules, World, simulate

SKU = "LAST-ONES"


@dataclass(frozen=True, kw_only=True)
class SoldOutNumbers:
    """Nothing is scaled: the rate on one product's partition is what matters."""

    rate: float = 300.0
    seconds: float = 5.0
    units: int = 500
    shards: int = 16


@dataclass(kw_only=True)
class SoldOutResult:
    digest: str
    confirmed: int
    rejected: int
    open_after: int
    slowest_rejection: float
    """Seconds from acceptance to rejection."""
    slowest_confirmation: float
    conflicts: int
    throttled: int
    steps: int


def play_sold_out(seed: str, numbers: SoldOutNumbers) -> SoldOutResult:
    return simulate(seed, Rules(), lambda world: _play(world, numbers))


async def _play(world: World, numbers: SoldOutNumbers) -> SoldOutResult:
    world.stock(SKU, numbers.units, numbers.shards)
    for _ in range(2):
        world.fleet.start_api()
        world.fleet.start_processor()
    await world.customers.buy(unpaid(numbers.rate, SKU), seconds=numbers.seconds)
    await world.until(lambda: not world.open_orders, within=600)
    purchases = world.customers.purchases
    ended = world.statuses(purchases)
    rejected = {
        (order.customer.key, order.created_at)
        for order in world.store.orders.values()
        if order.status is OrderStatus.REJECTED
    }
    waits = [
        ((each.order.customer.key, each.order.created_at) in rejected, wait)
        for each in purchases
        if (wait := world.wait_of(each)) is not None
    ]
    return SoldOutResult(
        digest=world.history.digest,
        confirmed=ended[OrderStatus.CONFIRMED],
        rejected=ended[OrderStatus.REJECTED],
        open_after=len(world.open_orders),
        slowest_rejection=max((wait for was_rejected, wait in waits if was_rejected), default=0.0),
        slowest_confirmation=max((wait for was_rejected, wait in waits if not was_rejected), default=0.0),
        conflicts=world.history.totals[What.CONFLICT],
        throttled=world.history.totals[What.THROTTLED],
        steps=world.loop.steps,
    )
