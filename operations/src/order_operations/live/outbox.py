"""Open orders in the index `open_orders`, the outbox: 32 small queries, no scan."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, OrderRepository
from order_shared.storage.outbox import PARKED_SHARDS, SWEPT_SHARDS

SHARD_LIMIT = 100
"""Entries to read per shard, those with the earliest due time. Orders beyond them are not counted."""


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Open orders. The sweeper processes `swept`; `parked` wait for an operator."""

    swept: Sequence[OpenOrder]
    parked: Sequence[OpenOrder]
    capped: bool
    """True if there may be more orders."""

    @property
    def oldest(self) -> datetime | None:
        """Creation time of the oldest swept order; None if there is none."""
        return min((entry.created_at for entry in self.swept), default=None)


async def read_outbox(orders: OrderRepository) -> Outbox:
    """Return the open orders. Raises StorageUnavailable."""
    swept, parked = await asyncio.gather(_read(orders, SWEPT_SHARDS), _read(orders, PARKED_SHARDS))
    capped = any(len(shard) == SHARD_LIMIT for shard in (*swept, *parked))
    return Outbox(swept=list(chain.from_iterable(swept)), parked=list(chain.from_iterable(parked)), capped=capped)


async def _read(orders: OrderRepository, shards: Iterable[str]) -> list[list[OpenOrder]]:
    return await asyncio.gather(*(orders.list_due(shard, MAX_DUE_AT, SHARD_LIMIT) for shard in shards))
