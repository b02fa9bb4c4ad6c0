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


def spread(delta: int, stock: Sequence[int]) -> list[int]:
    """Return a change for each shard; the changes add up to `delta`.

    An addition is divided equally, and the first shards get the remainder. A removal takes from the fullest shards
    first. The caller checks that a removal does not exceed the total.
    """
    if delta >= 0:
        share, rest = divmod(delta, len(stock))
        return [share + (shard < rest) for shard in range(len(stock))]
    changes = [0] * len(stock)
    wanted = -delta
    for shard in sorted(range(len(stock)), key=lambda shard: -stock[shard]):
        taken = min(stock[shard], wanted)
        changes[shard] = -taken
        wanted -= taken
    return changes


def consolidation(wanted: int, into: int, stock: Sequence[int]) -> dict[int, int] | None:
    """Return the quantity to move from each other shard so that `into` has `wanted`; None if the total is too small."""
    missing = wanted - stock[into]
    if sum(stock) < wanted:
        return None
    moves: dict[int, int] = {}
    for shard in sorted(range(len(stock)), key=lambda shard: -stock[shard]):
        if missing <= 0:
            break
        if shard != into and stock[shard] > 0:
            moves[shard] = min(stock[shard], missing)
            missing -= moves[shard]
    return moves
