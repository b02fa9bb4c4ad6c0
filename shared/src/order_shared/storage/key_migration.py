"""Migration of open and parked orders to the 16 keys of the outbox that every release reads.

Orders may be placed and processed during a migration. The other keys of the index `open_orders` contain the orders that
have not been moved yet, so a run needs no checkpoint, and a new run completes an interrupted one.

A move is one update of `open_shard`, on the condition that the order still has the key that was read. It does not
change the order's version, status, lease or due time, so the order may be processed at the same time.
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
    """Entries of one query for a key. `after` is the start of the next query; None if there are no more entries."""

    items: list[Item]
    after: Item | None


class KeyMigration:
    """Access to the entries of the index `open_orders`. All methods raise StorageUnavailable."""

    def __init__(self, dynamo: Dynamo, tables: TableNames) -> None:
        self._dynamo = dynamo
        self._table = tables.orders

    async def read(self, open_shard: str, after: Item | None, limit: int) -> EntryPage:
        """Return up to `limit` entries of the key `open_shard`. Eventually consistent."""
        page = await self._dynamo.query_page(
            self._table, HashKey("open_shard", open_shard), limit=limit, index=OPEN_ORDERS_INDEX, start_key=after
        )
        return EntryPage(page.items, page.last_evaluated_key)

    async def move(self, entry: Item) -> bool:
        """Change the order's key to one of the 16. Return False if the order has ended or no longer has the old key."""
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
