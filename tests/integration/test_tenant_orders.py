"""Contract of the search in the orders of a tenant: the fake, the emulator and, if installed, DynamoDB Local."""

import asyncio
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from order_shared.aws.encoding import attributes
from order_shared.domain.clock import EPOCH, MAX_MICROS, from_micros
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import Window
from order_shared.storage.tenant_keys import reference_and_id, tenant_shard_of, tenant_shards
from order_shared.storage.tenant_orders import DynamoTenantOrders, TenantOrders, TenantSearch
from tests.factories import NOON, make_order, make_product, make_tenant
from tests.integration.conftest import Storage

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
EVER = Window(start=EPOCH, end=from_micros(MAX_MICROS))
FUTURE = 99
"""Item version of a newer release."""

SORTS = pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])


@dataclass(frozen=True)
class Shop:
    """One tenant of a storage, and shorter ways to its orders."""

    storage: Storage
    search: TenantOrders

    def order(self, customer: str = "ada", *, at: datetime | None = None, **fields: Any) -> Order:
        owner = Customer(tenant=fields.pop("tenant", self.storage.tenant), id=customer)
        return make_order(customer=owner, lines=[(make_product(tenant=owner.tenant), 1)], at=at, **fields)

    async def put(self, order: Order, **attributes_of_item: Any) -> Order:
        """Store an order as it is, without stock and records. An attribute that is None is left out."""
        item = to_item(order) | attributes_of_item
        await self.storage.dynamo.put(
            self.storage.tables.orders, {name: value for name, value in item.items() if value is not None}
        )
        return order

    async def placed(self, *args: Any, status: OrderStatus = OrderStatus.PENDING, **fields: Any) -> Order:
        return await self.put(replace(self.order(*args, **fields), status=status))

    async def pages(self, *, limit: int = 3, **filters: Any) -> list[Sequence[Order]]:
        """Return the orders of each page, to the end."""
        found, after = [], None
        search = TenantSearch(tenant=self.storage.tenant, **{"window": EVER} | filters)
        while True:
            page = await self.search.search(search, limit=limit, after=after)
            assert len(page.orders) <= limit
            found.append(page.orders)
            if page.resume_after is None:
                return found
            assert after is None or (page.resume_after < after if search.descending else page.resume_after > after)
            after = page.resume_after

    async def found(self, **filters: Any) -> list[str]:
        return ids(order for page in await self.pages(**filters) for order in page)


def ids(orders: Any) -> list[str]:
    return [order.order_id for order in orders]


@pytest.fixture
def shop(storage: Storage) -> Shop:
    return Shop(storage, storage.tenant_orders)


@SORTS
async def test_the_orders_of_all_customers_are_listed_by_time(shop: Shop, descending: bool) -> None:  # noqa: FBT001
    placed = [await shop.placed(f"customer-{number % 7}", at=NOON + number * SECOND) for number in range(25)]
    expected = ids(placed)[::-1] if descending else ids(placed)
    pages = await shop.pages(descending=descending, limit=10)
    assert [order for page in pages for order in page] == (placed[::-1] if descending else placed)
    assert list(map(len, pages)) == [10, 10, 5]
    assert await shop.found(descending=descending, limit=25) == expected
    assert len(await shop.pages(descending=descending, limit=25)) == 1, "no empty page follows the last order"


async def test_a_tenant_without_orders_has_one_empty_page(shop: Shop) -> None:
    searches: list[dict[str, Any]] = [{}, {"customer": "ada"}, {"reference": "PO-7"}]
    for filters in searches:
        assert await shop.pages(**filters) == [[]]


@SORTS
async def test_orders_of_one_microsecond_are_neither_skipped_nor_repeated(shop: Shop, descending: bool) -> None:  # noqa: FBT001
    same = [await shop.placed(f"customer-{number}", at=NOON) for number in range(40)]
    others = [await shop.placed("ada", at=NOON + turn * MICROSECOND) for turn in (-1, 1)]
    for limit in (7, 100):
        found = await shop.found(descending=descending, limit=limit)
        assert sorted(found) == sorted(ids(same + others))
        assert found == sorted(found, reverse=descending)


