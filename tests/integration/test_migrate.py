"""Items of earlier releases are read, moved and rewritten while services run, over every real engine."""

import asyncio
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiodynamo.errors import ConditionalCheckFailed
from aiodynamo.expressions import Condition, F, UpdateExpression
from typer.testing import CliRunner
from typer.testing import Result as Invocation

from aws_json_client import AwsClient, RetryPolicy
from devstack.provision import create_table
from devstack.stack import KEY, REGION, local_credentials
from order_operations.live.last_orders import of_small_table
from order_operations.migration import SEGMENTS, Backfill
from order_operations.parked_orders import list_parked
from order_operations.target import Target
from order_shared.aws.dynamodb import Dynamo, Item, open_dynamo
from order_shared.domain.clock import EPOCH, MAX_MICROS, from_micros
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.exceptions import StaleOrder
from order_shared.domain.order.models import Customer, Order
from order_shared.domain.order.payments import Undo, UndoKind
from order_shared.storage import order_items as items
from order_shared.storage.inventory import DynamoInventoryRepository, product_key
from order_shared.storage.item_schema import UnknownItemVersion, Upgrade, Versions, version_of
from order_shared.storage.migrations import MigratedTable, Migration, Segment
from order_shared.storage.order_items import ITEM_VERSION, TIMELINE_VERSION, item_key, to_item
from order_shared.storage.order_upgrades import UPGRADES
from order_shared.storage.orders import MAX_DUE_AT, DynamoOrderRepository, UnreadableOrder, Window, reference_key
from order_shared.storage.outbox import open_shard_of
from order_shared.storage.tenant_keys import listing_attributes
from order_shared.storage.tenant_orders import DynamoTenantOrders, TenantSearch
from order_shared.tables import ORDERS, TABLES, TableNames
from orderctl import terminal
from orderctl.commands.parked_orders import summary
from orderctl.exceptions import ExitCode
from orderctl.main import app
from tests import engines
from tests.factories import NOON, make_order, make_product, make_record, make_stock_record
from tests.fakes import make_adapters
from tests.integration.contention import overtaken
from tests.releases import stored_by_release_1, without_version
from tests.tables import delete, scan
from tests.waiting import PATIENCE_SECONDS, eventually

WHOLE = Segment(number=0, of=1)
FAST = 1_000_000.0
FUTURE = ITEM_VERSION + 1
MANY = 50
MINUTE = timedelta(minutes=1)
EVER = Window(start=EPOCH, end=from_micros(MAX_MICROS))

T = TypeVar("T")


@dataclass
class Shop:
    """Tables of one test, and the repositories over them."""

    dynamo: Dynamo
    tables: TableNames

    def __post_init__(self) -> None:
        self.orders = DynamoOrderRepository(self.dynamo, self.tables)
        self.inventory = DynamoInventoryRepository(self.dynamo, self.tables)

    def migration(self, table: MigratedTable = MigratedTable.ORDERS, dynamo: Dynamo | None = None) -> Migration:
        return Migration.of(dynamo or self.dynamo, self.tables, table)

    def migration_of(self, version: int, upgrade: Callable[[Item], Item]) -> Migration:
        """Return a migration of orders from one version to the next, with another upgrade."""
        versions = Versions("orders", version + 1, {version: Upgrade(upgrade)})
        return Migration(self.dynamo, self.tables.orders, self.tables.operations, ORDERS, versions, subject="other")

    def backfill(self, table: MigratedTable = MigratedTable.ORDERS, dynamo: Dynamo | None = None) -> Backfill:
        return Backfill(self.migration(table, dynamo), rate=FAST)

    async def put(self, item: Item) -> Item:
        await self.dynamo.put(self.tables.orders, item)
        return item

    async def old(self, order: Order | None = None, *, version: int = 1) -> Order:
        """Store orders as an earlier release did, each of another customer, so that every segment has some."""
        order = order or make_order(customer=Customer(tenant="acme", id=uuid.uuid4().hex))
        order = replace(order, stores_history=False)
        item = stored_by_release_1(order)
        await self.put(item if version else without_version(item))
        return order

    async def set(self, order: Order, attribute: str, value: object) -> None:
        """Write an attribute, as a concurrent writer."""
        key = item_key(order.customer.key, order.created_at)
        await self.dynamo.update(self.tables.orders, key, F(attribute).set(value), condition=F("customer_key").exists())

    async def item(self, order: Order) -> Item:
        item = await self.dynamo.get(self.tables.orders, item_key(order.customer.key, order.created_at))
        assert item is not None
        return item

    async def all(self, table: str) -> list[Item]:
        return await scan(self.dynamo, table)

    async def versions(self) -> list[int]:
        return sorted(version_of(item) for item in await self.all(self.tables.orders))

    async def forget_stock_versions(self) -> None:
        """Remove the versions of the stock items, as in the first release."""
        for item in await self.all(self.tables.inventory):
            if item["record"].startswith("stock#"):
                key = {name: item[name] for name in ("product_key", "record")}
                await self.dynamo.update(
                    self.tables.inventory, key, F("item_version").remove(), condition=F("product_key").exists()
                )


