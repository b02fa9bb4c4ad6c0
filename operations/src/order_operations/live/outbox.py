"""Open orders, read from the index `open_orders` (the outbox) with small queries."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from order_shared.storage.orders import MAX_DUE_AT, OpenOrder, OrderRepository
from order_shared.storage.outbox import PARKED_SHARDS, SWEPT_SHARDS, KeyRotation
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS

SHARD_LIMIT = 100
"""Maximum number of entries read per shard, earliest due time first. Further orders of the shard are not counted."""

IDLE_SHARDS = 16
"""Number of shards, other than the first 16 and those with orders, that each look reads."""


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Open orders. The sweeper reads the orders in `swept`; those in `parked` wait for an operator."""

    swept: Sequence[OpenOrder]
    parked: Sequence[OpenOrder]
    capped: bool
    """True if a shard reached SHARD_LIMIT, so that there may be more orders."""

    @property
    def oldest(self) -> datetime | None:
        """Creation time of the oldest swept order; None if there is none."""
        return min((entry.created_at for entry in self.swept), default=None)


class OutboxReader:
    """Reader that queries the outbox repeatedly and keeps the entries of shards that it does not read each time.

    The first `read` queries every shard. Each later one queries the first 16 shards, those that were not empty, and 16
    others, so that an empty shard is queried again within 7 reads.
    """

    def __init__(self, orders: OrderRepository) -> None:
        self._orders = orders
        self._swept, self._parked = (
            KeyRotation(shards, always=DEFAULT_OPEN_SHARDS, idle=IDLE_SHARDS, busy=OPEN_SHARDS)
            for shards in (SWEPT_SHARDS, PARKED_SHARDS)
        )
        self._entries: dict[str, list[OpenOrder]] = {}

    async def read(self) -> Outbox:
        """Query the shards that are due, and return all known open orders. Raises StorageUnavailable."""
        reads = [(rotation, shard) for rotation in (self._swept, self._parked) for shard in rotation.look()]
        await asyncio.gather(*(self._read(rotation, shard) for rotation, shard in reads))
        swept, parked = ([self._entries[shard] for shard in shards] for shards in (SWEPT_SHARDS, PARKED_SHARDS))
        capped = any(len(shard) == SHARD_LIMIT for shard in (*swept, *parked))
        return Outbox(swept=list(chain.from_iterable(swept)), parked=list(chain.from_iterable(parked)), capped=capped)

    async def _read(self, rotation: KeyRotation, shard: str) -> None:
        entries = await self._orders.list_due(shard, MAX_DUE_AT, SHARD_LIMIT)
        rotation.was_read(shard, found=bool(entries))
        self._entries[shard] = entries