@SORTS
async def test_orders_placed_between_two_pages_do_not_disturb_them(shop: Shop, descending: bool) -> None:  # noqa: FBT001
    placed = [await shop.placed(f"customer-{number}", at=NOON + number * SECOND) for number in range(6)]
    search = TenantSearch(tenant=shop.storage.tenant, window=EVER, descending=descending)
    first = await shop.search.search(search, limit=4, after=None)
    newest = await shop.placed("bob", at=NOON + 60 * SECOND)
    second = await shop.search.search(search, limit=4, after=first.resume_after)
    listed = placed[::-1] if descending else [*placed, newest]
    assert ids([*first.orders, *second.orders]) == ids(listed)


async def test_a_window_has_its_start_and_not_its_end(shop: Shop) -> None:
    placed = [await shop.placed(f"customer-{turn}", at=NOON + turn * MICROSECOND) for turn in range(4)]
    for start, end in ((0, 4), (1, 3), (2, 3), (3, 3), (3, 1)):
        window = Window(start=NOON + start * MICROSECOND, end=NOON + end * MICROSECOND)
        for filters in ({}, {"reference": None}, {"customer": "customer-2"}):
            expected = [
                order
                for order in placed[start:end]
                if filters.get("customer") is None or order.customer.id == filters["customer"]
            ]
            assert await shop.found(window=window, descending=False, **filters) == ids(expected)


async def test_all_filters_are_combined(shop: Shop) -> None:
    confirmed = OrderStatus.CONFIRMED
    wanted = await shop.placed("ada", at=NOON, reference="PO-7", status=confirmed)
    await shop.placed("ada", at=NOON + SECOND, reference="PO-7", status=OrderStatus.CANCELLED)
    await shop.placed("ada", at=NOON - timedelta(days=1), reference="PO-7", status=confirmed)
    await shop.placed("ada", at=NOON + 2 * SECOND, reference="PO-70", status=confirmed)
    await shop.placed("ada", at=NOON + 3 * SECOND, status=confirmed)
    await shop.placed("bob", at=NOON + 4 * SECOND, reference="PO-7", status=confirmed)
    await shop.placed("ada", at=NOON, reference="PO-7", status=confirmed, tenant=make_tenant())
    filters: dict[str, Any] = {
        "customer": "ada",
        "reference": "PO-7",
        "statuses": frozenset({confirmed}),
        "window": Window(start=NOON, end=NOON + timedelta(hours=1)),
    }
    assert await shop.found(**filters) == ids([wanted])
    for left_out, more in (("customer", 2), ("reference", 3), ("statuses", 2), ("window", 2)):
        others = {name: value for name, value in filters.items() if name != left_out}
        assert len(await shop.found(**others)) == more, f"without {left_out}"