@asynccontextmanager
async def opened(endpoint: str, tables: TableNames) -> AsyncIterator[Shop]:
    retries = RetryPolicy(deadline=20.0)
    async with open_dynamo(local_credentials(), region=REGION, endpoint=endpoint, retries=retries) as dynamo:
        yield Shop(dynamo, tables)


def created(endpoint: str, prefix: str) -> TableNames:
    dynamodb = engines.client("dynamodb", endpoint)
    for table in TABLES:
        create_table(dynamodb, table, prefix + table.name)
    return TableNames.with_prefix(prefix)


@pytest.fixture(params=["emulator", "dynamodb-local"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    endpoint: str = request.getfixturevalue(f"{request.param.replace('-', '_')}_endpoint")
    async with opened(endpoint, created(endpoint, f"{tmp_path.name}-")) as shop:
        yield shop


def rewritten_item(order: Order) -> Item:
    return to_item(replace(order, stores_history=True))


async def read_all(migration: Migration) -> list[Item]:
    return (await migration.read(WHOLE, None, 1000)).items


# --- older items are read and moved


@pytest.mark.parametrize("version", [0, 1])
async def test_an_older_item_is_read_and_moved_before_it_is_rewritten(shop: Shop, version: int) -> None:
    order = await shop.old(make_order(reference="PO-7"), version=version)
    assert await shop.orders.get(order.customer, order.order_id) == order
    await shop.inventory.put(make_product())
    await shop.inventory.adjust("acme", "TEA", 5, make_stock_record("acme", "TEA"))
    confirmed = order.confirm(order.created_at + MINUTE)
    await shop.orders.move(order, confirmed)
    assert await shop.orders.get(order.customer, order.order_id) == confirmed
    assert version_of(await shop.item(order)) == version, "only the backfill makes another version of it"
    assert (await shop.inventory.get("acme", "TEA")).available == 3


async def test_a_new_order_has_the_newest_version(shop: Shop) -> None:
    order = make_order()
    await shop.orders.add(order, make_record(order))
    assert await shop.item(order) == to_item(order)
    assert await shop.versions() == [ITEM_VERSION]


async def test_every_inventory_item_has_its_version(shop: Shop) -> None:
    await shop.inventory.put(make_product(stock_shards=2))
    assert [version_of(item) for item in await shop.all(shop.tables.inventory)] == [1, 1, 1]


async def test_stock_items_without_a_version_are_used_and_rewritten(shop: Shop) -> None:
    await shop.inventory.put(make_product(stock_shards=2))
    await shop.forget_stock_versions()
    await shop.inventory.adjust("acme", "TEA", 5, make_stock_record("acme", "TEA"))
    tally = await shop.backfill(MigratedTable.INVENTORY).rewrite()
    assert (tally.versions, tally.rewritten) == ({0: 2, 1: 1}, 2)
    assert [version_of(item) for item in await shop.all(shop.tables.inventory)] == [1, 1, 1]
    assert (await shop.inventory.get("acme", "TEA")).available == 5


# --- references of the last release, as they were sent


async def stored_as_sent(shop: Shop, reference: str, *, cancelled: bool = False) -> Order:
    """Store an order with its reference and its record in the form in which the customer sent the reference."""
    order = replace(make_order(), reference=reference)
    await shop.orders.add(order, make_record(order))
    if cancelled:
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))
    return order


