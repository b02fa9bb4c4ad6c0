"""Changes of stock take effect once and as a whole, whatever crashes, is lost or repeated meanwhile."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from aws_json_client.errors import ConnectionFailed
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.inventory.exceptions import InsufficientStock, StockShardsShrunk
from order_shared.domain.order.models import OrderStatus
from tests.simulation.link import Link
from tests.simulation.loop import SimulationLoop
from tests.simulation.shop import Shop, T, run

FAULTY = 0.1
"""Share of requests that are lost, and of those whose response is."""
CRASH_WITHIN_SECONDS = 0.05
MAX_CRASHES = 4

deltas = st.lists(st.integers(-8, 12).filter(bool), min_size=1, max_size=6)
numbers = st.lists(st.integers(1, 16), max_size=4)
quantities = st.lists(st.integers(1, 6), max_size=4)


@dataclass(frozen=True)
class LossyLink(Link):
    async def call(self, effect: Callable[[], T]) -> T:
        luck = self.dice.random()
        if luck < FAULTY:
            await self._travel()
            raise ConnectionFailed(TimeoutError())
        result = await super().call(effect)
        if luck < 2 * FAULTY:
            raise ConnectionFailed(TimeoutError())
        return result


async def adjust(shop: Shop, delta: int, key: str, crashes: int) -> bool:
    """Send an adjustment until it is answered. The first attempts end in the midst of it."""
    while True:
        attempt = shop.loop.create_task(shop.restock(delta, key))
        patience = shop.dice.uniform(0, CRASH_WITHIN_SECONDS) if crashes else None
        ended, _ = await asyncio.wait([attempt], timeout=patience)
        if not ended:
            crashes -= 1
            attempt.cancel()
            await asyncio.wait([attempt])
            continue
        try:
            attempt.result()
        except StorageUnavailable:
            continue
        except InsufficientStock:
            return False
        return True


async def raise_shards(shop: Shop, wanted: list[int]) -> None:
    for number in wanted:
        for _ in range(20):
            try:
                await shop.put(unit_price=500, stock_shards=number)
            except StorageUnavailable:
                continue
            except StockShardsShrunk:
                pass
            break


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), deltas, numbers, quantities, st.integers(1, 4), st.integers(0, MAX_CRASHES))
def test_each_adjustment_is_applied_once_and_whole(
    seed: int, changes: list[int], wanted: list[int], bought: list[int], shards: int, crashes: int
) -> None:
    async def play(loop: SimulationLoop) -> None:
        shop = Shop(loop, str(seed), processors=2, link=LossyLink)
        while True:
            try:
                await shop.open([3] * shards)
                break
            except StorageUnavailable:
                pass
        raising = loop.create_task(raise_shards(shop, wanted))
        selling = [loop.create_task(shop.sell(quantity)) for quantity in bought]
        applied = await asyncio.gather(
            *(adjust(shop, delta, f"key-{number}", crashes) for number, delta in enumerate(changes))
        )
        outcomes = [await sale for sale in selling]
        await raising

        def expected() -> int:
            sold = sum(outcome.quantity for outcome in outcomes if outcome.status is OrderStatus.CONFIRMED)
            added = sum(delta for delta, done in zip(changes, applied, strict=True) if done)
            return int(3 * shards + added - sold)

        assert sum(shop.stock) == expected()
        assert min(shop.stock) >= 0
        assert len(shop.stock) >= shards
        for number, (delta, done) in enumerate(zip(changes, applied, strict=True)):
            if done:
                assert await adjust(shop, delta, f"key-{number}", 0)
        assert sum(shop.stock) == expected()

    run(str(seed), play)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 16), min_size=1, max_size=5))
def test_no_order_meets_a_shard_that_does_not_exist(seed: int, wanted: list[int]) -> None:
    """Whatever number of shards the product names, each of them is stored."""

    async def play(loop: SimulationLoop) -> None:
        shop = Shop(loop, str(seed), link=LossyLink)
        raising = loop.create_task(raise_shards(shop, wanted))
        highest = 0
        while not raising.done():
            if shop.is_open:
                assert len(shop.stock) == shop.stock_shards >= highest
                highest = shop.stock_shards
            await asyncio.sleep(0.0005)
        await raising
        assert not shop.is_open or shop.stock_shards in wanted

    run(str(seed), play)
