"""Products and stock in the inventory table: hash `product_key` = `{tenant}#{sku}`, range `record`.

    product     name, unit_price, currency, stock_shards, and tenant, sku for the index `products_by_tenant`
    stock#NN    available, increases; one item per stock shard

Every change of a product's total stock is in a transaction with an order or an idempotency record, so that a repeated
request cannot apply the change twice. A price change writes only the product's item, so it never conflicts with orders.

A query reads the shards one after the other, so its sum may miss units that are moved during the read. The attribute
`increases` therefore counts the increases of a shard. If two successive reads return the same counts, no shard was
increased between them: at the instant between the reads, all shards together held at most the sum of the first read.
Decreases are not counted: the proof does not need them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from aiodynamo.errors import TransactionCanceled
from aiodynamo.expressions import F, HashKey, RangeKey
from aiodynamo.operations import Get, Put, Update

from order_shared.aws.dynamodb import Dynamo, Item, failed_conditions
from order_shared.domain.clock import Clock, from_text, to_text, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordTaken
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.domain.inventory.models import Product, StockedProduct, consolidation, spread
from order_shared.storage.idempotency_records import get_record, put_record
from order_shared.storage.item_schema import UNREADABLE, Upgrade, Versions, as_it_is, describe
from order_shared.tables import MAX_STOCK_SHARDS, PRODUCTS_BY_TENANT_INDEX, TableNames

ITEM_VERSION = 1
UPGRADES: Mapping[int, Upgrade] = {0: Upgrade(as_it_is)}
"""Upgrades of products and stock records; the first stock records had no version. `available` must keep its name and
meaning in every version, because writes change it without a read."""

VERSIONS = Versions("inventory", ITEM_VERSION, UPGRADES)
PRODUCT_RECORD = "product"
AVAILABLE = F("available")
INCREASES = F("increases")
STOCK_ROUNDS = 8
"""Maximum attempts to change several shards, or to prove a shortage, while other writers change the stock."""

Moves = Mapping[int, int]
"""Numbers of units to move into one shard, by source shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableProduct:
    """Stored product that this release cannot read, usually because a newer release wrote it."""

    sku: str
    error: str
    """Reason, for operators and logs."""


class InventoryRepository(Protocol):
    """Port of products and stock. Any method may raise StorageUnavailable; the outcome of a write is then unknown."""

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        """Return the product with its stock. Strongly consistent. Raises ProductNotFound."""
        ...

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        """Return the existing products among `skus`, by SKU. Strongly consistent."""
        ...

    async def list_products(
        self, tenant: str, *, after: str | None, limit: int
    ) -> Sequence[Product | UnreadableProduct]:
        """Return up to `limit` products, sorted by SKU, that follow the SKU `after`. Eventually consistent.

        A product that this release cannot read does not fail the others.
        """
        ...

    async def put(self, product: Product) -> None:
        """Create or replace the product without changing its stock. Raises StockShardsShrunk.

        New stock shards are created before the product refers to them.
        """

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        """Change the stock of a product by `delta` and store the idempotency record, in one transaction.

        Raises ProductNotFound, InsufficientStock, and RecordTaken if the record already exists.
        """

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        """Move stock from other shards into `shard`, so that it holds at least `quantity`.

        If another writer changes the stock meanwhile, nothing is moved. Return False if `plan_consolidation` returns
        None, otherwise True.
        """
        ...

    async def plan_consolidation(self, tenant: str, sku: str, *, shard: int, quantity: int) -> Moves | None:
        """Return the moves after which `shard` holds at least `quantity`, without making them.

        Return None if all shards together hold less than `quantity`, or if the product or the shard does not exist.
        """
        ...

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        """Return the record, even if it has expired; None if there is none. Strongly consistent."""


def product_key(tenant: str, sku: str) -> str:
    return f"{tenant}#{sku}"