async def holder(shop: Shop, order: Order, reference: str) -> str | None:
    """Return the id of the order that holds this form of a reference."""
    record = await shop.orders.find_record(reference_key(order.customer, reference))
    return None if record is None else record.subject


async def test_a_reference_and_its_record_get_the_normal_form(shop: Shop) -> None:
    order = await stored_as_sent(shop, " cafe\u0301 ")
    plain, ended = await stored_as_sent(shop, "PO-7"), await stored_as_sent(shop, " PO-8", cancelled=True)
    counted = await shop.backfill().count()
    assert (counted.references, counted.older_than(ITEM_VERSION)) == (1, 0)
    tally = await shop.backfill().rewrite()
    assert (tally.references, tally.rewritten) == (1, 1)
    stored = await shop.orders.get(order.customer, order.order_id)
    assert stored == replace(order, reference="caf\u00e9")
    assert await holder(shop, order, "caf\u00e9") == order.order_id
    assert await holder(shop, order, " cafe\u0301 ") is None
    assert (await shop.item(plain), await shop.item(ended)) == (to_item(plain), await shop.item(ended))
    assert (await shop.backfill().rewrite(from_start=True)).rewritten == 0
    with pytest.raises(StaleOrder):  # a flow that had read the order before would free the old form only
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))
    await shop.orders.move(stored, stored.cancel(order.created_at + MINUTE))
    assert await holder(shop, order, "caf\u00e9") is None


async def test_an_old_item_gets_the_newest_version_and_the_normal_reference(shop: Shop) -> None:
    order = replace(make_order(), reference=" PO-7 ")
    await shop.old(order)
    assert (await shop.backfill().rewrite()).rewritten == 1
    assert (await shop.item(order))["reference"] == "PO-7"
    assert await shop.versions() == [ITEM_VERSION]
    assert await holder(shop, order, "PO-7") == order.order_id


async def test_a_reference_whose_normal_form_another_order_holds_stays(shop: Shop) -> None:
    newer = await stored_as_sent(shop, "PO-7")
    order = await stored_as_sent(shop, " PO-7")
    assert (await shop.backfill().rewrite()).rewritten == 0
    assert await shop.item(order) == to_item(order)
    assert await holder(shop, order, " PO-7") == order.order_id
    assert await holder(shop, newer, "PO-7") == newer.order_id


async def test_an_order_that_ended_meanwhile_gets_no_record_of_its_reference(shop: Shop) -> None:
    order = await stored_as_sent(shop, " PO-7")

    async def cancel() -> None:
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))

    migration = shop.migration(dynamo=overtaken(shop.dynamo, cancel))
    (read,) = await read_all(migration)
    assert not await migration.rewrite(read)
    assert [await holder(shop, order, reference) for reference in (" PO-7", "PO-7")] == [None, None]


# --- orders of the last release, which the lists of their tenants do not contain


async def unlisted(shop: Shop, order: Order) -> Order:
    """Store an order as the last release did."""
    listed = listing_attributes(order.customer.tenant, order.order_id, order.reference)
    await shop.put({name: value for name, value in to_item(order).items() if name not in listed})
    return order


async def found(shop: Shop, **filters: Any) -> list[str]:
    search = TenantSearch(tenant="acme", window=EVER, **filters)
    page = await DynamoTenantOrders(shop.dynamo, shop.tables).search(search, limit=100, after=None)
    return sorted(order.order_id for order in page.orders)


async def test_orders_of_the_last_release_are_listed_after_the_backfill(shop: Shop) -> None:
    plain, named, ended = make_order(), make_order(reference="PO-7"), make_order(reference="PO-7")
    last = [await unlisted(shop, each) for each in (plain, named, ended.cancel(ended.created_at + MINUTE))]
    first = await shop.old(make_order(reference="PO-7"))
    new = await shop.put(to_item(make_order()))
    assert await found(shop) == [new["order_id"]]
    assert (await shop.backfill().count()).unlisted == 4
    tally = await shop.backfill().rewrite()
    assert (tally.seen, tally.rewritten, tally.unlisted) == (5, 4, 0)
    for order in (*last, first):
        listed = listing_attributes(order.customer.tenant, order.order_id, order.reference)
        assert listed.items() <= (await shop.item(order)).items()
    assert await shop.item(last[0]) == to_item(last[0]), "nothing else of an item of the newest version changes"
    assert len(await found(shop)) == 5
    assert await found(shop, reference="PO-7") == sorted(each.order_id for each in (*last[1:], first))
    assert (await shop.backfill().count()).unlisted == 0
    assert (await shop.backfill().rewrite(from_start=True)).rewritten == 0


