"""Products and their stock. Pure: no I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

MAX_UNIT_PRICE = 10_000_000  # minor units
MAX_NAME_LENGTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Product of a tenant. `unit_price` is in minor units of `currency` (ISO 4217).

    Its stock is divided over `stock_shards` items, so that many buyers of one product do not compete for one item.
    """

    tenant: str
    sku: str
    name: str
    unit_price: int
    currency: str
    stock_shards: int = 1
    updated_at: datetime

    def shard_for(self, order_id: str) -> int:
        """Return the shard that the order takes its stock from. It is always the same for an order."""
        return crc32(f"{order_id}#{self.sku}".encode()) % self.stock_shards


@dataclass(frozen=True, slots=True)
class StockedProduct:
    """A product with the stock of each of its shards, by shard number."""

    product: Product
    stock: tuple[int, ...]

    @property
    def available(self) -> int:
        return sum(self.stock)


def consolidation(wanted: int, into: int, stock: Sequence[int]) -> dict[int, int] | None:
    """Return what to move from each other shard so that `into` holds `wanted`; None if their sum is too small.

    The fullest shards give first. The last of them gives half of what it has more than `into`, and at least its part of
    an even spread: so units that were added to one shard reach all others in a few moves.
    """
    if sum(stock) < wanted:
        return None
    shards = len(stock)
    missing = wanted - stock[into]
    moves: dict[int, int] = {}
    for shard in sorted(range(shards), key=lambda shard: (-stock[shard], (shard - into) % shards)):
        if missing <= 0:
            break
        if shard != into and stock[shard] > 0:
            even = max(-(-stock[shard] // shards), (stock[shard] - stock[into]) // 2)
            moves[shard] = min(stock[shard], max(missing, even))
            missing -= moves[shard]
    return moves
