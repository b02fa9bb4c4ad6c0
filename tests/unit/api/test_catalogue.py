"""Catalogue: existing products are cached for at most five seconds, missing ones are read each time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from order_api.product.catalogue import CACHE_SIZE, FRESH_SECONDS, OVERDUE_SECONDS, SUGGESTED_SECONDS, Catalogue
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.inventory.models import Product
from tests.factories import make_product
from tests.waiting import eventually

if TYPE_CHECKING:
    from order_shared.storage.inventory import InventoryRepository


@dataclass
class Shelf:
    """Repository with the methods that the catalogue calls. `asked` has the arguments of `get_products`."""

    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    fails_to_list: bool = False
    listed: int = 0

    def __post_init__(self) -> None:
        self.may_answer.set()

    def put(self, product: Product) -> Product:
        self.products[product.tenant, product.sku] = product
        return product

    async def list_products(self, tenant: str, *, after: str | None, limit: int) -> list[Product]:
        assert after is None
        self.listed += 1
        if self.fails_to_list:
            raise StorageUnavailable("not just now")
        return sorted((each for (owner, _), each in self.products.items() if owner == tenant), key=str)[:limit]

    async def get_products(self, tenant: str, skus: Iterable[str]) -> dict[str, Product]:
        wanted = list(skus)
        self.asked.append((tenant, wanted))
        await self.may_answer.wait()
        if self.fails:
            raise StorageUnavailable("not just now")
        return {sku: self.products[tenant, sku] for sku in wanted if (tenant, sku) in self.products}


@dataclass
class HandClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Shop:
    shelf: Shelf
    clock: HandClock
    catalogue: Catalogue


@pytest.fixture
def shop() -> Shop:
    shelf, clock = Shelf(), HandClock()
    return Shop(shelf, clock, Catalogue(cast("InventoryRepository", shelf), clock))


async def test_products_are_given_by_sku(shop: Shop) -> None:
    tea, cup = shop.shelf.put(make_product(sku="TEA")), shop.shelf.put(make_product(sku="CUP"))
    assert await shop.catalogue.get("acme", ["TEA", "CUP"]) == {"TEA": tea, "CUP": cup}


async def test_a_hit_is_remembered(shop: Shop) -> None:
    tea = shop.shelf.put(make_product(sku="TEA"))
    for _ in range(3):
        assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": tea}
    assert shop.shelf.asked == [("acme", ["TEA"])]


async def test_a_new_price_is_seen_by_the_first_who_asks_after_four_seconds(shop: Shop) -> None:
    old = shop.shelf.put(make_product(unit_price=590))
    await shop.catalogue.get("acme", ["TEA"])
    new = shop.shelf.put(make_product(unit_price=650))
    shop.clock.now += FRESH_SECONDS - 0.001
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": old}
    shop.clock.now += 0.001
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": new}


async def test_while_one_reads_anew_the_others_go_on_with_what_is_known(shop: Shop) -> None:
    old = shop.shelf.put(make_product(unit_price=590))
    await shop.catalogue.get("acme", ["TEA"])
    new = shop.shelf.put(make_product(unit_price=650))
    shop.clock.now += FRESH_SECONDS
    shop.shelf.may_answer.clear()
    first = asyncio.ensure_future(shop.catalogue.get("acme", ["TEA"]))
    await eventually(lambda: len(shop.shelf.asked) == 2)
    assert [await shop.catalogue.get("acme", ["TEA"]) for _ in range(3)] == [{"TEA": old}] * 3
    shop.shelf.may_answer.set()
    assert await first == {"TEA": new}
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": new}
    assert len(shop.shelf.asked) == 2


async def test_no_price_is_older_than_five_seconds_even_if_nobody_can_read_it_anew(shop: Shop) -> None:
    old = shop.shelf.put(make_product())
    await shop.catalogue.get("acme", ["TEA"])
    shop.shelf.fails = True
    shop.clock.now += FRESH_SECONDS
    with pytest.raises(StorageUnavailable):
        await shop.catalogue.get("acme", ["TEA"])
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": old}
    shop.clock.now += OVERDUE_SECONDS
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await shop.catalogue.get("acme", ["TEA"])
    assert FRESH_SECONDS + OVERDUE_SECONDS == 5.0


async def test_reading_does_not_extend_the_cache_lifetime(shop: Shop) -> None:
    shop.shelf.put(make_product())
    for _ in range(4):
        await shop.catalogue.get("acme", ["TEA"])
        shop.clock.now += 2.0
    assert len(shop.shelf.asked) == 2


async def test_only_missing_products_are_read(shop: Shop) -> None:
    for sku in ("TEA", "CUP"):
        shop.shelf.put(make_product(sku=sku))
    await shop.catalogue.get("acme", ["TEA"])
    assert set(await shop.catalogue.get("acme", ["TEA", "CUP"])) == {"TEA", "CUP"}
    assert shop.shelf.asked == [("acme", ["TEA"]), ("acme", ["CUP"])]


async def test_a_miss_is_never_remembered(shop: Shop) -> None:
    with pytest.raises(UnknownSku):
        await shop.catalogue.get("acme", ["TEA"])
    tea = shop.shelf.put(make_product())
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": tea}


async def test_all_that_is_unknown_is_named(shop: Shop) -> None:
    for sku in ("TEA", "CUP"):
        shop.shelf.put(make_product(sku=sku))
    await shop.catalogue.get("acme", ["TEA"])
    with pytest.raises(UnknownSku, match="NO-1, NO-2") as refusal:
        await shop.catalogue.get("acme", ["NO-1", "TEA", "CUP", "NO-2"])
    assert refusal.value.skus == ("NO-1", "NO-2")


async def test_one_tenant_s_products_are_not_another_s(shop: Shop) -> None:
    ours = shop.shelf.put(make_product(tenant="acme", unit_price=590))
    theirs = shop.shelf.put(make_product(tenant="globex", unit_price=10))
    assert await shop.catalogue.get("acme", ["TEA"]) == {"TEA": ours}
    assert await shop.catalogue.get("globex", ["TEA"]) == {"TEA": theirs}
    with pytest.raises(UnknownSku):
        await shop.catalogue.get("initech", ["TEA"])


async def test_no_skus_cause_no_read(shop: Shop) -> None:
    assert await shop.catalogue.get("acme", []) == {}
    assert shop.shelf.asked == []


async def test_its_memory_is_bounded(shop: Shop) -> None:
    skus = [f"SKU-{number}" for number in range(CACHE_SIZE + 1)]
    for sku in skus:
        shop.shelf.put(make_product(sku=sku))
    assert len(await shop.catalogue.get("acme", skus[:-1])) == CACHE_SIZE
    await shop.catalogue.get("acme", skus[-1:])
    assert len(shop.catalogue._cache) <= CACHE_SIZE
    assert set(await shop.catalogue.get("acme", skus[-1:])) == {skus[-1]}


async def test_a_similar_sku_of_the_tenant_is_suggested_with_few_reads(shop: Shop) -> None:
    shop.shelf.put(make_product(sku="TEA-GREEN"))
    shop.shelf.put(make_product(tenant="globex", sku="CUP-BLUE"))
    for sku, hint in (("tea-green", "; did you mean TEA-GREEN?"), ("CUP-BLEU", "")):
        with pytest.raises(UnknownSku) as refusal:
            await shop.catalogue.get("acme", [sku])
        assert refusal.value.details == {sku: f"there is no product {sku}{hint}"}
    assert shop.shelf.listed == 1
    shop.clock.now += SUGGESTED_SECONDS
    shop.shelf.fails_to_list = True
    with pytest.raises(UnknownSku):
        await shop.catalogue.get("acme", ["tea-green"])