async def test_an_order_gets_its_attributes_and_the_normal_reference(shop: Shop) -> None:
    order = await stored_as_sent(shop, " PO-7 ")
    await unlisted(shop, order)
    assert (await shop.backfill().rewrite()).rewritten == 1
    assert await shop.item(order) == to_item(replace(order, reference="PO-7"))
    assert await found(shop, reference="PO-7") == [order.order_id]


async def test_a_reference_that_gets_its_normal_form_meanwhile_is_listed_by_it(shop: Shop) -> None:
    order = await unlisted(shop, replace(make_order(), reference=" PO-7"))

    async def normalize() -> None:
        await shop.set(order, "reference", "PO-7")

    migration = shop.migration(dynamo=overtaken(shop.dynamo, normalize))
    (read,) = await read_all(migration)
    assert await migration.rewrite(read)
    assert await shop.item(order) == to_item(replace(order, reference="PO-7"))


async def test_an_order_of_a_newer_release_is_counted_and_not_changed(shop: Shop) -> None:
    order = await unlisted(shop, make_order())
    await shop.set(order, "item_version", FUTURE)
    before = await shop.item(order)
    tally = await shop.backfill().rewrite()
    assert (tally.rewritten, tally.unlisted) == (0, 1)
    assert await shop.item(order) == before


async def test_a_run_that_the_last_release_finished_hides_no_order(shop: Shop) -> None:
    """Its checkpoints have another subject."""
    order = await unlisted(shop, make_order())
    for number in range(SEGMENTS):
        checkpoint = {
            "subject": f"migration#orders#{ITEM_VERSION}#nfc",
            "at": f"segment#{number:02d}/{SEGMENTS:02d}",
            "done": True,
        }
        await shop.dynamo.put(shop.tables.operations, checkpoint)
    await shop.backfill().rewrite()
    assert await found(shop) == [order.order_id]


# --- items that only a newer release knows


async def test_an_order_of_a_newer_release_hides_no_other_in_a_list(shop: Shop) -> None:
    before, after = make_order(), make_order()
    for order in (before, after):
        await shop.orders.add(order, make_record(order))
    newer = make_order()
    await shop.put(to_item(newer) | {"item_version": FUTURE})
    odd = make_order()
    await shop.put({**to_item(odd), "status": "on_hold"})
    read = await shop.orders.list_orders(before.customer, EVER, limit=10, descending=False)
    unreadable = [each for each in read.orders if isinstance(each, UnreadableOrder)]
    assert [each for each in read.orders if isinstance(each, Order)] == [before, after]
    assert [each.created_at for each in unreadable] == [newer.created_at, odd.created_at]
    assert "version 4; this release reads 0 to 3" in unreadable[0].error
    (found,) = [each for each in await of_small_table(shop.dynamo, shop.tables.orders) if each == after]
    assert found == after


async def test_a_product_of_a_newer_release_hides_no_other_in_a_list(shop: Shop) -> None:
    for sku in ("A", "B", "C"):
        await shop.inventory.put(make_product(sku=sku))
    key = {"product_key": product_key("acme", "B"), "record": "product"}
    await shop.dynamo.update(shop.tables.inventory, key, F("item_version").set(99), condition=F("product_key").exists())
    listed = await shop.inventory.list_products("acme", after=None, limit=10)
    assert [(type(each).__name__, each.sku) for each in listed] == [
        ("Product", "A"),
        ("UnreadableProduct", "B"),
        ("Product", "C"),
    ]