def stock_record(shard: int) -> str:
    return f"stock#{shard:02d}"


def take_stock(table: str, tenant: str, sku: str, *, shard: int, quantity: int) -> Update:
    """Return the write that takes `quantity` from the shard. The write fails if the shard holds less."""
    return Update(table, _stock_key(tenant, sku, shard), AVAILABLE.change(-quantity), AVAILABLE.gte(quantity))


def take_from_shards(
    table: str, tenant: str, sku: str, *, shard: int, quantity: int, moves: Moves | None = None
) -> list[Update]:
    """Return the writes that make the moves into the shard and take `quantity` from it, for one transaction."""
    if not moves:
        return [take_stock(table, tenant, sku, shard=shard, quantity=quantity)]
    moved = sum(moves.values())
    change = AVAILABLE.change(moved - quantity)
    if moved > quantity:
        change &= INCREASES.add(1)
    return [
        *(take_stock(table, tenant, sku, shard=source, quantity=units) for source, units in moves.items()),
        Update(table, _stock_key(tenant, sku, shard), change, AVAILABLE.gte(quantity - moved)),
    ]


def return_stock(table: str, tenant: str, sku: str, *, shard: int, quantity: int) -> Update:
    """Return the write that adds `quantity` to the shard and counts the increase.

    The write fails if the shard does not exist.
    """
    return Update(table, _stock_key(tenant, sku, shard), AVAILABLE.change(quantity) & INCREASES.add(1))


def shard_for_adjustment(key: str, stock_shards: int) -> int:
    """Return the shard that an adjustment with the idempotency record `key` changes."""
    return crc32(key.encode()) % stock_shards


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShardsRead:
    """Result of one read of all shards. The shard number is the index of both tuples."""

    stock: tuple[int, ...]
    increases: tuple[int, ...]


