"""DynamoDB in memory, beyond the contract suite of the repositories: an unknown form of a request fails."""

import pytest
from aiodynamo.errors import ConditionalCheckFailed
from aiodynamo.expressions import F, HashKey, RangeKey
from aiodynamo.operations import Put, Update

from aws_json_client import ServiceError
from tests.fakes import TABLES
from tests.memory_dynamo import MemoryDynamo, changes, condition

KEY = {"customer_key": "acme#ada", "created_at": "2026"}
ABSENT = F("never_stored").does_not_exist()


@pytest.mark.parametrize(
    ("expression", "value", "holds"),
    [
        ("#n0 = :v0", 5, True),
        ("#n0 < :v0", 6, True),
        ("#n0 < :v0", "6", False),
        ("(#n0 >= :v0 AND (NOT attribute_exists(#n1)))", 5, True),
        ("(attribute_not_exists(#n0) OR #n1 = :v0)", 5, False),
        ("#n0 IN (:v0,:v1)", 5, True),
        ("#n0 BETWEEN :v0 AND :v1", 5, True),
        ("#n0 BETWEEN :v1 AND :v0", 4, False),
    ],
)
def test_a_condition_is_evaluated_on_the_stored_item(expression: str, value: int | str, holds: object) -> None:
    values = {":v0": {"N" if isinstance(value, int) else "S": str(value)}, ":v1": {"N": "9"}}
    assert condition(expression)({"sweeps": {"N": "5"}}, {"#n0": "sweeps", "#n1": "parked"}, values) is holds


@pytest.mark.parametrize("expression", ["size(#n0) = :v0", "#n0 <> :v0", "#n0 = :v0 AND", "contains(#n0, :v0)", ""])
def test_an_unknown_form_of_a_condition_fails(expression: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        condition(expression)


@pytest.mark.parametrize("expression", ["SET #n0 = #n1", "SET #n0 = :v0 REMOVE #n0", "DELETE #n0 :v0", ""])
def test_an_unknown_form_of_an_update_fails(expression: str) -> None:
    with pytest.raises(ValueError, match="update"):
        changes(expression)


async def test_an_update_reads_every_operand_before_it_writes() -> None:
    tables = MemoryDynamo()
    dynamo = tables.client()
    await dynamo.put(TABLES.orders, {**KEY, "version": 1, "timeline": ["a"], "old": 1})
    change = F("version").change(2) & F("timeline").append(["b"]) & F("old").remove() & F("sweeps").add(3)
    item = await dynamo.update(TABLES.orders, KEY, change & F("fence").set_if_not_exists(7), condition=ABSENT)
    assert item == {**KEY, "version": 3, "timeline": ["a", "b"], "sweeps": 3, "fence": 7}
    with pytest.raises(ConditionalCheckFailed):
        await dynamo.update(TABLES.orders, KEY, F("version").set(9), condition=F("fence").equals(8))
    with pytest.raises(ServiceError, match="Validation"):
        await dynamo.update(TABLES.orders, KEY, F("missing").change(1), condition=ABSENT)
    assert await dynamo.get(TABLES.orders, KEY) == item


async def test_two_operations_of_a_transaction_on_one_item_are_refused() -> None:
    dynamo = MemoryDynamo().client()
    with pytest.raises(ServiceError, match="Validation"):
        await dynamo.transact_write(
            [Put(TABLES.orders, KEY, None), Update(TABLES.orders, KEY, F("version").set(1), None)]
        )


async def test_a_query_ends_at_its_limit_and_goes_on_after_its_last_key() -> None:
    dynamo = MemoryDynamo().client()
    for due_at in range(5):
        item = {**KEY, "created_at": str(due_at), "open_shard": "3", "due_at": 10 - due_at, "sweeps": due_at, "x": "y"}
        await dynamo.put(TABLES.orders, item)
    await dynamo.put(TABLES.orders, {**KEY, "created_at": "not open"})
    due = HashKey("open_shard", "3") & RangeKey("due_at").lt(10)
    page = await dynamo.query_page(TABLES.orders, due, limit=2, index="open_orders")
    assert [item["due_at"] for item in page.items] == [6, 7]
    assert page.items[0].keys() == {"customer_key", "created_at", "open_shard", "due_at", "sweeps"}
    rest = await dynamo.query_page(TABLES.orders, due, limit=5, index="open_orders", start_key=page.last_evaluated_key)
    assert [item["due_at"] for item in rest.items] == [8, 9]
    assert rest.last_evaluated_key is None
    newest = await dynamo.query(TABLES.orders, HashKey("customer_key", "acme#ada"), limit=2, descending=True)
    assert [item["created_at"] for item in newest] == ["not open", "4"]
