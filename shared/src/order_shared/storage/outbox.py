"""Hash keys of the index `open_orders` (the outbox): the key of each order, and the sequence in which keys are read.

    "0" to "15"                  open orders; every release reads and writes these keys
    "16" to "127"                open orders; written if ORDER_OPEN_SHARDS is 128; unknown to the last release
    "parked#00" to "parked#15"   parked orders, which no sweep reads; every release reads and writes these keys
    "parked#16" to "parked#127"  parked orders; written if ORDER_OPEN_SHARDS is 128; unknown to the last release

The number in a key is a hash of the order id modulo the number of keys written. 16 divides 128, so an order that has
key n of 128 has key n modulo 16 of 16. `DEFAULT_SHARDS` maps the first to the second.

Every process reads all 128 keys, even if it writes only 16, but not all of them each time: `KeyRotation` selects the
keys of one look, that is, of one pass over the outbox.
"""

import random
from collections.abc import Mapping, Sequence
from zlib import crc32

from order_shared.domain.order.models import Order
from order_shared.tables import DEFAULT_OPEN_SHARDS, OPEN_SHARDS

SWEPT_SHARDS = tuple(map(str, range(OPEN_SHARDS)))
PARKED_SHARDS = tuple(f"parked#{shard:02d}" for shard in range(OPEN_SHARDS))

DEFAULT_SHARDS: Mapping[str, str] = {
    shards[number]: shards[number % DEFAULT_OPEN_SHARDS]
    for shards in (SWEPT_SHARDS, PARKED_SHARDS)
    for number in range(DEFAULT_OPEN_SHARDS, OPEN_SHARDS)
}
"""Map from each key with a number above 15 to the key that its orders have when 16 keys are written."""

MAX_BUSY = 16
"""Maximum number of keys per look that are selected because their last read found orders."""


def open_shard_of(order: Order, open_shards: int = DEFAULT_OPEN_SHARDS) -> str:
    """Return the key of an open or parked order if `open_shards` keys are written."""
    shards = SWEPT_SHARDS if order.parking.parked is None else PARKED_SHARDS
    return shards[crc32(order.order_id.encode()) % open_shards]


class KeyRotation:
    """Selection of the keys that one process reads in each look. The key that was read longest ago comes first.

    The first look reads every key. Each later look reads

    - the first `always` keys of `keys`;
    - of the others, up to `busy` keys whose last read found orders;
    - `idle` more of the others.

    After the first look, a look reads at most `always + busy + idle` keys, and every key is read within
    `looks_per_round` looks. If a look fails or stops early, the keys that it did not read come first in the next look.
    """

    def __init__(self, keys: Sequence[str], *, always: int, idle: int, busy: int = MAX_BUSY) -> None:
        self._always = frozenset(keys[:always])
        self._idle = idle
        self._max_busy = busy
        self._unread = set(keys)
        self._busy: set[str] = set()
        shuffled = random.sample(keys, len(keys))  # so that several processes start with different keys
        self._keys = dict.fromkeys(shuffled)

    @property
    def looks_per_round(self) -> int:
        """Number of looks within which every key is read."""
        others = len(self._keys) - len(self._always)
        return max(1, -(-others // self._idle))

    def look(self) -> list[str]:
        """Return the keys to read in the next look, in this order. Call `was_read` after the read of each key."""
        others = [key for key in self._keys if key not in self._always]
        chosen = set([key for key in others if key in self._busy][: self._max_busy])
        chosen |= set([key for key in others if key not in chosen][: self._idle])
        chosen |= self._always | self._unread
        return [key for key in self._keys if key in chosen]

    def was_read(self, key: str, *, found: bool) -> None:
        """Record that a key was read. `found` is True if the read returned orders."""
        self._unread.discard(key)
        self._keys[key] = self._keys.pop(key)
        (self._busy.add if found else self._busy.discard)(key)


def sweep_rotation(open_shards: int) -> KeyRotation:
    """Return the rotation of the keys of open orders, for a process that writes `open_shards` keys."""
    if open_shards == OPEN_SHARDS:
        return KeyRotation(SWEPT_SHARDS, always=0, idle=16)
    return KeyRotation(SWEPT_SHARDS, always=open_shards, idle=2)


def parked_rotation(open_shards: int) -> KeyRotation:
    """Return the rotation of the keys of parked orders. Every look reads all keys whose last read found orders."""
    if open_shards == OPEN_SHARDS:
        return KeyRotation(PARKED_SHARDS, always=0, idle=32, busy=OPEN_SHARDS)
    return KeyRotation(PARKED_SHARDS, always=open_shards, idle=4, busy=OPEN_SHARDS)
