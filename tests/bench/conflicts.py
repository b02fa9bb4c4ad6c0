"""Transaction conflicts as DynamoDB has them, simulated: the embedded AWS applies one write after the other.

While an item is written, no transaction may write it; while a transaction writes it, no update may. Who comes second is
refused, and has to come again. Reads never conflict here, though DynamoDB may cancel a TransactGetItems too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum, auto

from order_shared.tables import INVENTORY, ORDERS
from tests.chaos.wire import TRANSACTION, UPDATE, Answer, Call, Forward, aws_error, cancelled

HOLD_SECONDS = 0.005
"""How long a write holds its items: about what a transaction takes in DynamoDB, however slow the embedded AWS is."""


class Cause(StrEnum):
    """What a refused write was about, and which items it met another one on."""

    TAKE = auto()
    """An order's units taken: on a stock record."""
    GATHER = auto()
    """Units moved from shard to shard: on a stock record."""
    OTHER = auto()
    """On anything else."""


async def hold() -> None:
    await asyncio.sleep(HOLD_SECONDS)


class Conflicts:
    """A plan that refuses a write whose items are held by another one. Each holds its items while `held` runs."""

    def __init__(self, held: Callable[[], Awaitable[None]] = hold) -> None:
        self._held = held
        self._by_operation: dict[str, Counter[str]] = {TRANSACTION: Counter(), UPDATE: Counter()}
        self.refused: Counter[Cause] = Counter()

    async def meet(self, call: Call, forward: Forward) -> Answer:
        keys = call.written_keys
        if not keys:
            return await forward(call)
        rivals = [TRANSACTION, UPDATE] if call.operation == TRANSACTION else [TRANSACTION]
        conflicts = [any(self._by_operation[rival][key] for rival in rivals) for key in keys]
        if any(conflicts):
            self.refused[_cause(keys, conflicts)] += 1
            return cancelled(conflicts) if call.operation == TRANSACTION else aws_error("TransactionConflictException")
        self._by_operation[call.operation].update(keys)
        try:
            await self._held()
        finally:
            self._by_operation[call.operation].subtract(keys)
        return await forward(call)


def _cause(keys: list[str], conflicts: list[bool]) -> Cause:
    tables = [_table(key) for key in keys]
    if INVENTORY.name not in {table for table, conflict in zip(tables, conflicts, strict=True) if conflict}:
        return Cause.OTHER
    return Cause.TAKE if ORDERS.name in tables else Cause.GATHER


def _table(key: str) -> str:
    """Of a key of `Call.written_keys`, without the prefix of its world."""
    name: str = json.loads(key)[0]
    return name.rpartition("-")[2]
