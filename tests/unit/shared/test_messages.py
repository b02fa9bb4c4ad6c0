"""Messages about orders: written ones can be read, and errors contain the reason but no content."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.clock import to_text
from order_shared.domain.order import messages
from order_shared.domain.order.messages import (
    MESSAGE_TYPES,
    CancellationRequested,
    ProcessingRequested,
    UnreadableMessage,
    parse_message,
)
from order_shared.domain.order.models import Customer, Order, Schedule
from tests.factories import NOON, make_customer, make_order, make_product
from tests.releases import MESSAGE_TYPES_OF_NEXT_RELEASE, NextProcessingRequested

SECRET = "tok_4242424242424242"

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    lines = draw(st.lists(st.tuples(names, st.integers(0, 10_000_000), st.integers(1, 1000)), min_size=1, max_size=5))
    products = [
        (make_product(sku=f"SKU-{n}", name=name, unit_price=price, stock_shards=16), quantity)
        for n, (name, price, quantity) in enumerate(lines)
    ]
    return make_order(
        customer=Customer(tenant=draw(names), id=draw(names)),
        lines=products,
        reference=draw(st.none() | names),
        at=NOON,
    )


def body_of(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ProcessingRequested.of(order).to_json())
    return body


def refusal_of(body: object) -> UnreadableMessage:
    with pytest.raises(UnreadableMessage) as refusal:
        parse_message(body if isinstance(body, str) else json.dumps(body))
    return refusal.value


@settings(max_examples=50, deadline=None)
@given(orders())
def test_an_order_survives_conversion_to_a_message(order: Order) -> None:
    event = parse_message(ProcessingRequested.of(order).to_json())
    assert isinstance(event, ProcessingRequested)
    assert event.order() == replace(order, schedule=Schedule())  # when it falls due is a matter of the stored order


@settings(max_examples=50, deadline=None)
@given(orders(), st.none() | st.text("0123456789abcdef-", min_size=1))
def test_a_message_survives_conversion_to_json(order: Order, traceparent: str | None) -> None:
    event = ProcessingRequested.of(replace(order, traceparent=traceparent))
    assert parse_message(event.to_json()) == event


def test_a_message_is_a_structured_cloud_event() -> None:
    order = make_order(customer=make_customer("acme", "ada"), at=NOON, reference="PO-7")
    line = order.lines[0]
    assert body_of(order) == {
        "specversion": "1.0",
        "id": f"{order.order_id}.processing_requested",
        "source": "/order-platform/orders",
        "type": "order.processing_requested.v1",
        "subject": order.order_id,
        "time": to_text(NOON),
        "datacontenttype": "application/json",
        "tenantid": "acme",
        "data": {
            "customer": "ada",
            "lines": [
                {
                    "sku": line.sku,
                    "name": line.name,
                    "quantity": line.quantity,
                    "unit_price": line.unit_price,
                    "shard": line.shard,
                }
            ],
            "currency": "EUR",
            "total": order.total,
            "paid": False,
            "stores_history": True,
            "reference": "PO-7",
        },
    }


def test_a_repeated_message_has_the_same_id() -> None:
    order = make_order()
    swept = replace(order, schedule=Schedule(sweeps=3), traceparent="00-2")
    assert ProcessingRequested.of(order).id == ProcessingRequested.of(swept).id


@pytest.mark.parametrize("message", [ProcessingRequested, CancellationRequested])
def test_a_message_with_the_type_of_the_last_release_is_read_as_the_same(
    message: type[ProcessingRequested] | type[CancellationRequested],
) -> None:
    written = message.of(make_order())
    former = json.loads(written.to_json(former_type=True))
    assert former["type"] == message.former_type
    assert former == {**json.loads(written.to_json()), "type": message.former_type}
    read = parse_message(json.dumps(former))
    assert (type(read), read.data) == (message, written.data)


def test_unknown_values_are_omitted() -> None:
    body = body_of(make_order(reference=None))
    assert "traceparent" not in body
    assert "reference" not in body["data"]


def test_unknown_fields_are_ignored_at_every_level() -> None:
    order = make_order(at=NOON)
    body = body_of(order) | {"priority": 5}
    body["data"] |= {"gift": {"wrap": True}}
    body["data"]["lines"][0] |= {"colour": "green"}
    assert parse_message(json.dumps(body)) == ProcessingRequested.of(order)


@pytest.mark.parametrize(
    "body",
    [
        "",
        SECRET,
        f'{{"token": "{SECRET}"',
        f'"{SECRET}"',
        f'["{SECRET}"]',
        "null",
        "7",
        "\ud800",
        f'{{"type": "\\ud800", "token": "{SECRET}"}}',
        f'{{"type": "order.processing_requested.v1", "token": "{SECRET}"}}',
        f'{{"specversion": "1.0", "type": ["{SECRET}"]}}',
        f'{{"specversion": "1.0", "type": null, "token": "{SECRET}"}}',
        "[" * 100_000,
    ],
)
def test_a_body_that_is_not_an_event_is_reported_without_its_content(body: str) -> None:
    refusal = refusal_of(body)
    assert refusal.reason == "not_an_event"
    assert SECRET not in str(refusal)
    assert len(str(refusal)) < 200


def test_an_unknown_type_is_reported_without_the_rest_of_the_body() -> None:
    body = body_of(make_order(reference=SECRET)) | {"type": "order.processing_requested.v2"}
    refusal = refusal_of(body)
    assert refusal.reason == "unknown_type"
    assert "order.processing_requested.v2" in refusal.detail
    assert SECRET not in str(refusal)


def test_a_long_unknown_type_is_truncated() -> None:
    assert len(str(refusal_of({"specversion": "1.0", "type": "x" * 10_000}))) < 200


def test_an_unknown_type_is_reported_in_characters_valid_for_a_message_attribute() -> None:
    """The detail is an attribute of the dead letter, where SQS rejects control characters."""
    assert refusal_of({"specversion": "1.0", "type": "order\x00placed\x1b[2J"}).detail.isprintable()


@pytest.mark.parametrize("field", ["id", "subject", "time", "tenantid", "data"])
def test_an_event_without_a_required_field_is_invalid(field: str) -> None:
    body = body_of(make_order(reference=SECRET))
    del body[field]
    refusal = refusal_of(body)
    assert refusal.reason == "invalid_event"
    assert field in refusal.detail
    assert SECRET not in str(refusal)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("specversion", SECRET),
        ("datacontenttype", SECRET),
        ("subject", [SECRET]),
        ("time", SECRET),
        ("time", "2026-03-14T12:00:00"),
        ("tenantid", {SECRET: SECRET}),
        ("data", SECRET),
    ],
)
def test_an_event_of_the_wrong_shape_is_invalid(field: str, value: object) -> None:
    refusal = refusal_of(body_of(make_order(reference=SECRET)) | {field: value})
    assert refusal.reason == "invalid_event"
    assert SECRET not in str(refusal)


@pytest.mark.parametrize(
    ("field", "value"),
    [("customer", 7), ("lines", []), ("lines", SECRET), ("lines", [{}]), ("currency", None), ("total", SECRET)],
)
def test_data_of_the_wrong_shape_is_invalid(field: str, value: object) -> None:
    body = body_of(make_order(reference=SECRET))
    body["data"][field] = value
    refusal = refusal_of(body)
    assert refusal.reason == "invalid_event"
    assert refusal.detail.startswith(f"data.{field}")
    assert SECRET not in str(refusal)


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantity", 0), ("quantity", SECRET), ("unit_price", -1), ("unit_price", 1.5), ("shard", -1), ("sku", None)],
)
def test_a_line_of_the_wrong_shape_is_invalid(field: str, value: object) -> None:
    body = body_of(make_order(reference=SECRET))
    body["data"]["lines"][0][field] = value
    refusal = refusal_of(body)
    assert refusal.reason == "invalid_event"
    assert refusal.detail.startswith(f"data.lines.0.{field}")
    assert SECRET not in str(refusal)


@pytest.mark.parametrize("subject", ["", SECRET, "ord_" + "f" * 32])
def test_an_invalid_order_id_is_an_invalid_event(subject: str) -> None:
    event = parse_message(json.dumps(body_of(make_order()) | {"subject": subject}))
    assert isinstance(event, ProcessingRequested)
    with pytest.raises(UnreadableMessage) as refusal:
        event.order()
    assert refusal.value.reason == "invalid_event"


def test_an_invalid_order_id_is_not_quoted() -> None:
    event = parse_message(json.dumps(body_of(make_order()) | {"subject": SECRET}))
    assert isinstance(event, ProcessingRequested)
    with pytest.raises(UnreadableMessage) as refusal:
        event.order()
    assert SECRET not in str(refusal.value)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_is_rejected_as_an_unreadable_event(body: object) -> None:
    assert refusal_of(json.dumps(body)).reason in {"not_an_event", "unknown_type"}


# --- versions


def test_every_type_is_registered_under_its_name() -> None:
    assert {name: parse_message(json.dumps(_any_of(name))).type for name in MESSAGE_TYPES} == {
        name: name for name in MESSAGE_TYPES
    }


def _any_of(name: str) -> dict[str, Any]:
    return body_of(make_order()) | {"type": name}


def test_two_versions_of_an_event_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    order = make_order(at=NOON)
    newer = NextProcessingRequested.of(order).model_dump_json()
    assert refusal_of(newer).reason == "unknown_type"
    monkeypatch.setattr(messages, "MESSAGE_TYPES", MESSAGE_TYPES_OF_NEXT_RELEASE)
    expected = ProcessingRequested.of(order)
    assert parse_message(newer) == parse_message(expected.to_json()) == expected


def test_a_second_version_of_the_wrong_shape_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MESSAGE_TYPES", MESSAGE_TYPES_OF_NEXT_RELEASE)
    refusal = refusal_of(body_of(make_order()) | {"type": "order.processing_requested.v2"})
    assert refusal.reason == "invalid_event"
    assert refusal.detail.startswith("data.customer")
