"""Migration of stored items to the newest version, one item at a time, while the services run.

A rewrite updates the attributes that differ between the two versions. Its condition contains the old version and the
old values of these attributes, and of those from which the upgrade derives them, so that the rewrite never reverts or
misses a concurrent change. Rewriting an item twice changes nothing more.

The last release stored the reference of an order, and its record, as the customer sent it. A rewrite of an order that
still holds its reference gives both the normal form, in one transaction, unless another order holds that form.

The last release stored orders without the attributes by which the orders of a tenant are listed (`tenant_keys.py`).
The backfill adds them; they depend only on the order's id and reference.

The operations table contains the progress of a backfill, per segment of the scan:

    subject  migration#orders#3#nfc#listed  table, version, form of references, and attributes (orders only)
    at       segment#03/08
    after    key of the last processed item; absent if there is none
    done     true once the whole segment has been processed
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import and_

from aiodynamo.errors import ConditionalCheckFailed, TableNotFound, TransactionCanceled
from aiodynamo.expressions import Condition, F
from aiodynamo.operations import Update

from order_shared.aws.dynamodb import Dynamo, Item, failed_conditions
from order_shared.domain.clock import utc_now
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord
from order_shared.domain.order.models import FREES_REFERENCE, normal_reference
from order_shared.storage.idempotency_records import delete_record, put_record
from order_shared.storage.inventory import VERSIONS as INVENTORY_VERSIONS
from order_shared.storage.item_schema import Versions, version_of
from order_shared.storage.order_items import VERSIONS as ORDER_VERSIONS
from order_shared.storage.order_items import to_customer
from order_shared.storage.orders import reference_key
from order_shared.storage.tenant_keys import listing_attributes, reference_and_id
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
        self,
        dynamo: Dynamo,
        name: str,
        operations: str,
        definition: Table,
        versions: Versions,
        *,
        subject: str,
        idempotency: str | None = None,
    ) -> None:
        """Create the migration. `idempotency` is the table with the records of references, if items have references."""
        self._idempotency = idempotency
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
        is_orders = table is MigratedTable.ORDERS
        return cls(
            dynamo,
            name,
            tables.operations,
            definition,
            versions,
            subject=f"migration#{table}#{versions.newest}" + ("#nfc#listed" if is_orders else ""),
            idempotency=tables.idempotency if is_orders else None,
        )

    @property
    def newest(self) -> int:
        return self._versions.newest

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

    def is_old(self, item: Item) -> bool:
        """Return whether the item has an older version or an old reference, or is unlisted and can be listed."""
        return version_of(item) < self.newest or self.has_old_reference(item) or self._can_be_listed(item)

    def is_unlisted(self, item: Item) -> bool:
        """Return whether the item is an order that the lists of its tenant do not contain."""
        return self._idempotency is not None and "tenant_shard" not in item

    def _can_be_listed(self, item: Item) -> bool:
        return self.is_unlisted(item) and version_of(item) <= self.newest

    def has_old_reference(self, item: Item) -> bool:
        if self._idempotency is None or version_of(item) > self.newest or item["status"] in FREES_REFERENCE:
            return False
        reference = item.get("reference")
        return reference is not None and reference != normal_reference(reference)

    async def rewrite(self, item: Item) -> bool:
        """Rewrite an item to the newest form. Return False if that was not needed or possible, or it no longer exists.

        It is not possible while another order holds the normal form of the item's reference.
        """
        key = {name: item[name] for name in self._keys}
        stored: Item | None = item
        rewritten = False
        for _ in range(REWRITE_ROUNDS):
            if stored is None or not self.is_old(stored):
                return rewritten
            try:
                if version_of(stored) < self.newest or self._can_be_listed(stored):
                    await self._write(key, stored, self._newest_form(stored))
                    rewritten = True
                    if not self.has_old_reference(stored):
                        return True
                else:
                    return await self._normalize_reference(key, stored) or rewritten
            except ConditionalCheckFailed:
                pass  # read it again
            stored = await self._dynamo.get(self._name, key)
        raise StorageUnavailable(f"the item {key} of {self._name} changes too fast")

    def _newest_form(self, item: Item) -> Item:
        """Return the item in the newest version, with the attributes by which an order is listed."""
        upgraded = self._versions.upgraded(item)
        if not self._can_be_listed(item):
            return upgraded
        tenant = to_customer(item["customer_key"]).tenant
        return upgraded | listing_attributes(tenant, item["order_id"], item.get("reference"))

    async def _normalize_reference(self, key: Item, item: Item) -> bool:
        """Give an order and its record the normal form of its reference. Return False if another order holds it.

        Raises ConditionalCheckFailed if the order has changed since it was read.
        """
        before, customer = item["reference"], to_customer(item["customer_key"])
        after, table = normal_reference(before), self._idempotency or ""
        record = IdempotencyRecord(
            key=reference_key(customer, after), subject=item["order_id"], fingerprint=None, expires_at=None
        )
        listed = reference_and_id(after, item["order_id"])
        unchanged = F("status").equals(item["status"])  # the reference changes only together with its record
        try:
            await self._dynamo.transact_write(
                [
                    Update(self._name, key, F("reference").set(after) & F("reference_and_id").set(listed), unchanged),
                    put_record(table, record, utc_now()),
                    delete_record(table, reference_key(customer, before), item["order_id"]),
                ]
            )
        except TransactionCanceled as error:
            has_changed, *_ = failed_conditions(error)
            if has_changed:
                raise ConditionalCheckFailed from error
            return False
        return True

    async def _write(self, key: Item, before: Item, after: Item) -> None:
        differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        read = self._versions.read_by_upgrades(version_of(before))
        if "reference_and_id" in differing:
            read |= {"reference"}
        condition: Condition = F(self._hash_key).exists()
        for name in sorted(differing | read):
            condition &= F(name).equals(before[name]) if name in before else F(name).does_not_exist()
        updates = [F(name).set(after[name]) if name in after else F(name).remove() for name in sorted(differing)]
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
