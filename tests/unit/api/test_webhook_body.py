"""The body of a webhook is the event that the feed of the tenant shows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from order_api.event.schemas import TenantEventOut
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.models import Order, Reason, ReasonCode
from order_shared.domain.webhook.body import webhook_body
from tests.factories import NOON, make_order


def orders() -> Iterator[Order]:
    placed = make_order(at=NOON)
    later = NOON + timedelta(seconds=1)
    yield placed
    yield placed.reject(later, Reason(ReasonCode.OUT_OF_STOCK, "none left", sku="TEA-GREEN-100"))
    yield replace(placed, metadata={"table": "“7”\n"}, reference="Bestellung Ü", placed_by="desk")
    paid = make_order(at=NOON, payment_token="pm_card_visa")
    yield paid
    charged = paid.reserve(NOON, owner="one", lease_until=NOON).with_payment("pi_1").confirm(later)
    yield charged
    yield charged.request_cancel(later, due_at=0)


@pytest.mark.parametrize("order", list(orders()), ids=lambda order: f"{order.status}-{order.version}")
def test_a_body_is_the_event_of_the_feed(order: Order) -> None:
    for event in OrderEvents.of(order):
        shown = TenantEventOut.of(event, order).model_dump_json(by_alias=True)
        assert json.loads(webhook_body(event, order)) == json.loads(shown)


def test_an_older_order_is_left_out() -> None:
    order = make_order(at=NOON)
    event = replace(next(iter(OrderEvents.of(order))), version=2)
    body = json.loads(webhook_body(event, order))
    assert body == json.loads(webhook_body(event, None))
    assert "data" not in body
    assert body["id"] == event.id
