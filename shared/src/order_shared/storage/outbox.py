"""Partitions of the index `open_orders`, the outbox. Parked orders have separate partitions, which no sweep reads."""

from zlib import crc32

from order_shared.domain.order.models import Order
from order_shared.tables import OPEN_SHARDS

SWEPT_SHARDS = tuple(map(str, range(OPEN_SHARDS)))
PARKED_SHARDS = tuple(f"parked#{shard:02d}" for shard in range(OPEN_SHARDS))


def open_shard_of(order: Order) -> str:
    """Return the partition of an open order."""
    shards = SWEPT_SHARDS if order.parking.parked is None else PARKED_SHARDS
    return shards[crc32(order.order_id.encode()) % OPEN_SHARDS]
