"""Products and stock in the inventory table: hash `product_key` = `{tenant}#{sku}`, range `record`.

    product     name, unit_price, currency, stock_shards, and tenant, sku for the index `products_by_tenant`
    stock#NN    available, one item per stock shard

Every stock change is in a transaction with an order or an idempotency record, so that a repeated request cannot apply
it twice.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from aiodynamo.errors import TransactionCanceled
from aiodynamo.expressions import F, HashKey, RangeKey
from aiodynamo.operations import Get, Update

from order_shared.aws.dynamodb import Dynamo, Item, failed_conditions
from order_shared.domain.clock import Clock, from_text, to_text, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordTaken
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.domain.inventory.models import Product, StockedProduct, consolidation, spread
from order_shared.storage.idempotency_records import get_record, put_record
from order_shared.storage.item_schema import Upgrade, Versions, as_it_is
from order_shared.tables import MAX_STOCK_SHARDS, PRODUCTS_BY_TENANT_INDEX, TableNames

ITEM_VERSION = 1
UPGRADES: Mapping[int, Upgrade] = {0: as_it_is}
"""The first stock records had no version. `available` must keep its name and meaning in every version, because it is
changed without a read."""

VERSIONS = Versions("inventory", ITEM_VERSION, UPGRADES)
PRODUCT_RECORD = "product"
AVAILABLE = F("available")
STOCK_ROUNDS = 8
"""Attempts of a change of several shards while other writers change the stock."""


class InventoryRepository(Protocol):
    """Port of products and stock. All methods raise StorageUnavailable when the outcome is unknown."""

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        """Return the product with its stock. Strongly consistent. Raises ProductNotFound."""
        ...

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        """Return those of the products that exist, by SKU. Strongly consistent."""
        ...

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Product]:
        """Return the products after `after`, sorted by SKU. Eventually consistent."""
        ...

    async def put(self, product: Product) -> None:
        """Create or replace the product without changing its stock. Raises StockShardsShrunk."""

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        """Add `delta` to the stock, once per record. Raises ProductNotFound, InsufficientStock, RecordTaken."""

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        """Move stock until one shard has `quantity`. Return False if all shards together have less."""
        ...

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        """Return the record, even if it has expired. Strongly consistent."""


def product_key(tenant: str, sku: str) -> str:
    return f"{tenant}#{sku}"


def stock_record(shard: int) -> str:
    return f"stock#{shard:02d}"


def take_stock(table: str, tenant: str, sku: str, *, shard: int, quantity: int) -> Update:
    """Return the write that takes `quantity` from the shard. Its condition requires that the shard has as much."""
    return Update(table, _stock_key(tenant, sku, shard), AVAILABLE.change(-quantity), AVAILABLE.gte(quantity))


def return_stock(table: str, tenant: str, sku: str, *, shard: int, quantity: int) -> Update:
    """Return the write that returns `quantity` to the shard that it came from. It fails if the shard does not exist."""
    return Update(table, _stock_key(tenant, sku, shard), AVAILABLE.change(quantity))


class DynamoInventoryRepository:
    def __init__(self, dynamo: Dynamo, tables: TableNames, clock: Clock = utc_now) -> None:
        self._dynamo = dynamo
        self._tables = tables
        self._table = tables.inventory
        self._clock = clock

    async def get(self, tenant: str, sku: str) -> StockedProduct:
        records = await self._dynamo.query(
            self._table, HashKey("product_key", product_key(tenant, sku)), limit=1 + MAX_STOCK_SHARDS
        )
        by_record = {item["record"]: item for item in records}
        if PRODUCT_RECORD not in by_record:
            raise ProductNotFound(sku)
        product = _to_product(by_record[PRODUCT_RECORD])
        return StockedProduct(
            product,
            tuple(_available(by_record.get(stock_record(shard))) for shard in range(product.stock_shards)),
        )

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        keys = [{"product_key": product_key(tenant, sku), "record": PRODUCT_RECORD} for sku in skus]
        items = await self._dynamo.get_many(self._table, keys)
        return {product.sku: product for product in map(_to_product, items)}

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Product]:
        condition = HashKey("tenant", tenant) & RangeKey("sku").gt(after) if after else HashKey("tenant", tenant)
        items = await self._dynamo.query(self._table, condition, index=PRODUCTS_BY_TENANT_INDEX, limit=limit)
        return [_to_product(item) for item in items]

    async def put(self, product: Product) -> None:
        key = {"product_key": product_key(product.tenant, product.sku), "record": PRODUCT_RECORD}
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
        shards = [
            Update(
                self._table,
                _stock_key(product.tenant, product.sku, shard),
                F("available").set_if_not_exists(0) & F("item_version").set_if_not_exists(ITEM_VERSION),
            )
            for shard in range(product.stock_shards)
        ]
        try:
            await self._dynamo.transact_write([write, *shards])
        except TransactionCanceled as error:
            failed_conditions(error)
            await self.get(product.tenant, product.sku)  # raises if only a newer release supports its version
            raise StockShardsShrunk(product.sku, product.stock_shards) from error

    async def adjust(self, tenant: str, sku: str, delta: int, key_record: IdempotencyRecord) -> None:
        for _ in range(STOCK_ROUNDS):
            stock = await self._snapshot(tenant, sku)
            if sum(stock) + delta < 0:
                raise InsufficientStock(sku, sum(stock))
            changes = [
                take_stock(self._table, tenant, sku, shard=shard, quantity=-change)
                if change < 0
                else return_stock(self._table, tenant, sku, shard=shard, quantity=change)
                for shard, change in enumerate(spread(delta, stock))
                if change
            ]
            try:
                await self._dynamo.transact_write(
                    [put_record(self._tables.idempotency, key_record, self._clock()), *changes]
                )
            except TransactionCanceled as error:
                record_taken, *_ = failed_conditions(error)
                if record_taken:
                    raise RecordTaken(key_record.key) from error
                continue  # an order changed the stock: plan again with the rest
            return
        raise StorageUnavailable(f"the stock of {sku} changes too fast")

    async def consolidate_stock(self, tenant: str, sku: str, *, shard: int, quantity: int) -> bool:
        for _ in range(STOCK_ROUNDS):
            try:
                stock = await self._snapshot(tenant, sku)
            except ProductNotFound:
                return False
            moves = consolidation(quantity, shard, stock) if shard < len(stock) else None
            if moves is None:
                return False
            if not moves:
                return True
            taken = [
                take_stock(self._table, tenant, sku, shard=source, quantity=moved) for source, moved in moves.items()
            ]
            given = return_stock(self._table, tenant, sku, shard=shard, quantity=sum(moves.values()))
            try:
                await self._dynamo.transact_write([*taken, given])
            except TransactionCanceled as error:
                failed_conditions(error)
                continue  # an order changed the stock
            return True
        raise StorageUnavailable(f"the stock of {sku} changes too fast")

    async def find_record(self, key: str) -> IdempotencyRecord | None:
        return await get_record(self._dynamo, self._tables.idempotency, key)

    async def _snapshot(self, tenant: str, sku: str) -> list[int]:
        """Return a snapshot of the stock of all shards, so that it never includes half of a transfer.

        Raises ProductNotFound.
        """
        shards = (await self.get(tenant, sku)).product.stock_shards
        gets = [Get(self._table, _stock_key(tenant, sku, shard)) for shard in range(shards)]
        return [_available(item) for item in await self._dynamo.transact_get(gets)]


def _available(item: Item | None) -> int:
    """Return the stock of a shard's item; 0 if it does not exist."""
    return int(VERSIONS.upgraded(item)["available"]) if item else 0


def _stock_key(tenant: str, sku: str, shard: int) -> Item:
    return {"product_key": product_key(tenant, sku), "record": stock_record(shard)}


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
