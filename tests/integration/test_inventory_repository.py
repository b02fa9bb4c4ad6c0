"""Contract of the inventory repositories."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiodynamo.expressions import F
from aiodynamo.operations import Update

from order_shared.domain.idempotency import RecordTaken
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk
from order_shared.storage.inventory import (
    PRODUCT_RECORD,
    DynamoInventoryRepository,
    product_key,
    shard_for_adjustment,
    take_stock,
)
from order_shared.storage.item_schema import UnknownItemVersion
from tests.factories import make_product, make_stock_record
from tests.integration.conftest import Storage
from tests.integration.contention import Conflicting, LosingResponses, overtaken


async def stocked(storage: Storage, units: int, *, shards: int = 1, sku: str = "TEA") -> None:
    await storage.inventory.put(make_product(tenant=storage.tenant, sku=sku, stock_shards=shards))
    if units:
        await storage.inventory.adjust(storage.tenant, sku, units, make_stock_record(storage.tenant, sku))


async def stocked_on_first_shard(storage: Storage, units: int, *, shards: int) -> None:
    await stocked(storage, units)
    await storage.inventory.put(make_product(tenant=storage.tenant, stock_shards=shards))


async def shards_of(storage: Storage, sku: str = "TEA") -> tuple[int, ...]:
    return (await storage.inventory.get(storage.tenant, sku)).stock


async def test_a_stored_product_is_read_back(storage: Storage) -> None:
    product = make_product(tenant=storage.tenant, stock_shards=3)
    await storage.inventory.put(product)
    found = await storage.inventory.get(storage.tenant, product.sku)
    assert (found.product, found.stock, found.available) == (product, (0, 0, 0), 0)


async def test_a_second_put_replaces_the_product_and_keeps_its_stock(storage: Storage) -> None:
    await stocked(storage, 7)
    dearer = make_product(tenant=storage.tenant, unit_price=990)
    await storage.inventory.put(dearer)
    found = await storage.inventory.get(storage.tenant, "TEA")
    assert (found.product, found.available) == (dearer, 7)


async def test_the_number_of_shards_only_grows(storage: Storage) -> None:
    await stocked(storage, 7, shards=2)
    await storage.inventory.put(make_product(tenant=storage.tenant, stock_shards=4))
    with pytest.raises(StockShardsShrunk):
        await storage.inventory.put(make_product(tenant=storage.tenant, stock_shards=3))
    assert await shards_of(storage) == (4, 3, 0, 0)


async def test_products_of_other_tenants_are_not_found(storage: Storage) -> None:
    await stocked(storage, 1)
    with pytest.raises(ProductNotFound):
        await storage.inventory.get("elsewhere", "TEA")
    assert await storage.inventory.get_products("elsewhere", ["TEA"]) == {}
    assert await storage.inventory.list_products("elsewhere", after=None, limit=10) == []


async def test_several_products_are_read_at_once(storage: Storage) -> None:
    for sku in ("A", "B", "C"):
        await stocked(storage, 0, sku=sku)
    found = await storage.inventory.get_products(storage.tenant, ["A", "C", "NONE"])
    assert sorted(found) == ["A", "C"]
    assert found["A"] == make_product(tenant=storage.tenant, sku="A")


async def test_products_are_listed_by_sku_and_page_by_page(storage: Storage) -> None:
    for sku in ("C", "A", "D", "B"):
        await stocked(storage, 1, sku=sku)
    first = await storage.inventory.list_products(storage.tenant, after=None, limit=3)
    assert first == [make_product(tenant=storage.tenant, sku=sku) for sku in "ABC"]
    rest = await storage.inventory.list_products(storage.tenant, after="C", limit=3)
    assert [product.sku for product in rest] == ["D"]


async def test_an_adjustment_is_applied_once_per_record(storage: Storage) -> None:
    await stocked(storage, 0)
    claim = make_stock_record(storage.tenant, "TEA", "key")
    await storage.inventory.adjust(storage.tenant, "TEA", 5, claim)
    with pytest.raises(RecordTaken):
        await storage.inventory.adjust(storage.tenant, "TEA", 5, claim)
    assert await shards_of(storage) == (5,)
    assert await storage.inventory.find_record(claim.key) == claim


async def test_an_addition_is_spread_evenly_over_the_shards(storage: Storage) -> None:
    await stocked(storage, 0, shards=4)
    await storage.inventory.adjust(storage.tenant, "TEA", 10, make_stock_record(storage.tenant, "TEA", "key"))
    assert await shards_of(storage) == (3, 3, 2, 2)


async def test_an_addition_without_a_unit_for_each_shard_changes_one_shard_that_its_key_names(storage: Storage) -> None:
    await stocked(storage, 0, shards=4)
    for number in range(8):
        before = await shards_of(storage)
        record = make_stock_record(storage.tenant, "TEA", f"key-{number}")
        await storage.inventory.adjust(storage.tenant, "TEA", 3, record)
        added = [now - then for now, then in zip(await shards_of(storage), before, strict=True)]
        assert added == [3 * (shard == shard_for_adjustment(record.key, 4)) for shard in range(4)]


async def test_an_addition_changes_one_shard_if_it_could_not_be_spread_at_once(storage: Storage) -> None:
    await stocked(storage, 0, shards=4)
    record = make_stock_record(storage.tenant, "TEA", "key")
    inventory = DynamoInventoryRepository(Conflicting(storage.dynamo.client), storage.tables, storage.clock)
    await inventory.adjust(storage.tenant, "TEA", 10, record)
    assert await shards_of(storage) == tuple(10 * (shard == shard_for_adjustment(record.key, 4)) for shard in range(4))


async def test_an_addition_is_applied_once_if_the_response_of_its_transaction_was_lost(storage: Storage) -> None:
    await stocked(storage, 0, shards=4)
    inventory = DynamoInventoryRepository(LosingResponses(storage.dynamo.client), storage.tables, storage.clock)
    with pytest.raises(RecordTaken):  # the service finds that the record is of the same request
        await inventory.adjust(storage.tenant, "TEA", 10, make_stock_record(storage.tenant, "TEA", "key"))
    assert await shards_of(storage) == (3, 3, 2, 2)


async def test_a_repeated_addition_is_not_applied_again_when_the_number_of_shards_has_changed(storage: Storage) -> None:
    await stocked(storage, 0, shards=1)
    for number in range(8):
        record = make_stock_record(storage.tenant, "TEA", f"key-{number}")
        await storage.inventory.adjust(storage.tenant, "TEA", 10, record)
        await storage.inventory.put(make_product(tenant=storage.tenant, stock_shards=number + 2))
        with pytest.raises(RecordTaken):
            await storage.inventory.adjust(storage.tenant, "TEA", 10, record)
        assert sum(await shards_of(storage)) == 10 * (number + 1)


async def test_a_removal_takes_from_one_shard_if_one_holds_enough(storage: Storage) -> None:
    await stocked_on_first_shard(storage, 12, shards=4)
    await storage.inventory.consolidate_stock(storage.tenant, "TEA", shard=1, quantity=4)
    before = await shards_of(storage)
    await storage.inventory.adjust(storage.tenant, "TEA", -5, make_stock_record(storage.tenant, "TEA"))
    changed = [then - now for now, then in zip(await shards_of(storage), before, strict=True)]
    assert sorted(changed) == [0, 0, 0, 5]


async def test_a_removal_takes_from_several_shards_if_none_holds_enough(storage: Storage) -> None:
    await stocked_on_first_shard(storage, 12, shards=4)
    await storage.inventory.consolidate_stock(storage.tenant, "TEA", shard=1, quantity=6)
    await storage.inventory.adjust(storage.tenant, "TEA", -9, make_stock_record(storage.tenant, "TEA"))
    assert sum(await shards_of(storage)) == 3
    assert min(await shards_of(storage)) >= 0


async def test_more_than_the_stock_cannot_be_taken(storage: Storage) -> None:
    await stocked(storage, 10, shards=2)
    claim = make_stock_record(storage.tenant, "TEA")
    with pytest.raises(InsufficientStock) as caught:
        await storage.inventory.adjust(storage.tenant, "TEA", -11, claim)
    assert caught.value.available == 10
    assert await storage.inventory.find_record(claim.key) is None
    await storage.inventory.adjust(storage.tenant, "TEA", -10, claim)
    assert await shards_of(storage) == (0, 0)


async def test_the_stock_of_a_missing_product_cannot_be_changed(storage: Storage) -> None:
    with pytest.raises(ProductNotFound):
        await storage.inventory.adjust(storage.tenant, "NONE", 1, make_stock_record(storage.tenant, "NONE"))


async def test_consolidation_moves_stock_into_a_shard_and_keeps_its_sum(storage: Storage) -> None:
    await stocked(storage, 16, shards=4)
    for shard in range(4):
        assert await storage.inventory.consolidate_stock(storage.tenant, "TEA", shard=shard, quantity=1)
        assert (await shards_of(storage))[shard] >= 1
    before = await shards_of(storage)
    assert await storage.inventory.consolidate_stock(storage.tenant, "TEA", shard=3, quantity=1), (
        "it holds that already"
    )
    assert await shards_of(storage) == before
    assert await storage.inventory.consolidate_stock(storage.tenant, "TEA", shard=3, quantity=16)
    assert await shards_of(storage) == (0, 0, 0, 16)


async def test_a_plan_moves_nothing_yet(storage: Storage) -> None:
    await stocked_on_first_shard(storage, 16, shards=4)
    moves = await storage.inventory.plan_consolidation(storage.tenant, "TEA", shard=1, quantity=3)
    assert moves == {0: 8}
    assert await storage.inventory.plan_consolidation(storage.tenant, "TEA", shard=0, quantity=3) == {}
    assert await shards_of(storage) == (16, 0, 0, 0)


async def test_more_than_all_shards_hold_cannot_be_consolidated(storage: Storage) -> None:
    await stocked(storage, 10, shards=4)
    before = await shards_of(storage)
    for sku, quantity in (("TEA", 11), ("NONE", 1)):
        assert not await storage.inventory.consolidate_stock(storage.tenant, sku, shard=0, quantity=quantity)
        assert await storage.inventory.plan_consolidation(storage.tenant, sku, shard=0, quantity=quantity) is None
    assert await shards_of(storage) == before


async def test_concurrent_adjustments_are_all_applied(real_storage: Storage) -> None:
    await stocked(real_storage, 0, shards=3)
    await asyncio.gather(
        *(
            real_storage.inventory.adjust(real_storage.tenant, "TEA", 5, make_stock_record(real_storage.tenant, "TEA"))
            for _ in range(20)
        )
    )
    assert sum(await shards_of(real_storage)) == 100


async def test_concurrent_removals_never_make_the_stock_negative(real_storage: Storage) -> None:
    await stocked(real_storage, 10)
    outcomes = await asyncio.gather(
        *(
            real_storage.inventory.adjust(real_storage.tenant, "TEA", -1, make_stock_record(real_storage.tenant, "TEA"))
            for _ in range(25)
        ),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 10
    assert await shards_of(real_storage) == (0,)


async def test_consolidations_and_adjustments_at_once_lose_nothing(real_storage: Storage) -> None:
    await stocked(real_storage, 40, shards=4)
    inventory, tenant = real_storage.inventory, real_storage.tenant
    await asyncio.gather(
        *(inventory.consolidate_stock(tenant, "TEA", shard=number % 4, quantity=20) for number in range(12)),
        *(inventory.adjust(tenant, "TEA", 5, make_stock_record(tenant, "TEA")) for _ in range(8)),
        *(inventory.adjust(tenant, "TEA", -5, make_stock_record(tenant, "TEA")) for _ in range(8)),
    )
    assert sum(await shards_of(real_storage)) == 40
    assert min(await shards_of(real_storage)) >= 0


async def test_prices_and_numbers_of_shards_at_once_leave_no_shard_missing(real_storage: Storage) -> None:
    await stocked(real_storage, 7)
    inventory, tenant = real_storage.inventory, real_storage.tenant
    numbers = [1 + number % 8 for number in range(24)]
    outcomes = await asyncio.gather(
        *(inventory.put(make_product(tenant=tenant, stock_shards=number)) for number in numbers), return_exceptions=True
    )
    assert all(outcome is None or isinstance(outcome, StockShardsShrunk) for outcome in outcomes)
    found = await inventory.get(tenant, "TEA")
    assert (found.product.stock_shards, found.available) == (8, 7)
    for number in range(16):
        await inventory.adjust(tenant, "TEA", 1, make_stock_record(tenant, "TEA", f"key-{number}"))
    assert (await inventory.get(tenant, "TEA")).available == 23


# --- another writer between the read and the write of a call


def overtaken_inventory(storage: Storage, other: Callable[[], Awaitable[object]]) -> DynamoInventoryRepository:
    return DynamoInventoryRepository(overtaken(storage.dynamo, other), storage.tables, storage.clock)


async def test_a_price_change_that_read_fewer_shards_does_not_remove_one(storage: Storage) -> None:
    await stocked(storage, 7)
    grown = make_product(tenant=storage.tenant, stock_shards=3)
    with pytest.raises(StockShardsShrunk):
        await overtaken_inventory(storage, lambda: storage.inventory.put(grown)).put(
            make_product(tenant=storage.tenant, unit_price=990)
        )
    found = await storage.inventory.get(storage.tenant, "TEA")
    assert (found.product, found.available) == (grown, 7)


async def test_a_product_that_a_newer_release_has_written_meanwhile_is_not_replaced(storage: Storage) -> None:
    product = make_product(tenant=storage.tenant)
    await storage.inventory.put(product)
    key = {"product_key": product_key(storage.tenant, product.sku), "record": PRODUCT_RECORD}

    async def upgrade() -> None:
        await storage.dynamo.transact_write([Update(storage.tables.inventory, key, F("item_version").set(99))])

    with pytest.raises(UnknownItemVersion):
        await overtaken_inventory(storage, upgrade).put(make_product(tenant=storage.tenant, unit_price=990))
    stored = await storage.dynamo.get(storage.tables.inventory, key)
    assert stored is not None
    assert stored["unit_price"] == product.unit_price


async def test_a_removal_from_several_shards_leaves_none_negative_if_one_was_emptied_meanwhile(
    storage: Storage,
) -> None:
    await stocked(storage, 7, shards=2)

    async def empty() -> None:
        write = take_stock(storage.tables.inventory, storage.tenant, "TEA", shard=0, quantity=4)
        await storage.dynamo.transact_write([write])

    with pytest.raises(InsufficientStock):
        await overtaken_inventory(storage, empty).adjust(
            storage.tenant, "TEA", -6, make_stock_record(storage.tenant, "TEA", "removal")
        )
    assert sorted(await shards_of(storage)) == [0, 3]