async def test_a_parked_order_of_a_newer_release_is_listed_as_unreadable(shop: Shop) -> None:
    parked = make_order().park(NOON, "overdue")
    newer = make_order().park(NOON, "overdue")
    await shop.put(to_item(parked))
    await shop.put(to_item(newer) | {"item_version": FUTURE})
    adapters = make_adapters(shop.dynamo, shop.tables)
    listed = await list_parked(adapters, 10)
    assert [each for each in listed if isinstance(each, Order)] == [parked]
    assert [each.created_at for each in listed if isinstance(each, UnreadableOrder)] == [newer.created_at]
    rows = [summary(each) for each in listed]
    assert sorted(str(row["status"]) for row in rows) == ["pending", "unreadable"]


async def test_an_order_of_a_newer_release_is_not_changed(shop: Shop) -> None:
    order = make_order()
    item = await shop.put(to_item(order) | {"item_version": FUTURE, "payload": "of a later form"})
    with pytest.raises(UnknownItemVersion):
        await shop.orders.get(order.customer, order.order_id)
    with pytest.raises(StaleOrder):
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))
    assert await shop.item(order) == item
    tally = await shop.backfill().rewrite(from_start=True)
    assert (tally.rewritten, tally.newer_than(ITEM_VERSION)) == (0, 1)
    assert await shop.item(order) == item


