"""Migration of stored items to the newest version, one item at a time, while the services run.

A rewrite updates the attributes that differ between the two versions. Its condition contains the old version and the
old values of these attributes, so that the rewrite never reverts a concurrent change. The condition contains no other
attributes, so the status of an order may change at the same time. Rewriting an item twice changes nothing more.

The operations table contains the progress of a backfill, per segment of the scan:

    subject  migration#orders#2      table and version
    at       segment#03/08
    after    key of the last processed item; absent if there is none
    done     true once the whole segment has been processed
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import and_

from aiodynamo.errors import ConditionalCheckFailed, TableNotFound
from aiodynamo.expressions import Condition, F, UpdateExpression

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.storage.inventory import VERSIONS as INVENTORY_VERSIONS
from order_shared.storage.item_schema import Versions, version_of
from order_shared.storage.order_items import VERSIONS as ORDER_VERSIONS
from order_shared.tables import INVENTORY, ORDERS, Table, TableNames

REWRITE_ROUNDS = 8
"""Maximum attempts to rewrite an item while other writers change it."""


class TableMissing(PlatformError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no table {name}")


class MigratedTable(StrEnum):
    """Tables whose items have a version."""

    ORDERS = "orders"
    INVENTORY = "inventory"


DEFINITIONS: dict[MigratedTable, tuple[Table, Versions]] = {
    MigratedTable.ORDERS: (ORDERS, ORDER_VERSIONS),
    MigratedTable.INVENTORY: (INVENTORY, INVENTORY_VERSIONS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Segment `number`, counted from 0, of a table that is divided into `of` segments for a parallel scan."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"segment#{self.number:02d}/{self.of:02d}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress in a segment: all items up to the key `after` have been processed.

    `after` is None at the start and once the segment is `done`.
    """

    after: Item | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Page of a scan. `after` is the key after which the next page starts; None at the end of the segment."""

    items: list[Item]
    after: Item | None


class Migration:
    """Migration of one table to the newest version. All methods raise StorageUnavailable."""

    def __init__(
        self, dynamo: Dynamo, name: str, operations: str, definition: Table, versions: Versions, *, subject: str
    ) -> None:
        self._dynamo = dynamo
        self._name = name
        self._operations = operations
        self._hash_key = definition.hash_key.name
        self._keys = [key.name for key in (definition.hash_key, definition.range_key) if key]
        self._versions = versions
        self._subject = subject

    @classmethod
    def of(cls, dynamo: Dynamo, tables: TableNames, table: MigratedTable) -> "Migration":
        definition, versions = DEFINITIONS[table]
        name = {MigratedTable.ORDERS: tables.orders, MigratedTable.INVENTORY: tables.inventory}[table]
        subject = f"migration#{table}#{versions.newest}"
        return cls(dynamo, name, tables.operations, definition, versions, subject=subject)

    @property
    def newest(self) -> int:
        return self._versions.newest

    @property
    def readable(self) -> int:
        """Newest version that this release reads. Items with versions from `newest` to `readable` need no rewrite."""
        return self._versions.readable

    async def count_roughly(self) -> int:
        """Return the approximate number of items, which AWS updates every six hours. Raises TableMissing."""
        try:
            return await self._dynamo.item_count(self._name)
        except TableNotFound as error:
            raise TableMissing(self._name) from error

    async def read(self, segment: Segment, after: Item | None, limit: int) -> ItemPage:
        """Return up to `limit` items. Strongly consistent, so that no stored item is missed."""
        page = await self._dynamo.scan_page(
            self._name, limit=limit, segment=segment.number, segments=segment.of, start_key=after
        )
        return ItemPage(page.items, page.last_evaluated_key)

    async def rewrite(self, item: Item) -> bool:
        """Rewrite an item to the newest version. Return False if it already has that version or no longer exists."""
        key = {name: item[name] for name in self._keys}
        stored: Item | None = item
        for _ in range(REWRITE_ROUNDS):
            if stored is None or version_of(stored) >= self.newest:
                return False
            try:
                await self._write(key, stored, self._versions.upgraded(stored))
            except ConditionalCheckFailed:
                stored = await self._dynamo.get(self._name, key)
            else:
                return True
        raise StorageUnavailable(f"the item {key} of {self._name} changes too fast")

    async def _write(self, key: Item, before: Item, after: Item) -> None:
        differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        condition: Condition = F(self._hash_key).exists()
        updates: list[UpdateExpression] = []
        for name in differing:
            condition &= F(name).equals(before[name]) if name in before else F(name).does_not_exist()
            updates.append(F(name).set(after[name]) if name in after else F(name).remove())
        await self._dynamo.update(self._name, key, reduce(and_, updates), condition=condition)

    async def checkpoint(self, segment: Segment) -> Checkpoint:
        found = await self._dynamo.get(self._operations, {"subject": self._subject, "at": str(segment)})
        return Checkpoint(found.get("after"), found["done"]) if found else Checkpoint()

    async def save(self, segment: Segment, checkpoint: Checkpoint) -> None:
        """Store a checkpoint. A concurrent run may replace it with an earlier one, which only repeats work."""
        item: Item = {"subject": self._subject, "at": str(segment), "done": checkpoint.done}
        if checkpoint.after is not None:
            item["after"] = checkpoint.after
        await self._dynamo.put(self._operations, item)