class DynamoInventoryRepository:
    """Inventory repository on DynamoDB.

    `increases_counted` is True if every writer of this table counts increases. It must be False while a task of a
    release without the counter runs.
    """

    def __init__(
        self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now, *, increases_counted: bool = True
    ) -> None:
        self._dynamo = dynamo
        self._tables = tables
        self._table = tables.inventory
        self._clock = clock
        self._increases_counted = increases_counted

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        product, shards = await self._read(tenant, sku)
        return StockedProduct(product, shards.stock)

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        keys = [{"product_key": product_key(tenant, sku), "record": PRODUCT_RECORD} for sku in skus]
        items = await self._dynamo.get_many(self._table, keys)
        return {product.sku: product for product in map(_to_product, items)}

    async def list_products(
        self, tenant: str, *, after: str | None, limit: int
    ) -> Sequence[Product | UnreadableProduct]:
        condition = HashKey("tenant", tenant) & RangeKey("sku").gt(after) if after else HashKey("tenant", tenant)
        items = await self._dynamo.query(self._table, condition, index=PRODUCTS_BY_TENANT_INDEX, limit=limit)
        return list(map(_readable_product, items))

    async def put(self, product: Product) -> None:
        key = {"product_key": product_key(product.tenant, product.sku), "record": PRODUCT_RECORD}
        stored = await self._dynamo.get(self._table, key)
        existing = _to_product(stored).stock_shards if stored else 0
        if existing > product.stock_shards:
            raise StockShardsShrunk(product.sku, product.stock_shards)
        if existing < product.stock_shards:
            await self._create_shards(product, range(existing, product.stock_shards))
        write = Update(
            self._table,
            key,
            F("tenant").set(product.tenant)
            & F("sku").set(product.sku)
            & F("name").set(product.name)
            & F("unit_price").set(product.unit_price)
            & F("currency").set(product.currency)
            & F("stock_shards").set(product.stock_shards)
            & F("updated_at").set(to_text(product.updated_at))
            & F("item_version").set(ITEM_VERSION),
            (F("stock_shards").does_not_exist() | F("stock_shards").lte(product.stock_shards)) & VERSIONS.known(),
        )
        try:
            # A transaction of one write: its token keeps a repeated request from replacing a later price.
            await self._dynamo.transact_write([write])
        except TransactionCanceled as error:
            failed_conditions(error)
            await self._product(product.tenant, product.sku)  # raises if this release does not support its version
            raise StockShardsShrunk(product.sku, product.stock_shards) from error

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        if delta >= 0:
            await self._add(tenant, sku, delta, key_record)
            return
        for _ in range(STOCK_ROUNDS):
            if await self._apply(key_record, await self._removal(tenant, sku, -delta, key_record.key)):
                return
        raise StorageUnavailable(f"the stock of {sku} changed too often during one request", contended=True)

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        moves = await self.plan_consolidation(tenant, sku, shard=shard, quantity=quantity)
        if not moves:
            return moves is not None
        taken = [take_stock(self._table, tenant, sku, shard=source, quantity=units) for source, units in moves.items()]
        added = return_stock(self._table, tenant, sku, shard=shard, quantity=sum(moves.values()))
        try:
            await self._dynamo.transact_write([*taken, added])
        except TransactionCanceled as error:
            failed_conditions(error)  # another order took the stock first: the caller's next attempt reads it again
        return True

    async def plan_consolidation(self, tenant: str, sku: str, *, shard: int, quantity: int) -> Moves | None:
        try:
            stock = await self._sufficient_stock(tenant, sku, quantity)
        except (ProductNotFound, InsufficientStock):
            return None
        return consolidation(quantity, shard, stock) if shard < len(stock) else None

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return await get_record(self._dynamo, self._tables.idempotency, key)

    async def _create_shards(self, product: Product, shards: Iterable[int]) -> None:
        """Create empty stock shards. A shard that already exists keeps its stock."""
        await self._dynamo.transact_write(
            [
                Update(
                    self._table,
                    _stock_key(product.tenant, product.sku, shard),
                    AVAILABLE.set_if_not_exists(0) & F("item_version").set_if_not_exists(ITEM_VERSION),
                )
                for shard in shards
            ]
        )

    async def _add(self, tenant: str, sku: str, quantity: int, key_record: IdempotencyRecord) -> None:
        """Add stock evenly to all shards if there is a unit for each, otherwise to one. Raises ProductNotFound.

        All shards are tried once: beside orders that take from many shards, a transaction of all rarely succeeds.
        """
        shards = (await self._product(tenant, sku)).stock_shards
        if 1 < shards <= quantity:
            additions = [
                return_stock(self._table, tenant, sku, shard=shard, quantity=units)
                for shard, units in enumerate(spread(quantity, shards))
            ]
            if await self._dynamo.try_transact_write([self._put_record(key_record), *additions]):
                return
        shard = shard_for_adjustment(key_record.key, shards)  # this write has no condition but the record's
        await self._apply(key_record, [return_stock(self._table, tenant, sku, shard=shard, quantity=quantity)])

    async def _removal(self, tenant: str, sku: str, quantity: int, key: str) -> list[Update]:
        """Return the writes that take stock from one shard. Raises ProductNotFound, InsufficientStock.

        If that shard holds too little, they also move stock into it from other shards. A retry may choose another
        shard; the idempotency record still prevents a second adjustment.
        """
        stock = await self._sufficient_stock(tenant, sku, quantity)
        shard = shard_for_adjustment(key, len(stock))
        if stock[shard] < quantity:
            shard = max(range(len(stock)), key=lambda each: stock[each])
        moves = consolidation(quantity, shard, stock)
        return take_from_shards(self._table, tenant, sku, shard=shard, quantity=quantity, moves=moves)

    async def _apply(self, key_record: IdempotencyRecord, changes: Sequence[Update]) -> bool:
        """Write the changes with the record. Return False if an order changed the stock first.

        Raises RecordTaken.
        """
        try:
            await self._dynamo.transact_write([self._put_record(key_record), *changes])
        except TransactionCanceled as error:
            record_taken, *_ = failed_conditions(error)
            if record_taken:
                raise RecordTaken(key_record.key) from error
            return False
        return True

    def _put_record(self, key_record: IdempotencyRecord) -> Put:
        return put_record(self._tables.idempotency, key_record, self._clock())

    async def _sufficient_stock(self, tenant: str, sku: str, quantity: int) -> tuple[int, ...]:
        """Return the stock of each shard; the sum is at least `quantity`. Raises ProductNotFound, InsufficientStock.

        The sum may be outdated: the conditions of the following write check the stock again. InsufficientStock is
        raised only if all shards together provably held less than `quantity` at one instant.
        """
        _, shards = await self._read(tenant, sku)
        for _ in range(STOCK_ROUNDS):
            if sum(shards.stock) >= quantity:
                return shards.stock
            if not self._increases_counted:
                stock = await self._snapshot(tenant, sku, len(shards.stock))
                if sum(stock) >= quantity:
                    return stock
                raise InsufficientStock(sku, sum(stock))
            _, later = await self._read(tenant, sku)
            if later.increases == shards.increases:
                raise InsufficientStock(sku, sum(shards.stock))
            shards = later
        raise StorageUnavailable(f"the stock of {sku} changed too often during one request", contended=True)

    async def _read(self, tenant: str, sku: str) -> tuple[Product, _ShardsRead]:
        """Return the product and its shards with one strongly consistent query. Raises ProductNotFound.

        The query is not a snapshot: a shard may change while another one is read.
        """
        records = await self._dynamo.query(
            self._table, HashKey("product_key", product_key(tenant, sku)), limit=1 + MAX_STOCK_SHARDS
        )
        by_record = {item["record"]: item for item in records}
        if PRODUCT_RECORD not in by_record:
            raise ProductNotFound(sku)
        product = _to_product(by_record[PRODUCT_RECORD])
        shards = [by_record.get(stock_record(shard)) for shard in range(product.stock_shards)]
        return product, _ShardsRead(
            stock=tuple(map(_available, shards)),
            increases=tuple(int(item.get("increases", 0)) if item else 0 for item in shards),
        )

    async def _product(self, tenant: str, sku: str) -> Product:
        item = await self._dynamo.get(self._table, {"product_key": product_key(tenant, sku), "record": PRODUCT_RECORD})
        if item is None:
            raise ProductNotFound(sku)
        return _to_product(item)

    async def _snapshot(self, tenant: str, sku: str, stock_shards: int) -> tuple[int, ...]:
        """Return the stock of all shards at one instant. A concurrent write to a shard may cancel the read."""
        gets = [Get(self._table, _stock_key(tenant, sku, shard)) for shard in range(stock_shards)]
        return tuple(_available(item) for item in await self._dynamo.transact_get(gets))


def _available(item: Item | None) -> int:
    """Return the stock in a shard's item; 0 if the item does not exist."""
    return int(VERSIONS.upgraded(item)["available"]) if item else 0


def _stock_key(tenant: str, sku: str, shard: int) -> Item:
    return {"product_key": product_key(tenant, sku), "record": stock_record(shard)}


def _readable_product(item: Item) -> Product | UnreadableProduct:
    """Convert an item of a list, in which one item that cannot be converted must not hide the others."""
    try:
        return _to_product(item)
    except UNREADABLE as error:
        return UnreadableProduct(sku=item["sku"], error=describe(error))


def _to_product(item: Item) -> Product:
    item = VERSIONS.upgraded(item)
    return Product(
        tenant=item["tenant"],
        sku=item["sku"],
        name=item["name"],
        unit_price=item["unit_price"],
        currency=item["currency"],
        stock_shards=item["stock_shards"],
        updated_at=from_text(item["updated_at"]),
    )
