"""What the platform still owes an end, as the index `open_orders` shows it: 32 small queries, no scan."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, OrderRepository
from order_shared.storage.outbox import PARKED_SHARDS, SWEPT_SHARDS

SHARD_LIMIT = 100
"""Entries that are read of each shard: those that fall due first. Orders beyond them are not counted."""


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """`swept` are open and looked after by the platform, `parked` wait for an operator."""

    swept: Sequence[OpenOrder]
    parked: Sequence[OpenOrder]
    capped: bool
    """There may be more than these."""

    @property
    def oldest(self) -> datetime | None:
        """Since when the platform has owed the longest."""
        return min((entry.created_at for entry in self.swept), default=None)


async def read_outbox(orders: OrderRepository) -> Outbox:
    """Raises StorageUnavailable."""
    swept, parked = await asyncio.gather(_read(orders, SWEPT_SHARDS), _read(orders, PARKED_SHARDS))
    capped = any(len(shard) == SHARD_LIMIT for shard in (*swept, *parked))
    return Outbox(swept=list(chain.from_iterable(swept)), parked=list(chain.from_iterable(parked)), capped=capped)


async def _read(orders: OrderRepository, shards: Iterable[str]) -> list[list[OpenOrder]]:
    return await asyncio.gather(*(orders.list_due(shard, MAX_DUE_AT, SHARD_LIMIT) for shard in shards))
