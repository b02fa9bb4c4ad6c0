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

    The stock is divided among `stock_shards` items, so that concurrent orders of a product do not all write one item.
    """

    tenant: str
    sku: str
    name: str
    unit_price: int
    currency: str
    stock_shards: int = 1
    updated_at: datetime

    def shard_for(self, order_id: str) -> int:
        """Return the shard from which the order takes its stock. The result depends only on the id and the product."""
        return crc32(f"{order_id}#{self.sku}".encode()) % self.stock_shards


@dataclass(frozen=True, slots=True)
class StockedProduct:
    """Product with the stock of each of its shards. The shard number is the index of `stock`."""

    product: Product
    stock: tuple[int, ...]

    @property
    def available(self) -> int:
        return sum(self.stock)


def spread(units: int, shards: int) -> list[int]:
    """Return the units of each shard after an even division. The first shards get one more if there is a rest."""
    each, rest = divmod(units, shards)
    return [each + (shard < rest) for shard in range(shards)]


def consolidation(wanted: int, into: int, stock: Sequence[int]) -> dict[int, int] | None:
    """Return the units to move from each other shard so that shard `into` holds at least `wanted`.

    Return None if all shards together hold less than `wanted`. Shards are used in order of their stock, largest first.
    The last of them moves more than is missing if it can: half of its surplus over `into`, or the n-th part of its
    stock for n shards if that is more. Units added to one shard therefore reach all shards after a few moves.
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
