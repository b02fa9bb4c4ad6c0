"""Rules of tables as AWS documents DynamoDB: which requests conflict, and which are throttled.

- A transaction that meets another write of one of its items is cancelled, and so is a write that meets a transaction.
  A read transaction is cancelled by any write of its items. A failed condition counts as a write too.
- A partition writes 1,000 units a second: one per item and index entry, two of each in a transaction. A partition that
  is hot in an index throttles the write of the table. A partition is taken to hold one hash key.

How long a write is under way is an assumption: 5 ms for a transaction.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from aws_json_client import AwsError
from order_shared.tables import EVENTS, WEBHOOKS
from tests.simulation.history import History, What

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TableRules:
    transaction_seconds: float = 0.005
    write_seconds: float = 0.001
    units_per_second: float = 1000.0
    log_seconds: float = 0.005
    """Time that a transaction of the logs of events takes."""


@dataclass(frozen=True)
class Item:
    """An item that is written, with the partitions that pay for it: its table's, and those of its indexes."""

    key: str
    partitions: tuple[str, ...]


class Conflict(AwsError):
    def __init__(self, key: str) -> None:
        super().__init__(f"TransactionConflict on {key}", reason="conflict")


class Throttled(AwsError):
    def __init__(self, partition: str) -> None:
        super().__init__(f"{partition} has no write units left", reason="throttled")


LEAST_OF_ENDPOINT = 200.0
"""Least write units per second of a webhook endpoint. One transaction stores up to fifty deliveries; DynamoDB has 1,000
units for them."""


class TableServer:
    """What decides whether a request may take effect now."""

    def __init__(self, rules: TableRules, history: History, now: Callable[[], float]) -> None:
        self.rules = rules
        self.history = history
        self.down = False
        """Every request fails while this is set."""
        self._now = now
        self._written_until: dict[str, float] = {}
        self._transacted_until: dict[str, float] = {}
        self._units: dict[str, tuple[float, float]] = {}

    def write(self, item: Item, effect: Callable[[], T]) -> T:
        """Write one item, unless a transaction is at it."""
        self._refuse_conflicts([item.key], self._transacted_until)
        self._pay([item], 1)
        self._written_until[item.key] = self._now() + self.rules.write_seconds
        return effect()

    def transact_write(self, items: Collection[Item], effect: Callable[[], T]) -> T:
        keys = [item.key for item in items]
        self._refuse_conflicts(keys, self._transacted_until, self._written_until)
        self._pay(items, 2)
        is_of_log = any(key.startswith(f"{EVENTS.name}|") for key in keys)
        until = self._now() + (self.rules.log_seconds if is_of_log else self.rules.transaction_seconds)
        self._transacted_until.update((key, until) for key in keys)
        return effect()

    def transact_read(self, keys: Iterable[str], effect: Callable[[], T]) -> T:
        self._refuse_conflicts(keys, self._transacted_until, self._written_until)
        return effect()

    def _refuse_conflicts(self, keys: Iterable[str], *under_way: dict[str, float]) -> None:
        now = self._now()
        for key in keys:
            if any(until.get(key, 0.0) > now for until in under_way):
                self.history.note(What.CONFLICT, key)
                raise Conflict(key)

    def _pay(self, items: Iterable[Item], units: int) -> None:
        """Take the units of the write from each partition's second. A partition has saved none from before."""
        now = self._now()
        for partition in (partition for item in items for partition in item.partitions):
            least = LEAST_OF_ENDPOINT if partition.startswith(f"{WEBHOOKS.name}|") else 0.0
            limit = max(least, self.rules.units_per_second)
            left, at = self._units.get(partition, (limit, now))
            left = min(limit, left + (now - at) * limit)
            if left < units:
                self.history.note(What.THROTTLED, partition)
                raise Throttled(partition)
            self._units[partition] = left - units, now


def run_now(operation: Coroutine[Any, Any, T]) -> T:
    """Return the result of a repository in memory, which never waits."""
    try:
        operation.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError(f"{operation} waits")
