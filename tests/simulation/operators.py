"""Operators of a run. From time to time they retry parked orders, reject those parked again, and migrate the items."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from order_operations import parked_orders
from tests.fakes import MemoryAuditTrail
from tests.simulation.clock import VirtualClock
from tests.simulation.loop import Host
from tests.simulation.rules import OPERATOR
from tests.simulation.world import World

OPERATOR_SECONDS = 40.0
MIGRATION_SECONDS = 0.4


class Operators:
    def __init__(self, world: World) -> None:
        self._world = world
        self.trail = MemoryAuditTrail()
        self._retried: set[str] = set()

    async def operate(self, *, until: float) -> None:
        clock, host = VirtualClock(self._world.loop), Host(OPERATOR)
        adapters = self._world.adapters(host, sweeps=False, clock=clock)
        while self._world.loop.time() + OPERATOR_SECONDS < until:
            await asyncio.sleep(OPERATOR_SECONDS)
            for order in await _tried(parked_orders.list_parked(adapters, 10)) or []:
                act = parked_orders.reject if order.order_id in self._retried else parked_orders.retry
                self._retried.add(order.order_id)
                await _tried(act(adapters, self.trail, order, actor=OPERATOR, reason="simulated", at=clock()))

    async def migrate(self, *, until: float) -> None:
        """Give older orders their newest version, soon after they were stored."""
        migration = self._world.migration(Host(OPERATOR))
        while self._world.loop.time() + MIGRATION_SECONDS < until:
            await asyncio.sleep(MIGRATION_SECONDS)
            for item in self._world.older_orders():
                await _tried(migration.rewrite(item))

    def rejected(self) -> list[str]:
        """Return the orders that operators wanted to reject."""
        return [operation.subject for operation in self.trail.operations if operation.verb == "orders.reject"]


async def _tried(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result, or None if the work fails: the operator looks again later."""
    with suppress(Exception):
        return await work
    return None
