"""Migration of open and parked orders to the 16 keys of the outbox that every release reads.

It runs while orders are placed and processed. The index `open_orders` shows what is left, because a moved order is no
longer under its former key. A run therefore needs no checkpoint, and an interrupted one continues where it stopped.

A move is one update of `open_shard`, on the condition that the order still has the key that was read. It raises no
version and touches neither status, lease nor due time, so an order may be processed at the same time.
"""

from dataclasses import dataclass

from aiodynamo.errors import ConditionalCheckFailed
from aiodynamo.expressions import F, HashKey

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.clock import from_text
from order_shared.storage.order_items import item_key
from order_shared.storage.outbox import DEFAULT_SHARDS
from order_shared.tables import OPEN_ORDERS_INDEX, TableNames


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries of one query of the index; `after` is where the next query continues, None at the end of the key."""

    items: list[Item]
    after: Item | None


class KeyMigration:
    """Access to the entries of the index `open_orders`. All methods raise StorageUnavailable."""

    def __init__(self, dynamo: Dynamo, tables: TableNames) -> None:
        self._dynamo = dynamo
        self._table = tables.orders

    async def read(self, open_shard: str, after: Item | None, limit: int) -> EntryPage:
        """Return up to `limit` entries of a key. The index follows the table with a delay."""
        page = await self._dynamo.query_page(
            self._table, HashKey("open_shard", open_shard), limit=limit, index=OPEN_ORDERS_INDEX, start_key=after
        )
        return EntryPage(page.items, page.last_evaluated_key)

    async def move(self, entry: Item) -> bool:
        """Move the order to its key among 16. Return False if it has ended or has another key."""
        open_shard = entry["open_shard"]
        try:
            await self._dynamo.update(
                self._table,
                item_key(entry["customer_key"], from_text(entry["created_at"])),
                F("open_shard").set(DEFAULT_SHARDS[open_shard]),
                condition=F("open_shard").equals(open_shard),
            )
        except ConditionalCheckFailed:
            return False
        return True
