"""A hot product under load, with conflicts as DynamoDB documents them: neither embedded engine has any.

Each transaction holds its items for 5 ms, failed ones too. Times are virtual.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any, TypeVar

import pytest

from order_shared.domain.order.models import OrderStatus
from tests.simulation.history import What
from tests.simulation.link import Link
from tests.simulation.loop import SimulationLoop
from tests.simulation.shop import SKU, Outcome, Shop, run
from tests.simulation.tables import TableRules

SHARDS = 16
RATE = 800.0
LIMIT_SECONDS = 5.0
CHANGES = 12
RESTOCK = 100
FIRST_CHANGE_SECONDS = 0.1
CHANGE_EVERY_SECONDS = 0.12
REJECTED_WITHIN_SECONDS = 0.8
"""Half of the time that the load lasts, so that no order is rejected only because the load has ended."""
MAX_REQUESTS = 24
"""Of two rivals together."""

T = TypeVar("T")


async def timed(loop: SimulationLoop, change: Coroutine[Any, Any, object]) -> float:
    started = loop.time()
    await change
    return loop.time() - started


async def change_stock_and_price(shop: Shop) -> list[float]:
    """Restock and change the price twelve times each; return the seconds of every change."""
    changes = []
    await asyncio.sleep(FIRST_CHANGE_SECONDS)
    for number in range(CHANGES):
        changes.append(asyncio.ensure_future(timed(shop.loop, shop.restock(RESTOCK, f"restock-{number}"))))
        changes.append(asyncio.ensure_future(timed(shop.loop, shop.put(unit_price=600 + number))))
        await asyncio.sleep(CHANGE_EVERY_SECONDS)
    return await asyncio.gather(*changes)


def sold(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.quantity for outcome in outcomes if outcome.status is OrderStatus.CONFIRMED)


@pytest.mark.parametrize("units", [1000, 0], ids=["in stock", "sold out"])
def test_every_restock_and_price_change_succeeds_beside_any_load(units: int) -> None:
    async def play(loop: SimulationLoop) -> None:
        shop = Shop(loop, "load")
        await shop.open([units] * SHARDS)
        changing = loop.create_task(change_stock_and_price(shop))
        outcomes = await shop.sell_for(FIRST_CHANGE_SECONDS + CHANGES * CHANGE_EVERY_SECONDS, rate=RATE)
        seconds = await changing
        assert len(seconds) == 2 * CHANGES
        assert max(seconds) < LIMIT_SECONDS
        assert max(outcome.seconds for outcome in outcomes) < LIMIT_SECONDS
        assert sum(shop.stock) == units * SHARDS + CHANGES * RESTOCK - sold(outcomes)
        assert shop.unit_price >= 600
        assert shop.history.totals[What.CONFLICT] > 0, "there was no load to speak of"

    run(f"load-{units}", play)


def test_every_order_of_a_sold_out_product_is_rejected_in_time() -> None:
    async def play(loop: SimulationLoop) -> None:
        shop = Shop(loop, "sold-out")
        await shop.open([0] * SHARDS)
        outcomes = await shop.sell_for(1.6, rate=RATE)
        assert {outcome.status for outcome in outcomes} == {OrderStatus.REJECTED}
        assert max(outcome.seconds for outcome in outcomes) < REJECTED_WITHIN_SECONDS
        assert max(shop.deliveries.values()) == 1

    run("sold-out", play)


def test_units_added_to_one_shard_reach_the_buyers_of_all() -> None:
    async def play(loop: SimulationLoop) -> None:
        shop = Shop(loop, "spread")
        await shop.open([RESTOCK * 10] + [0] * (SHARDS - 1))
        outcomes = await shop.sell_for(1.0, rate=RATE)
        assert {outcome.status for outcome in outcomes} == {OrderStatus.CONFIRMED}
        assert max(outcome.seconds for outcome in outcomes) < LIMIT_SECONDS
        assert sum(shop.stock) == RESTOCK * 10 - len(outcomes)

    run("spread", play)


RIVALS = ("processor-0", "processor-1")
NO_CONFLICTS = TableRules(transaction_seconds=0.0, write_seconds=0.0, units_per_second=1e9)


@dataclass
class Turns:
    """Whose request takes effect next: first by the turns of `prefix`, then in turns of `block` requests each."""

    prefix: Sequence[int]
    block: int
    taken: int = 0
    ended: set[str] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, name: str) -> None:
        """Wait until it is the turn of `name`."""
        while name in RIVALS and self._next() != name and not self.ended:
            await self._changed.wait()
        if name in RIVALS:
            self.taken += 1
            assert self.taken <= MAX_REQUESTS, "the rivals undo each other's steps"
            self._wake()

    def end(self, name: str) -> None:
        self.ended.add(name)
        self._wake()

    def _next(self) -> str:
        later = self.taken - len(self.prefix)
        return RIVALS[self.prefix[self.taken] if later < 0 else later // self.block % len(RIVALS)]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(frozen=True)
class InTurns(Link):
    """A machine's way to the tables, on which each request waits for its turn."""

    turns: Turns

    async def call(self, effect: Callable[[], T]) -> T:
        await self.turns.take(self.host)
        return effect()


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("quantities", [(2, 2), (1, 2), (2, 1)], ids=str)
def test_of_two_orders_for_the_last_units_one_is_confirmed(quantities: tuple[int, int], block: int) -> None:
    """Each order has another shard, so each would undo the other's consolidation: in turns of three requests, for ever.

    All orders of the first five requests are tried.
    """

    async def play(loop: SimulationLoop, turns: Turns) -> None:
        shop = Shop(
            loop,
            "last",
            processors=2,
            tables=NO_CONFLICTS,
            link=lambda name, dice, seconds: InTurns(name, dice, seconds, turns),
        )
        await shop.open([1, 1])

        async def sell(number: int) -> Outcome:
            outcome = await shop.sell(quantities[number], shard=number, by=shop.processors[number])
            turns.end(RIVALS[number])
            return outcome

        outcomes = await asyncio.gather(sell(0), sell(1))
        assert Counter(outcome.status for outcome in outcomes) == {OrderStatus.CONFIRMED: 1, OrderStatus.REJECTED: 1}
        assert sum(shop.stock) == 2 - sold(outcomes)
        assert max(shop.deliveries.values()) == 1, "an order needed more than the steps of one delivery"

    for prefix in product((0, 1), repeat=5):
        turns = Turns(prefix, block)
        run("last", lambda loop, turns=turns: play(loop, turns))  # type: ignore[misc]  # of each run


@pytest.mark.parametrize("increases_counted", [True, False], ids=["two reads", "read transaction"])
@pytest.mark.parametrize("seed", range(15))
def test_a_unit_on_its_way_between_shards_is_not_taken_for_sold(seed: int, *, increases_counted: bool) -> None:
    async def play(loop: SimulationLoop) -> None:
        shop = Shop(
            loop,
            f"moving-{seed}",
            increases_counted=increases_counted,
            between_reads=lambda: asyncio.sleep(dice.uniform(0.0, 0.01)),
        )
        await shop.open([1, 0, 0])

        async def move_around() -> None:
            for number in range(1, 13):
                shard = number * (1 + seed % 2) % 3
                await shop.api.inventory.consolidate_stock("acme", SKU, shard=shard, quantity=1)

        moving = loop.create_task(move_around())
        plans = [
            await shop.api.inventory.plan_consolidation("acme", SKU, shard=number % 3, quantity=1)
            for number in range(8)
        ]
        assert None not in plans, "the unit was there at every instant"
        await moving

    dice = Random(f"moving-{seed}/reads")  # noqa: S311 - reproducible, not secret
    run(f"moving-{seed}", play)
