"""Write units: sizes by DynamoDB's rules, and what accepting and confirming an order costs by them."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from aiodynamo.expressions import F
from aiodynamo.operations import Delete, Operation, Put, Update
from multidict import CIMultiDict

from order_shared.domain.order.models import Order
from order_shared.storage.idempotency_records import put_record
from order_shared.storage.inventory import product_key, return_stock, stock_record, take_stock
from order_shared.storage.order_items import ORDER_ABSENT, item_key, to_item, unchanged_condition, update_expression
from order_shared.tables import INVENTORY, ORDERS
from tests.bench.units import Item, Ledger, index_units, item_size, updated, write_units
from tests.chaos.wire import TRANSACTION, UPDATE, Call, Json
from tests.factories import NOON, make_order, make_product, make_record

STOCK_TABLE = "bench-inventory"
ORDER_TABLE = "bench-orders"
CLAIM_TABLE = "bench-idempotency"


def transaction(operations: Sequence[Operation]) -> Call:
    return call(TRANSACTION, {"TransactItems": [operation.to_request_payload() for operation in operations]})


def call(operation: str, content: Json) -> Call:
    headers = CIMultiDict({"x-amz-target": f"DynamoDB_20120810.{operation}"})
    return Call.read("api", "POST", "/", headers, json.dumps(content).encode())


def accept(order: Order) -> Call:
    put = Put(ORDER_TABLE, to_item(order), ORDER_ABSENT)
    return transaction([put, put_record(CLAIM_TABLE, make_record(order), order.created_at)])


def confirm(order: Order) -> Call:
    after = order.confirm(order.created_at + timedelta(seconds=1))
    key = item_key(order.customer.key, order.created_at)
    taken = [
        take_stock(STOCK_TABLE, order.customer.tenant, line.sku, shard=line.shard, quantity=line.quantity)
        for line in order.lines
    ]
    return transaction([Update(ORDER_TABLE, key, update_expression(order, after), unchanged_condition(order)), *taken])


def stocked(order: Order) -> Call:
    """Ten units of each product of the order."""
    return transaction(
        [
            Update(
                STOCK_TABLE,
                {"product_key": product_key(order.customer.tenant, line.sku), "record": stock_record(line.shard)},
                F("available").set_if_not_exists(10) & F("item_version").set_if_not_exists(1),
            )
            for line in order.lines
        ]
    )


def two_lines() -> Order:
    return make_order(lines=[(make_product(sku="TEA"), 2), (make_product(sku="POT"), 1)], at=NOON)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "tea"}, 3),
        ({"S": "Grün"}, 5),
        ({"N": "0"}, 2),
        ({"N": "7"}, 2),
        ({"N": "590"}, 2),
        ({"N": "591"}, 3),
        ({"N": "1000000"}, 2),
        ({"N": "-12"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "tea"}, {"N": "7"}]}, 3 + (1 + 3) + (1 + 2)),
        ({"M": {"sku": {"S": "tea"}}}, 3 + 1 + 3 + 3),
    ],
)
def test_an_attribute_takes_its_name_and_its_value(value: Json, size: int) -> None:
    assert item_size({"name": value}) == len("name") + size


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (2048, 2)])
def test_each_kilobyte_begun_costs_a_unit(size: int, units: int) -> None:
    assert write_units(size) == units


ENTRY: Item = {
    "customer_key": {"S": "acme#ada"},
    "created_at": {"S": "then"},
    "order_id": {"S": "0"},
    "open_shard": {"S": "3"},
    "due_at": {"N": "1"},
    "sweeps": {"N": "0"},
    "status": {"S": "pending"},
}
LISTED = ENTRY | {"tenant_shard": {"S": "acme#7"}, "reference_and_id": {"S": "PO-7#0"}}
ENDED = {name: value for name, value in ENTRY.items() if name not in {"open_shard", "due_at", "sweeps"}}


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, ENTRY, 2),
        (ENTRY, ENTRY | {"status": {"S": "reserved"}}, 0),
        (ENTRY, ENTRY | {"sweeps": {"N": "1"}}, 1),
        (ENTRY, ENTRY | {"due_at": {"N": "2"}}, 2),
        (ENTRY, ENDED, 1),
        (ENDED, ENDED | {"status": {"S": "cancelled"}}, 0),
        (ENTRY, None, 2),
        (None, LISTED, 4),
        (LISTED, LISTED | {"status": {"S": "reserved"}}, 1),
        (ENTRY, LISTED, 2),
    ],
    ids=[
        *("new", "not projected", "projected", "key", "leaves one index", "in none", "deleted"),
        *("listed", "projected in a list", "listed by the backfill"),
    ],
)
def test_an_index_costs_what_changes_in_it(before: Item | None, after: Item | None, units: int) -> None:
    assert index_units(ORDERS, before, after) == units


def test_a_record_without_the_keys_of_an_index_is_not_in_it() -> None:
    assert index_units(INVENTORY, None, {"product_key": {"S": "acme#TEA"}, "record": {"S": "stock#00"}}) == 0


def test_an_update_is_applied_as_it_is_written() -> None:
    change = F("version").change(2) & F("left").change(-3) & F("seen").append(["b"])
    more = F("status").set("ended") & F("kept").set_if_not_exists("new") & F("open").remove() & F("due").remove()
    added = F("sum").add(4) & F("more").add(1)
    before = Put(
        "t", {"version": 1, "left": 5, "seen": ["a"], "open": "3", "due": 1, "kept": "old", "status": "new", "sum": 3}
    )
    payload = Update("t", {"k": "1"}, change & more & added).to_request_payload()["Update"]
    expected = Put(
        "t", {"version": 3, "left": 2, "seen": ["a", "b"], "kept": "old", "status": "ended", "sum": 7, "more": 1}
    )
    assert updated(before.to_request_payload()["Put"]["Item"], payload) == expected.to_request_payload()["Put"]["Item"]


def test_an_increase_of_stock_is_applied() -> None:
    before = Put("t", {"available": 2, "increases": 4}).to_request_payload()["Put"]["Item"]
    payload = return_stock("t", "acme", "TEA", shard=0, quantity=3).to_request_payload()["Update"]
    assert updated(before, payload) == {"available": {"N": "5"}, "increases": {"N": "5"}}


def test_an_update_that_is_not_understood_is_not_guessed_at() -> None:
    update = Update("t", {"k": "1"}, F("n").delete({"a"})).to_request_payload()["Update"]
    with pytest.raises(ValueError, match="DELETE"):
        updated(None, update)


def test_accepting_an_order_costs_seven() -> None:
    order = two_lines()
    assert item_size(Put("t", to_item(order)).to_request_payload()["Put"]["Item"]) < 1024
    assert Ledger().enter(accept(order), applied=True) == 2 + 3 + 2  # the order, its three index entries, the claim


def test_a_reference_costs_an_index_entry_and_its_record() -> None:
    order = make_order(lines=[(make_product(sku="TEA"), 2)], at=NOON, reference="PO-7")
    assert (
        Ledger().enter(accept(order), applied=True) == 2 + 4 + 2
    )  # without the record, which is a write like the claim


def test_confirming_it_costs_four_and_two_for_each_line() -> None:
    order, ledger = two_lines(), Ledger()
    ledger.enter(stocked(order), applied=True)
    ledger.enter(accept(order), applied=True)
    assert (
        ledger.enter(confirm(order), applied=True) == 2 + 1 + 1 + 2 * 2
    )  # the order, its entry among the open, its status in the list, the lines
    left = [item["available"]["N"] for key, item in ledger.items.items() if STOCK_TABLE in key]
    assert left == ["8", "9"]


def test_what_is_refused_costs_too_but_changes_nothing() -> None:
    order, ledger = two_lines(), Ledger()
    ledger.enter(accept(order), applied=True)
    before = dict(ledger.items)
    assert ledger.enter(confirm(order), applied=False) == 2 + 2 * 2
    assert ledger.items == before


def test_a_large_item_costs_by_the_kilobyte() -> None:
    put = Put(CLAIM_TABLE, {"key": "k", "subject": "x" * 1024})
    assert Ledger().enter(transaction([put]), applied=True) == 4


def test_a_single_update_costs_half_of_one_in_a_transaction() -> None:
    update = Update(CLAIM_TABLE, {"key": "k"}, F("subject").set("x"))
    assert Ledger().enter(call(UPDATE, update.to_request_payload()["Update"]), applied=True) == 1


def test_a_deleted_item_is_forgotten() -> None:
    ledger = Ledger()
    ledger.enter(transaction([Put(CLAIM_TABLE, {"key": "k", "subject": "x" * 1024})]), applied=True)
    assert ledger.enter(transaction([Delete(CLAIM_TABLE, {"key": "k"})]), applied=True) == 4
    assert ledger.items == {}