async def test_the_previous_release_does_not_process_an_order_with_an_undo(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The previous release would confirm a payment that is being undone, and has one idempotency key per call."""
    order = make_order(payment_token="pm_card_visa", stores_history=False)
    await shop.orders.add(order, make_record(order))
    undone = order.begin_undo(Undo(UndoKind.REPLACE))
    assert version_of(await shop.item(order)) == TIMELINE_VERSION
    stored = await shop.orders.move(order, undone)
    assert (stored, version_of(await shop.item(order))) == (replace(undone, stores_history=True), ITEM_VERSION)
    last_release = Versions("orders", TIMELINE_VERSION, {version: UPGRADES[version] for version in range(2)})
    monkeypatch.setattr(items, "VERSIONS", last_release)
    monkeypatch.setattr(items, "STORES_TIMELINE", last_release.known())
    with pytest.raises(UnknownItemVersion):
        await shop.orders.get(order.customer, order.order_id)
    with pytest.raises(StaleOrder):
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))


async def test_a_backfill_replaces_the_timeline_by_the_history(shop: Shop) -> None:
    order = make_order(payment_token="pm_card_visa", stores_history=False)
    await shop.orders.add(order, make_record(order))
    order = await shop.orders.move(order, order.with_payment("pi_1"))
    tally = await shop.backfill().rewrite()
    assert (tally.rewritten, tally.older_than(ITEM_VERSION)) == (1, 1)
    item = await shop.item(order)
    assert "timeline" not in item
    assert await shop.orders.get(order.customer, order.order_id) == replace(order, stores_history=True)


async def test_a_write_that_read_the_timeline_fails_once_the_history_is_stored(shop: Shop) -> None:
    """It would otherwise append to a list that no longer exists, or leave the history without its entry."""
    await shop.inventory.put(product := make_product())
    await shop.inventory.adjust("acme", product.sku, 10, make_stock_record("acme", product.sku))
    order = make_order(stores_history=False)
    await shop.orders.add(order, make_record(order))
    order = await shop.orders.move(order, order.confirm(order.created_at))
    await shop.backfill().rewrite()
    requested = order.request_cancel(order.created_at + MINUTE, due_at=1)
    with pytest.raises(StaleOrder):
        await shop.orders.move(order, order.cancel(order.created_at + MINUTE))
    with pytest.raises(StaleOrder):
        await shop.orders.request_cancel(requested, version=None)
    stored = await shop.orders.get(order.customer, order.order_id)
    assert stored == replace(order, stores_history=True)
    requested = await shop.orders.request_cancel(replace(requested, stores_history=True), version=None)
    assert [entry.types for entry in requested.history] == [("placed",), ("confirmed",), ("cancel_requested",)]


async def test_a_sweep_does_not_postpone_an_order_of_a_newer_release(shop: Shop) -> None:
    order = make_order()
    item = await shop.put(to_item(order) | {"item_version": FUTURE})
    entry = next(
        entry
        for entry in await shop.orders.list_due(open_shard_of(order), MAX_DUE_AT, 10)
        if entry.customer_key == order.customer.key
    )
    assert await shop.orders.postpone(entry, entry.due_at + 900_000, sweeps=entry.sweeps + 1) is None
    assert await shop.item(order) == item


async def test_an_order_of_a_newer_release_cannot_get_a_request_to_cancel(shop: Shop) -> None:
    order = make_order()
    reserved = order.reserve(order.created_at, owner="worker", lease_until=order.created_at)
    item = await shop.put(to_item(reserved) | {"item_version": FUTURE})
    with pytest.raises(StaleOrder):
        await shop.orders.request_cancel(reserved.request_cancel(order.created_at, due_at=5), version=None)
    assert await shop.item(order) == item


async def test_a_product_of_a_newer_release_is_not_changed(shop: Shop) -> None:
    product = make_product()
    await shop.inventory.put(product)
    key = {"product_key": "acme#TEA", "record": "product"}
    await shop.dynamo.update(shop.tables.inventory, key, F("item_version").set(2), condition=F("product_key").exists())
    before = await shop.all(shop.tables.inventory)
    for work in (shop.inventory.get("acme", "TEA"), shop.inventory.put(make_product(name="Black tea"))):
        with pytest.raises(UnknownItemVersion):
            await work
    assert await shop.all(shop.tables.inventory) == before


# --- rewriting


@pytest.mark.parametrize("version", [0, 1])
async def test_a_rewritten_item_equals_an_item_of_this_release(shop: Shop, version: int) -> None:
    orders = [await shop.old(version=version) for _ in range(30)]
    tally = await shop.backfill().rewrite()
    assert (tally.versions, tally.rewritten) == ({version: 30}, 30)
    for order in orders:
        assert await shop.item(order) == rewritten_item(order)


async def test_rewriting_again_changes_nothing(shop: Shop) -> None:
    order = await shop.old()
    await shop.backfill().rewrite()
    assert (await shop.backfill().rewrite()).seen == 0, "it was seen to"
    again = await shop.backfill().rewrite(from_start=True)
    assert (again.seen, again.rewritten) == (1, 0)
    assert await shop.item(order) == rewritten_item(order)


async def test_a_concurrent_move_of_an_order_is_kept(shop: Shop) -> None:
    order = await shop.old()
    (read,) = await read_all(shop.migration())
    cancelled = order.cancel(order.created_at + MINUTE)
    await shop.orders.move(order, cancelled)
    assert await shop.migration().rewrite(read)
    assert await shop.item(order) == rewritten_item(cancelled)


async def test_a_concurrently_changed_item_is_read_and_upgraded_again(shop: Shop) -> None:
    migration = shop.migration_of(1, lambda item: {**item, "total": 2 * item["total"]})
    order = await shop.old()
    (read,) = await read_all(migration)
    await shop.set(order, "total", 7)
    assert await migration.rewrite(read)
    assert await shop.item(order) == stored_by_release_1(order) | {"total": 14, "item_version": 2}


async def test_a_concurrently_added_attribute_is_not_overwritten(shop: Shop) -> None:
    migration = shop.migration_of(1, lambda item: {"note": "none", **item})
    order = await shop.old()
    (read,) = await read_all(migration)
    await shop.set(order, "note", "mine")
    assert await migration.rewrite(read)
    assert await shop.item(order) == stored_by_release_1(order) | {"note": "mine", "item_version": 2}


async def test_an_item_that_a_newer_release_rewrote_is_not_changed(shop: Shop) -> None:
    order = await shop.old()
    (read,) = await read_all(shop.migration())
    await shop.set(order, "item_version", FUTURE)
    assert not await shop.migration().rewrite(read)
    assert await shop.item(order) == stored_by_release_1(order) | {"item_version": FUTURE}


async def test_a_concurrently_deleted_item_is_not_restored(shop: Shop) -> None:
    order = await shop.old(version=0)
    migration = shop.migration_of(0, lambda item: item)
    (read,) = await read_all(migration)
    await delete(shop.dynamo, shop.tables.orders, item_key(order.customer.key, order.created_at))
    assert not await migration.rewrite(read)
    assert await shop.all(shop.tables.orders) == []


class Contended(Dynamo):
    """Storage in which another writer always changes the item first."""

    async def update(self, table: str, key: Item, expression: UpdateExpression, *, condition: Condition) -> Item:  # noqa: ARG002 - as the base's
        raise ConditionalCheckFailed


async def test_an_item_that_changes_too_fast_ends_the_run(shop: Shop) -> None:
    order = await shop.old()
    with pytest.raises(StorageUnavailable, match="changes too fast"):
        await shop.backfill(dynamo=Contended(shop.dynamo.client)).rewrite()
    await shop.backfill().rewrite()
    assert await shop.item(order) == rewritten_item(order)


async def test_two_concurrent_runs_rewrite_each_item_once(shop: Shop) -> None:
    orders = [await shop.old() for _ in range(40)]
    tallies = await asyncio.gather(shop.backfill().rewrite(), shop.backfill().rewrite())
    assert sum(tally.rewritten for tally in tallies) == len(orders)
    assert await shop.versions() == [ITEM_VERSION] * len(orders)


# --- interrupted anywhere


class Cut(Exception):
    """The operator's connection is lost."""


@dataclass(frozen=True)
class CutAt(RetryPolicy):
    """Lose the connection at a request, counted from 1, with the request applied or not."""

    last: int = 1
    applied: bool = False
    made: list[None] = field(default_factory=list)

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        self.made.append(None)
        left = self.last - len(self.made)
        if left < 0 or (left == 0 and not self.applied):
            raise Cut
        answer = await super().run(attempt)
        if left == 0:
            raise Cut
        return answer


@pytest.mark.parametrize("applied", [False, True])
async def test_an_interrupted_run_resumes_after_any_request(shop: Shop, *, applied: bool) -> None:
    seen_again: list[int] = []
    for number in range(1, MANY):
        orders = [await shop.old() for _ in range(3)]
        cut = Dynamo(AwsClient(shop.dynamo.client.transport, CutAt(last=number, applied=applied)))
        broken = Backfill(shop.migration(dynamo=cut), rate=2.0, segments=1, sleep=no_wait)
        try:
            await broken.rewrite()
        except Cut:
            tally = await Backfill(shop.migration(), rate=2.0, segments=1, sleep=no_wait).rewrite()
            seen_again.append(tally.seen)
        else:
            break
        for order in orders:
            assert await shop.item(order) == rewritten_item(order)
        await empty(shop)
    assert 5 < len(seen_again) < MANY - 1, "the last run was not broken off"
    assert seen_again[0] == 3
    assert seen_again[-1] == (0 if applied else 1), "what the last checkpoint says is not read again"
    assert seen_again == sorted(seen_again, reverse=True)


async def empty(shop: Shop) -> None:
    for table, keys in (
        (shop.tables.orders, ("customer_key", "created_at")),
        (shop.tables.operations, ("subject", "at")),
    ):
        for item in await shop.all(table):
            await delete(shop.dynamo, table, {name: item[name] for name in keys})


async def no_wait(_: float) -> None:
    return None


# --- the rate


class HandTime:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "burst"), [(4.0, 4), (0.5, 1), (60.0, 25)])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_the_rate_is_kept_with_bursts_of_one_second_at_most(
    shop: Shop, rate: float, burst: int, *, dry_run: bool
) -> None:
    for _ in range(11):
        await shop.old()
    time = HandTime()
    seen_at: list[tuple[int, float]] = []
    backfill = Backfill(
        shop.migration(),
        rate=rate,
        segments=1,
        monotonic=time,
        sleep=time.sleep,
        on_progress=lambda tally: seen_at.append((tally.seen, time.now - 100.0)),
    )
    tally = await (backfill.count() if dry_run else backfill.rewrite())
    assert tally.seen == 11
    assert all(seen <= rate * at + burst for seen, at in seen_at)


