"""Tables as AWS documents DynamoDB, under the in-memory repositories.

- A transaction that meets another write of one of its items is cancelled, and so is a write that meets a transaction.
  A read transaction is cancelled by any write of its items. A failed condition counts as a write too.
- A partition writes 1,000 units a second: one per item and index entry, two of each in a transaction. A partition that
  is hot in an index throttles the write of the table. A partition is taken to hold one hash key.

How long a write is under way is an assumption: 5 ms for a transaction.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aws_json_client import AwsError, RetryPolicy, Unavailable
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord
from order_shared.domain.inventory.models import Product, StockedProduct
from order_shared.domain.order.models import FREES_REFERENCE, Customer, Order
from order_shared.storage.inventory import Moves, shard_for_adjustment
from order_shared.storage.orders import NO_MOVES, OpenOrder, OrderSlice, Window, reference_record
from order_shared.storage.outbox import open_shard_of
from tests.fakes import MemoryInventoryRepository, MemoryOrderRepository, MemoryStore
from tests.simulation.history import History, What
from tests.simulation.link import Link

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TableRules:
    transaction_seconds: float = 0.005
    write_seconds: float = 0.001
    units_per_second: float = 1000.0


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


class TableServer:
    """What decides whether a request may take effect now."""

    def __init__(self, rules: TableRules, history: History, now: Callable[[], float]) -> None:
        self.rules = rules
        self.history = history
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
        until = self._now() + self.rules.transaction_seconds
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
        now, limit = self._now(), self.rules.units_per_second
        for partition in (partition for item in items for partition in item.partitions):
            left, at = self._units.get(partition, (limit, now))
            left = min(limit, left + (now - at) * limit)
            if left < units:
                self.history.note(What.THROTTLED, partition)
                raise Throttled(partition)
            self._units[partition] = left - units, now


class TableClient:
    """The way of one machine to the tables, with the retries of its AWS client."""

    def __init__(self, server: TableServer, link: Link, retries: RetryPolicy) -> None:
        self.server = server
        self.host = link.host
        self._link = link
        self._retries = retries

    async def call(self, effect: Callable[[], T]) -> T:
        """Make the request until it takes effect. Raises StorageUnavailable when no attempt is left."""
        try:
            return await self._retries.run(lambda: self._link.call(effect))
        except Unavailable as error:
            raise StorageUnavailable(f"DynamoDB: {error}") from error

    async def read(self, effect: Callable[[], T]) -> T:
        """Read once. No write is in the way of a read that is no transaction."""
        return await self._link.read(effect)


def run_now(operation: Coroutine[Any, Any, T]) -> T:
    """Return the result of a repository in memory, which never waits."""
    try:
        operation.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError(f"{operation} waits")


def order_item(order: Order, *before: Order) -> Item:
    """Return the item of an order, with the entry of `open_orders` that it leaves or enters."""
    shards = {f"open_orders/{open_shard_of(each)}" for each in (order, *before) if each.schedule.due_at is not None}
    key = f"{order.customer.key}/{order.order_id}"
    return Item(f"orders/{key}", (f"orders/{order.customer.key}", *sorted(shards)))


def stock_item(tenant: str, sku: str, shard: int) -> Item:
    return Item(f"inventory/{tenant}#{sku}/{shard}", (f"inventory/{tenant}#{sku}",))


def product_item(tenant: str, sku: str) -> Item:
    return Item(f"inventory/{tenant}#{sku}/product", (f"inventory/{tenant}#{sku}",))


def record_item(record: IdempotencyRecord) -> Item:
    return Item(f"idempotency/{record.key}", (f"idempotency/{record.key}",))


class SimulatedOrders(MemoryOrderRepository):
    def __init__(self, store: MemoryStore, tables: TableClient) -> None:
        super().__init__(store)
        self._tables = tables
        self._server = tables.server

    async def add(self, order: Order, key_record: IdempotencyRecord) -> None:
        items = [order_item(order), record_item(key_record)]
        if order.reference is not None:
            items.append(record_item(reference_record(order)))
        add = super().add
        await self._tables.call(lambda: self._server.transact_write(items, lambda: run_now(add(order, key_record))))

    async def get(self, customer: Customer, order_id: str) -> Order:
        get = super().get
        return await self._tables.read(lambda: run_now(get(customer, order_id)))

    async def get_by_id(self, tenant: str, order_id: str) -> Order:
        get = super().get_by_id
        return await self._tables.read(lambda: run_now(get(tenant, order_id)))

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        listed = super().list_orders
        return await self._tables.read(lambda: run_now(listed(customer, window, limit=limit, descending=descending)))

    async def move(self, before: Order, after: Order, moves: Mapping[str, Moves] = NO_MOVES) -> Order:
        move = super().move
        items = [order_item(after, before)]
        if before.holds_stock != after.holds_stock:
            items += [
                stock_item(before.customer.tenant, line.sku, shard)
                for line in before.lines
                for shard in (line.shard, *moves.get(line.sku, ()))
            ]
        if before.reference is not None and after.status in FREES_REFERENCE:
            items.append(record_item(reference_record(before)))

        def apply() -> Order:
            stored = run_now(move(before, after, moves))
            self._note(before, stored)
            return stored

        if len(items) == 1:
            return await self._tables.call(lambda: self._server.write(items[0], apply))
        return await self._tables.call(lambda: self._server.transact_write(items, apply))

    async def request_cancel(self, requested: Order, *, version: int | None) -> Order:
        cancel = super().request_cancel
        item = order_item(requested)
        return await self._tables.call(
            lambda: self._server.write(item, lambda: run_now(cancel(requested, version=version)))
        )

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        find = super().find_record
        return await self._tables.read(lambda: run_now(find(key)))

    async def list_due(self, open_shard: str, before: int, limit: int) -> list[OpenOrder]:
        due = super().list_due
        return await self._tables.read(lambda: run_now(due(open_shard, before, limit)))

    async def postpone(self, entry: OpenOrder, due_at: int, *, sweeps: int) -> Order | None:
        postpone = super().postpone
        partitions = f"orders/{entry.customer_key}", f"open_orders/{entry.open_shard}"
        item = Item(f"orders/{entry.customer_key}/{entry.created_at}", partitions)
        return await self._tables.call(
            lambda: self._server.write(item, lambda: run_now(postpone(entry, due_at, sweeps=sweeps)))
        )

    async def get_entry(self, entry: OpenOrder) -> Order | None:
        get = super().get_entry
        return await self._tables.read(lambda: run_now(get(entry)))

    async def ping(self) -> None:
        await self._tables.read(lambda: None)

    def _note(self, before: Order, stored: Order) -> None:
        history, host = self._server.history, self._tables.host
        history.note(What.WRITTEN, before.order_id, by=host, kind=stored.status)
        if before.parking.parked is None and stored.parking.parked is not None:
            history.note(What.PARKED, before.order_id, by=host)
        if before.is_open and not stored.is_open:
            history.note(What.ENDED, before.order_id, by=host, kind=stored.status)


class SimulatedInventory(MemoryInventoryRepository):
    def __init__(self, store: MemoryStore, tables: TableClient) -> None:
        super().__init__(store)
        self._tables = tables
        self._server = tables.server

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        get = super().get
        return await self._tables.read(lambda: run_now(get(tenant, sku)))

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        get = super().get_products
        wanted = list(skus)
        return await self._tables.read(lambda: run_now(get(tenant, wanted)))

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Product]:
        listed = super().list_products
        return await self._tables.read(lambda: run_now(listed(tenant, after=after, limit=limit)))

    async def put(self, product: Product) -> None:
        """Read the product, create the shards that it lacks, and write its item, as the real repository does."""
        put = super().put
        known = await self._tables.read(lambda: len(self._store.stock.get((product.tenant, product.sku), [])))
        if new := [stock_item(product.tenant, product.sku, shard) for shard in range(known, product.stock_shards)]:
            await self._tables.call(lambda: self._server.transact_write(new, lambda: None))
        item = product_item(product.tenant, product.sku)
        await self._tables.call(lambda: self._server.transact_write([item], lambda: run_now(put(product))))

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        """Read the stock, and change one shard in a transaction; a removal may take from others too."""
        adjust = super().adjust
        stock = (await self.get(tenant, sku)).stock
        shard = shard_for_adjustment(key_record.key, len(stock))
        changed = [shard] if delta >= 0 or stock[shard] >= -delta else range(len(stock))
        items = [record_item(key_record), *(stock_item(tenant, sku, each) for each in changed)]
        effect = lambda: run_now(adjust(tenant, sku, delta, key_record))  # noqa: E731 - a request's effect
        await self._tables.call(lambda: self._server.transact_write(items, effect))

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        """Read the stock, and move some of it in a transaction if their sum suffices."""
        moves = await self.plan_consolidation(tenant, sku, shard=shard, quantity=quantity)
        if not moves:
            return moves is not None
        items = [stock_item(tenant, sku, each) for each in (shard, *moves)]

        def move() -> None:
            stock = self._store.stock[tenant, sku]
            if all(stock[source] >= units for source, units in moves.items()):
                self._store.move_units(tenant, sku, moves, shard)

        await self._tables.call(lambda: self._server.transact_write(items, move))
        return True

    async def plan_consolidation(self, tenant: str, sku: str, *, shard: int, quantity: int) -> Moves | None:
        plan = super().plan_consolidation
        return await self._tables.read(lambda: run_now(plan(tenant, sku, shard=shard, quantity=quantity)))

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        find = super().find_record
        return await self._tables.read(lambda: run_now(find(key)))