async def test_a_reference_is_found_in_the_form_that_is_stored(shop: Shop) -> None:
    """The last release stored references as they were sent."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    now = await shop.placed("ada", at=NOON, reference=composed)
    plain = shop.order("bob", at=NOON + SECOND, reference=composed)
    await shop.put(
        plain, reference=f" {decomposed}", reference_and_id=reference_and_id(f" {decomposed}", plain.order_id)
    )  # as the backfill lists it while another order holds the normal form
    assert unicodedata.normalize("NFC", decomposed) == composed
    for sent in (composed, decomposed, f" {composed} "):
        assert await shop.found(reference=sent) == ids([now])
    assert await shop.found(reference=f" {decomposed}") == ids([plain, now])


@SORTS
async def test_orders_with_one_reference_are_listed_by_time(shop: Shop, descending: bool) -> None:  # noqa: FBT001
    placed = [
        await shop.placed(f"customer-{number % 5}", at=NOON + number * SECOND, reference="web") for number in range(23)
    ]
    for reference in ("we", "webs", "web#", "WEB"):
        await shop.placed("ada", at=NOON - SECOND, reference=reference)
    expected = ids(placed[::-1] if descending else placed)
    assert await shop.found(reference="web", descending=descending, limit=5) == expected


@SORTS
async def test_a_reference_that_contains_an_order_id_hides_no_order(shop: Shop, descending: bool) -> None:  # noqa: FBT001
    """Whatever character separates reference and id: the list of one reference has no entry of another."""
    placed = [await shop.placed(f"customer-{turn}", at=NOON + turn * SECOND, reference="web") for turn in range(30)]
    for turn, order in enumerate(placed):
        for number in range(8):  # each sorts between two of the orders, and is itself before or after all of them
            at = NOON + (90 if number % 2 else -90) * SECOND + turn * MICROSECOND
            await shop.placed(f"eve-{number}", at=at, reference=f"web{'#_'[number // 4]}{order.order_id[:30]}{number}")
    expected = ids(placed[::-1] if descending else placed)
    for limit in (4, 20):
        assert await shop.found(reference="web", descending=descending, limit=limit) == expected


async def test_names_and_references_with_separators_are_told_apart(shop: Shop) -> None:
    odd = await shop.placed("a#b/ü?".encode("ascii", "ignore").decode(), at=NOON, reference="A#ord_0")
    plain = await shop.placed("a", at=NOON + SECOND, reference="A")
    assert await shop.found(customer=odd.customer.id) == ids([odd])
    assert await shop.found(customer="a") == ids([plain])
    assert await shop.found(reference="A#ord_0") == ids([odd])
    assert await shop.found(reference="A") == ids([plain])


async def test_an_entry_whose_order_has_changed_since_is_checked_again(shop: Shop) -> None:
    """An index is behind its table for a moment: here its entries are made to be, by a table that changes between."""

    class Behind(DynamoTenantOrders):
        async def _whole(self, entries: Any) -> Any:
            await shop.put(replace(shop_order, status=OrderStatus.CONFIRMED))
            return await super()._whole(entries)

    shop_order = await shop.placed("ada", at=NOON)
    other = await shop.placed("bob", at=NOON + SECOND)
    behind = Shop(shop.storage, Behind(shop.storage.dynamo, shop.storage.tables))
    pending = frozenset({OrderStatus.PENDING})
    assert await behind.found(statuses=pending) == ids([other])
    assert await shop.found(statuses=frozenset({OrderStatus.CONFIRMED})) == ids([shop_order])


async def test_a_transition_is_seen_in_the_index(shop: Shop) -> None:
    order = await shop.put(shop.order())
    await shop.storage.orders.move(order, order.cancel(NOON))
    cancelled = frozenset({OrderStatus.CANCELLED})
    assert await shop.found(statuses=cancelled) == ids([order])
    assert await shop.found(statuses=frozenset({OrderStatus.PENDING})) == []


@pytest.mark.parametrize("filters", [{}, {"customer": "ada"}, {"reference": "PO-7"}], ids=str)
async def test_an_order_of_a_newer_release_hides_no_other(shop: Shop, filters: dict[str, Any]) -> None:
    readable = await shop.placed("ada", at=NOON, reference="PO-7")
    newer = shop.order("ada", at=NOON + SECOND, reference="PO-7")
    await shop.put(newer, item_version=FUTURE)
    search = TenantSearch(tenant=shop.storage.tenant, window=EVER, **filters)
    page = await shop.search.search(search, limit=10, after=None)
    assert ids(page.orders) == ids([readable])
    assert [each.created_at for each in page.unreadable] == [newer.created_at]
    assert page.resume_after is None


async def test_an_order_of_a_newer_release_without_an_id_fails_no_list_of_its_customer(shop: Shop) -> None:
    readable = [await shop.placed("ada", at=NOON + turn * SECOND) for turn in (0, 2)]
    await shop.put(shop.order("ada", at=NOON + SECOND), item_version=FUTURE, order_id=None, status=None)
    assert await shop.found(customer="ada", limit=1) == ids(readable[::-1])


async def test_an_order_of_the_last_release_is_found_by_its_customer_only(shop: Shop) -> None:
    """Until the backfill has added the attributes."""
    order = await shop.put(shop.order(reference="PO-7"), tenant_shard=None, reference_and_id=None)
    assert await shop.found(customer="ada") == ids([order])
    assert await shop.found() == await shop.found(reference="PO-7") == []


@SORTS
@pytest.mark.parametrize("limit", [2, 4])
async def test_a_page_that_may_read_no_more_continues_where_it_ended(shop: Shop, descending: bool, limit: int) -> None:  # noqa: FBT001
    """With the fewest entries that a page may read: one or two of each shard."""
    frugal = Shop(
        shop.storage, DynamoTenantOrders(shop.storage.dynamo, shop.storage.tables, most_entries=32, most_orders=3)
    )
    rare = {7, 8, 60, 99}
    placed = [
        await shop.placed(
            f"customer-{number % 3}",
            at=NOON + number // 2 * MICROSECOND,
            status=OrderStatus.REJECTED if number in rare else OrderStatus.CONFIRMED,
            reference="web",
        )
        for number in range(100)
    ]
    expected = sorted((placed[number].order_id for number in rare), reverse=descending)
    rejected = frozenset({OrderStatus.REJECTED})
    for filters in ({}, {"reference": "web"}):
        pages = await frugal.pages(statuses=rejected, descending=descending, limit=limit, **filters)
        assert ids(order for page in pages for order in page) == expected
        assert [] in map(list, pages), "some page found nothing and went on"
    of_one = await frugal.found(statuses=rejected, customer="customer-1", descending=descending, limit=limit)
    assert of_one == [placed[7].order_id]


def test_a_page_must_be_allowed_to_read_each_shard(shop: Shop) -> None:
    with pytest.raises(ValueError, match="32 queries"):
        DynamoTenantOrders(shop.storage.dynamo, shop.storage.tables, most_entries=31)


async def test_random_orders_are_found_as_a_simple_filter_finds_them(shop: Shop) -> None:
    dice = random.Random(7)  # noqa: S311 - for variety, not for secrets
    placed = await asyncio.gather(
        *(
            shop.placed(
                f"customer-{dice.randrange(5)}-{number}" if dice.random() < 0.5 else "ada",
                at=NOON + number * MICROSECOND,
                status=dice.choice(list(OrderStatus)),
                reference=dice.choice([None, "web", "PO-7", f"PO-{number}"]),
            )
            for number in range(90)
        )
    )
    frugal = Shop(shop.storage, DynamoTenantOrders(shop.storage.dynamo, shop.storage.tables, most_entries=40))
    for _ in range(12):
        start, length = dice.randrange(90), dice.randrange(90)
        search = TenantSearch(
            tenant=shop.storage.tenant,
            window=dice.choice(
                [EVER, Window(start=NOON + start * MICROSECOND, end=NOON + (start + length) * MICROSECOND)]
            ),
            statuses=frozenset(dice.sample(list(OrderStatus), dice.randrange(4))),
            customer=dice.choice([None, None, "ada", placed[start].customer.id]),
            reference=dice.choice([None, None, "web", placed[start].reference]),
            descending=dice.random() < 0.5,
        )
        expected = [order for order in placed if search.matches(order)]
        expected.sort(key=lambda order: order.order_id, reverse=search.descending)
        filters = {name: getattr(search, name) for name in TenantSearch.__dataclass_fields__ if name != "tenant"}
        for each in (shop, frugal):
            assert await each.found(limit=dice.choice([9, 60, 100]), **filters) == ids(expected), search


def test_orders_are_spread_over_all_shards() -> None:
    shards = [tenant_shard_of("acme", make_order().order_id) for _ in range(1_000)]
    assert set(shards) == set(tenant_shards("acme"))
    assert max(map(shards.count, set(shards))) < 2 * 1_000 / 16


def test_the_keys_of_an_item_are_stored_as_they_are_indexed() -> None:
    order = make_order(reference="PO-7")
    item = attributes(to_item(order))
    assert item["reference_and_id"] == {"S": f"PO-7\x1f{order.order_id}"}
    assert item["tenant_shard"]["S"].startswith("acme#")
    assert "reference_and_id" not in to_item(make_order())
