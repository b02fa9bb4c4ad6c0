"""Seed files: the included files are valid, and an error names the file and entry."""

import json
from collections import Counter
from pathlib import Path

import pytest

from devstack.demo import BURST_SKU, NORMAL_SKU, SCARCE_SKU, TENANT
from devstack.seed import SeedFileInvalid, SeedProduct, default_files, read_products

HEADER = "tenant,sku,name,unit_price,currency,stock"
ROW = "acme,TEA,Green tea,590,EUR,10"
ENTRY = {"tenant": "acme", "sku": "TEA", "name": "Green tea", "unit_price": 590, "currency": "EUR", "stock": 10}
TEA = SeedProduct(tenant="acme", sku="TEA", name="Green tea", unit_price=590, currency="EUR", stock=10)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal_of(path: Path) -> str:
    """Return the message, which must contain the file."""
    with pytest.raises(SeedFileInvalid) as refusal:
        read_products([path])
    assert str(path) in str(refusal.value)
    return str(refusal.value)


def test_the_files_that_come_along_hold_two_shops() -> None:
    products = read_products(default_files())
    assert len(products) >= 30
    assert len({product.tenant for product in products}) == 2
    assert {path.suffix for path in default_files()} == {".csv", ".json"}


def test_no_product_comes_along_twice() -> None:
    counts = Counter((product.tenant, product.sku) for product in read_products(default_files()))
    assert set(counts.values()) == {1}


def test_each_shop_has_one_currency() -> None:
    products = read_products(default_files())
    assert len({(product.tenant, product.currency) for product in products}) == 2


def test_the_products_of_the_demo_are_included() -> None:
    skus = {product.sku for product in read_products(default_files()) if product.tenant == TENANT}
    assert {NORMAL_SKU, SCARCE_SKU, BURST_SKU} <= skus


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    table = written(tmp_path / "shop.csv", f"{HEADER}\n{ROW}\n")
    document = written(tmp_path / "shop.json", json.dumps([ENTRY]))
    assert read_products([table]) == read_products([document]) == [TEA]


def test_all_files_are_read_in_their_order(tmp_path: Path) -> None:
    table = written(tmp_path / "b.csv", f"{HEADER}\n{ROW}\n")
    document = written(tmp_path / "a.json", json.dumps([ENTRY | {"sku": "CUP"}]))
    assert [product.sku for product in read_products([table, document])] == ["TEA", "CUP"]


def test_a_product_has_one_stock_shard_by_default(tmp_path: Path) -> None:
    table = written(tmp_path / "shop.csv", f"{HEADER},stock_shards\n{ROW},4\n")
    assert read_products([table])[0].stock_shards == 4
    assert TEA.stock_shards == 1


@pytest.mark.parametrize("text", ["", "{", "[", "[{},]", "tea", "\ufeff[]"])
def test_invalid_json_is_reported_with_its_file(tmp_path: Path, text: str) -> None:
    refusal_of(written(tmp_path / "shop.json", text))


@pytest.mark.parametrize("document", [{}, ENTRY, {"products": [ENTRY]}, "tea", 7, None])
def test_json_that_is_no_array_is_refused(tmp_path: Path, document: object) -> None:
    assert "array" in refusal_of(written(tmp_path / "shop.json", json.dumps(document)))


@pytest.mark.parametrize("entry", ["tea", 7, None, [ENTRY]])
def test_an_entry_that_is_no_object_is_named(tmp_path: Path, entry: object) -> None:
    assert "entry 2" in refusal_of(written(tmp_path / "shop.json", json.dumps([ENTRY, entry])))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    told = refusal_of(written(tmp_path / "shop.csv", "tenant,sku,name,currency,stock\nacme,TEA,Green tea,EUR,10\n"))
    assert "entry 1" in told
    assert "unit_price" in told


def test_an_unknown_column_is_named(tmp_path: Path) -> None:
    assert "colour" in refusal_of(written(tmp_path / "shop.csv", f"{HEADER},colour\n{ROW},green\n"))


@pytest.mark.parametrize("row", ["acme,CUP,Cup,590,EUR", f"{ROW},1,2", '"acme', ",,,,,"])
def test_a_row_that_is_cut_or_too_long_is_named(tmp_path: Path, row: str) -> None:
    told = refusal_of(written(tmp_path / "shop.csv", f"{HEADER}\n{ROW}\n{row}\n"))
    assert "entry 2" in told or "unexpected end of data" in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", "acme#ada"),
        ("sku", "-TEA"),
        ("name", ""),
        ("name", "x" * 121),
        ("name", "a\nb"),
        ("unit_price", -1),
        ("unit_price", 10_000_001),
        ("unit_price", 5.9),
        ("unit_price", True),
        ("stock", "1_0"),
        ("currency", "eur"),
        ("currency", "ZZZ"),
        ("stock", -1),
        ("stock", "many"),
        ("stock", None),
        ("stock_shards", 0),
        ("stock_shards", 17),
    ],
)
def test_an_invalid_value_is_reported_with_its_entry_and_field(tmp_path: Path, field: str, value: object) -> None:
    told = refusal_of(written(tmp_path / "shop.json", json.dumps([ENTRY, ENTRY | {field: value}])))
    assert "entry 2" in told
    assert field in told


def test_negative_stock_in_a_table_is_reported_with_its_entry_and_field(tmp_path: Path) -> None:
    told = refusal_of(written(tmp_path / "shop.csv", f"{HEADER}\n{ROW}\nacme,CUP,Cup,590,EUR,-1\n"))
    assert "entry 2" in told
    assert "stock" in told


@pytest.mark.parametrize("name", ["shop.yaml", "shop", "shop.json.bak"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    told = refusal_of(written(tmp_path / name, json.dumps([ENTRY])))
    assert ".json or .csv" in told


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refusal_of(tmp_path / "nowhere.json")
    refusal_of(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("name", ["shop.json", "shop.csv"])
def test_a_file_that_is_no_utf_8_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00")
    refusal_of(path)


def test_one_bad_file_among_good_ones_gives_nothing(tmp_path: Path) -> None:
    bad = written(tmp_path / "bad.json", "{")
    with pytest.raises(SeedFileInvalid, match=r"bad\.json"):
        read_products([*default_files(), bad])


def test_a_csv_that_a_spreadsheet_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("tenant,sku,name,unit_price,currency,stock\nacme,TEA,Tea,590,EUR,5\n", encoding="utf-8-sig")
    (product,) = read_products([path])
    assert (product.tenant, product.stock) == ("acme", 5)
