"""Stored state that a sweep of abandoned payments needs: its progress, and the payment of an order of any tenant.

The operations table has the progress:

    subject  payments#sweep#progress
    at       pass
    since    every payment created before this time has been examined (epoch seconds)
    until    end of the unfinished pass; absent if there is none
    after    last examined payment of the unfinished pass; absent at its start
"""

from dataclasses import asdict, dataclass

from aiodynamo.expressions import HashKey

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.order.exceptions import InvalidOrderId
from order_shared.domain.order.ids import created_at_of
from order_shared.storage.order_items import item_key
from order_shared.tables import ORDERS_BY_ID_INDEX, TableNames

PROGRESS_KEY: Item = {"subject": "payments#sweep#progress", "at": "pass"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepProgress:
    """Progress of the sweeps. A pass examines the payments created from `since` (inclusive) to `until` (exclusive)."""

    since: int = 0
    until: int | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPayment:
    """The payment of an order: its id at the provider, or None if the order has none."""

    id: str | None


class PaymentSweepStore:
    """Access to progress and orders. All methods raise StorageUnavailable."""

    def __init__(self, dynamo: Dynamo, tables: TableNames) -> None:
        self._dynamo = dynamo
        self._tables = tables

    async def progress(self) -> SweepProgress:
        found = await self._dynamo.get(self._tables.operations, PROGRESS_KEY) or {}
        return SweepProgress(since=found.get("since", 0), until=found.get("until"), after=found.get("after"))

    async def save(self, progress: SweepProgress) -> None:
        """Store the progress. Concurrent sweeps may overwrite each other's progress; each of them is correct."""
        values = {name: value for name, value in asdict(progress).items() if value is not None}
        await self._dynamo.put(self._tables.operations, {**PROGRESS_KEY, **values})

    async def payment_of(self, order_id: str) -> OrderPayment | None:
        """Return the payment of an order of any tenant; None if the tables do not have the order.

        The order is found by an eventually consistent index and read with strong consistency. Its version does not
        matter: `payment_id` is the same attribute in all of them.
        """
        try:
            created_at = created_at_of(order_id)
        except InvalidOrderId:
            return None
        index = await self._dynamo.query(
            self._tables.orders, HashKey("order_id", order_id), index=ORDERS_BY_ID_INDEX, limit=1
        )
        if not index:
            return None
        item = await self._dynamo.get(self._tables.orders, item_key(index[0]["customer_key"], created_at))
        return None if item is None or item["order_id"] != order_id else OrderPayment(item.get("payment_id"))