# --- the command


Environment = Callable[[Callable[[Shop], Awaitable[Any]]], Any]
"""Runs work on the environment that the command works on, and gives what that gives."""


@pytest.fixture
def environment(emulator_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    tables = created(emulator_endpoint, f"{tmp_path.name}-")
    variables: Mapping[str, str] = {
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "ORDER_TABLE_PREFIX": f"{tmp_path.name}-",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for console in (terminal.console, terminal.errors):
        monkeypatch.setattr(console, "width", 200)

    def run(work: Callable[[Shop], Awaitable[Any]]) -> Any:
        async def with_shop() -> Any:
            async with opened(emulator_endpoint, tables) as shop:
                return await work(shop)

        return asyncio.run(with_shop())

    return run


def command(*arguments: str, answer: str | None = None) -> Invocation:
    return CliRunner().invoke(app, ["migrate", *arguments], input=answer)


async def two_old_orders(shop: Shop) -> None:
    await shop.old(version=0)
    await shop.old(version=1)


async def everything(shop: Shop) -> list[list[Item]]:
    return [await shop.all(table) for table in (shop.tables.orders, shop.tables.inventory, shop.tables.operations)]


def test_a_dry_run_counts_and_changes_nothing(environment: Environment) -> None:
    environment(two_old_orders)
    before = environment(everything)
    done = command("--dry-run")
    assert done.exit_code == 0, done.output
    assert "orders: 1 of version 0, 1 of version 1; 2 to be rewritten to version 3" in done.output
    assert "orders: 2 not yet in the lists of their tenants" in done.output
    assert "inventory: no items; 0 to be rewritten" in done.output
    assert done.output.count("lists of their tenants") == 1
    assert environment(everything) == before


def test_a_run_reports_its_result_and_is_in_the_audit_trail(environment: Environment) -> None:
    environment(two_old_orders)
    done = command("--table", "orders", "--reason", "version 3", "--yes")
    assert done.exit_code == 0, done.output
    assert "orders: 2 read, 2 rewritten to version 3" in done.output
    assert "orders: 0 not yet in the lists of their tenants" in done.output
    assert environment(Shop.versions) == [ITEM_VERSION] * 2
    (record,) = Target.of_environment().audit.of("migration#orders")
    assert (record.verb, record.reason, record.detail) == ("migrate", "version 3", "to version 3")
    assert record.actor in done.output.replace("\n", "")
    again = command("--table", "orders", "--reason", "again", "--yes")
    assert "orders: no items are left to read (--from-start" in again.output
    from_start = command("--table", "orders", "--reason", "again", "--yes", "--from-start")
    assert "orders: 2 read, 0 rewritten" in from_start.output


def test_a_declined_prompt_changes_nothing(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(two_old_orders)
    before = environment(everything)
    monkeypatch.setattr(terminal, "can_ask", lambda: True)
    assert command("--reason", "version 2", answer="n\n").exit_code == ExitCode.REFUSED
    assert environment(everything) == before


def test_newer_items_are_reported(environment: Environment) -> None:
    async def put(shop: Shop) -> None:
        await shop.put(to_item(make_order()) | {"item_version": FUTURE})

    environment(put)
    told = command("--dry-run")
    assert told.exit_code == 0, told.output
    assert "orders: skipped 1 of a newer version than 3" in told.output


@pytest.mark.usefixtures("environment")
def test_failures_have_exit_codes_and_no_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert command("--yes").exit_code == 2, "no reason"
    assert command("--table", "idempotency", "--dry-run").exit_code == 2
    no_stack = command("--dry-run", "--local", "--state", str(tmp_path))
    assert (no_stack.exit_code, "orderctl local up" in no_stack.output) == (1, True)
    monkeypatch.setenv("ORDER_TABLE_PREFIX", "nobodys-")
    no_table = command("--dry-run")
    assert (no_table.exit_code, "there is no table nobodys-orders" in no_table.output) == (1, True)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_the_next_run_resumes(environment: Environment, sign: signal.Signals) -> None:
    async def many(shop: Shop) -> None:
        for _ in range(20):
            await shop.old()

    async def begun(shop: Shop) -> None:
        async def some() -> bool:
            return ITEM_VERSION in await shop.versions()

        await eventually(some, "a rewritten item")

    environment(many)
    arguments = ["migrate", "--table", "orders", "--reason", "version 3", "--yes", "--rate"]
    process = subprocess.Popen(
        [sys.executable, "-m", "orderctl.main", *arguments, "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        environment(begun)
        process.send_signal(sign)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert 1 in environment(Shop.versions), "it was not done yet"
    assert command(*arguments[1:], "100000").exit_code == 0
    assert environment(Shop.versions) == [ITEM_VERSION] * 20
