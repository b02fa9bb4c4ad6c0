"""Messages of the change feed: the key of an order, and nothing else."""

import json
from typing import Any

import pytest

from order_notifier.changes import Change, UnreadableChange, parse_change
from tests.factories import make_customer, make_order
from tests.unit.notifier.conftest import message_of

SECRET = "pm_card_visa"


@pytest.mark.parametrize("subject", ["ada", "auth0|64b.7", "user+tag@example.com", "a#b"])
def test_a_change_has_the_key_of_its_order(subject: str) -> None:
    order = make_order(customer=make_customer(id=subject))
    assert parse_change(message_of(order)) == Change(order.customer, order.created_at)


def test_what_else_is_in_a_record_is_ignored() -> None:
    """The emulator of a developer's machine sends the whole record of the stream."""
    order = make_order()
    record = json.loads(message_of(order))
    record["dynamodb"] |= {"SequenceNumber": "1", "StreamViewType": "KEYS_ONLY"}
    assert parse_change(json.dumps({**record, "eventID": "7"})).customer == order.customer


def _with(customer_key: Any, created_at: Any) -> str:
    return json.dumps({"dynamodb": {"Keys": {"customer_key": customer_key, "created_at": created_at}}})


def _without(*path: str) -> Any:
    record = json.loads(message_of(make_order()))
    part = record
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return record


@pytest.mark.parametrize(
    "body",
    [
        SECRET,
        json.dumps([SECRET]),
        json.dumps({"token": SECRET}),
        json.dumps(_without("dynamodb", "Keys", "created_at")),
        json.dumps(_without("dynamodb", "Keys", "customer_key", "S")),
        _with({"S": "acme#ada"}, {"S": SECRET}),
        _with({"S": SECRET}, {"S": "2026-01-31T09:05:00.000120Z"}),
        _with({"N": "7"}, {"S": SECRET}),
    ],
)  # fmt: skip
def test_another_message_is_refused_without_its_content(body: str) -> None:
    with pytest.raises(UnreadableChange) as refused:
        parse_change(body)
    assert SECRET not in str(refused.value)
