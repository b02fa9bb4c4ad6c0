"""Encoded writes are equivalent to aiodynamo's encoding."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiodynamo.expressions import F, UpdateExpression
from aiodynamo.operations import ConditionCheck, Delete, Put, Update
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.aws.encoding import UnsupportedWrite, WriteOperation, encoded
from order_shared.domain.order.models import Order, Parking, Reason, ReasonCode
from order_shared.storage.idempotency_records import delete_record, put_record
from order_shared.storage.inventory import return_stock, take_from_shards
from order_shared.storage.order_items import ORDER_ABSENT, item_key, to_item, unchanged_condition, update_expression
from tests.factories import NOON, make_order, make_record

PLACEHOLDER = re.compile(r"[#:][nv]\d+")
LATER = NOON + timedelta(seconds=1)

numbers = st.integers(-(10**20), 10**20)
texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.binary(max_size=8) | st.frozensets(texts, min_size=1, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["status", "fence", "name", "total"])
conditions = st.recursive(
    st.builds(lambda name, value: F(name).equals(value), names, numbers | texts)
    | st.builds(lambda name, low: F(name).between(low, low + 1), names, numbers)
    | st.builds(lambda name: F(name).does_not_exist(), names)
    | st.builds(lambda name, some: F(name).is_in(some), names, st.lists(texts, min_size=1, max_size=3)),
    lambda inner: (
        st.builds(lambda one, other: one & other, inner, inner)
        | st.builds(lambda one, other: one | other, inner, inner)
        | st.builds(lambda one: ~one, inner)
    ),
    max_leaves=5,
)
items = st.dictionaries(names, values, min_size=1)
expressions = st.lists(
    st.builds(lambda name, value: F(name).set(value), names, values)
    | st.builds(lambda name, value: F(name).set_if_not_exists(value), names, values)
    | st.builds(lambda name, by: F(name).change(by), names, numbers)
    | st.builds(lambda name, some: F(name).append(some), names, st.lists(values, max_size=2))
    | st.builds(lambda name: F(name).remove(), names),
    min_size=1,
    max_size=5,
)


def meaning(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload with names and values instead of placeholders, which differ between the two."""
    ((kind, content),) = payload.items()
    content = dict(content)
    placeholders = {
        **content.pop("ExpressionAttributeNames", {}),
        **content.pop("ExpressionAttributeValues", {}),
    }
    for name in ("ConditionExpression", "UpdateExpression"):
        if name in content:
            content[name] = PLACEHOLDER.sub(lambda found: f"<{placeholders[found[0]]}>", content[name])
    return {kind: content}


def assert_means_the_same(write: WriteOperation) -> None:
    assert meaning(encoded(write)) == meaning(write.to_request_payload())


@settings(max_examples=100, deadline=None)
@given(items, conditions, expressions)
def test_any_write_is_equivalent_to_aiodynamos_encoding(
    item: Any, condition: Any, parts: list[UpdateExpression]
) -> None:
    expression = parts[0]
    for part in parts[1:]:
        expression &= part
    assert_means_the_same(Put("t", item, condition))
    assert_means_the_same(Put("t", item))
    assert_means_the_same(Delete("t", item, condition))
    assert_means_the_same(ConditionCheck("t", item, condition))
    assert_means_the_same(Update("t", item, expression, condition))
    assert_means_the_same(Update("t", item, expression))


PENDING = make_order()
RESERVED = PENDING.reserve(LATER, owner="me", lease_until=LATER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PENDING, PENDING.confirm(LATER)),
        (PENDING, PENDING.reject(LATER, Reason(ReasonCode.OUT_OF_STOCK, "none", "TEA"))),
        (PENDING, RESERVED),
        (RESERVED, RESERVED.with_payment("pi_1")),
        (RESERVED, RESERVED.confirm(LATER)),
        (RESERVED, replace(RESERVED, parking=Parking(attempts=9)).failed(LATER, ValueError("a bug"))),
    ],
)
def test_every_change_of_an_order_is_equivalent_to_aiodynamos_encoding(before: Order, after: Order) -> None:
    key = item_key(before.customer.key, before.created_at)
    assert_means_the_same(Update("orders", key, update_expression(before, after), unchanged_condition(before)))


def test_other_writes_of_a_transaction_are_equivalent_to_aiodynamos_encoding() -> None:
    assert_means_the_same(Put("orders", to_item(PENDING), ORDER_ABSENT))
    assert_means_the_same(put_record("idempotency", make_record(PENDING), NOON))
    assert_means_the_same(delete_record("idempotency", "key", "ord_1"))
    for moves in (None, {1: 1, 2: 9}):
        for write in take_from_shards("inventory", "acme", "TEA", shard=3, quantity=2, moves=moves):
            assert_means_the_same(write)
    assert_means_the_same(return_stock("inventory", "acme", "TEA", shard=3, quantity=2))


@pytest.mark.parametrize(
    "write",
    [
        Update("t", {"id": 1}, F("lines", 0).set(1)),
        Put("t", {"id": 1}, F("lines", "sku").exists()),
        Update("t", {"id": 1}, UpdateExpression()),
    ],
)
def test_unsupported_writes_are_rejected(write: WriteOperation) -> None:
    with pytest.raises(UnsupportedWrite):
        encoded(write)
