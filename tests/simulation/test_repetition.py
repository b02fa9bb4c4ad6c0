"""A seed decides a run: twice the same seed is twice the same history, another seed another one."""

import asyncio

from tests.simulation.customers import paid, unpaid
from tests.simulation.history import What
from tests.simulation.provider import Outage
from tests.simulation.world import Rules, World, simulate


async def play(world: World) -> tuple[str, int, int]:
    """A short life with everything in it: an outage, a process that is killed, and one that is stopped."""
    world.stock()
    first_api = world.fleet.start_api()
    world.fleet.start_api()
    first, second = world.fleet.start_processor(), world.fleet.start_processor()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.customers.buy(paid(1.0), seconds=30.0))
        group.create_task(world.customers.buy(unpaid(1.0), seconds=30.0))
        await asyncio.sleep(5.0)
        world.provider.outage = Outage.SERVER_ERROR
        await asyncio.sleep(5.0)
        world.fleet.kill(first)
        world.fleet.kill(first_api)
        world.fleet.start_processor()
        await asyncio.sleep(10.0)
        world.provider.outage = None
        await world.fleet.stop_processor(second)
    assert await world.until(lambda: not world.open_orders, within=3600.0)
    return world.history.digest, len(world.customers.purchases), world.history.totals[What.ENDED]


def test_a_seed_gives_the_same_history_in_every_run() -> None:
    one, again, other = (simulate(seed, Rules(), play) for seed in ("7", "7", "8"))
    assert one == again
    assert one != other
    for _, accepted, ended in (one, other):
        assert accepted == ended > 30, "what was accepted ends once, whoever was killed"
