"""The comparison with which `make chaos-events` ends. `test_webhooks.py` runs a small part of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from order_shared.domain.order.events import OrderEvents
from order_shared.domain.order.models import Order
from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.read import NumberedEvent
from tests.chaos.events import compare
from tests.factories import make_order


def log_of(orders: Sequence[Order]) -> list[NumberedEvent]:
    events = [event for order in orders for event in OrderEvents.of(order)]
    return [
        NumberedEvent(event=event, after=Position(epoch=1, sequence=number + 1))
        for number, event in enumerate(events, 1)
    ]


@pytest.fixture
def orders() -> list[Order]:
    return [order.cancel(order.created_at) for order in (make_order(), make_order())]


def test_a_whole_log_has_no_fault(orders: list[Order]) -> None:
    assert compare(orders, log_of(orders)) == []


def test_a_missing_event_is_a_fault(orders: list[Order]) -> None:
    faults = compare(orders, log_of(orders)[:-1])
    assert faults == [f"{orders[1].order_id} has 1 placed, not 1 placed, 2 cancelled"]


def test_a_doubled_event_is_a_fault(orders: list[Order]) -> None:
    log = log_of(orders)
    again = replace(log[0], after=Position(epoch=1, sequence=len(log) + 2))
    assert compare(orders, [*log, again]) == [
        f"{orders[0].order_id} has 1 placed, 2 cancelled, 1 placed, not 1 placed, 2 cancelled"
    ]


def test_events_out_of_order_and_gaps_are_faults(orders: list[Order]) -> None:
    log = log_of(orders)
    swapped = [replace(log[0], event=log[1].event), replace(log[1], event=log[0].event), *log[2:]]
    assert len(compare(orders, swapped)) == 1
    gap = [*log[:2], *(replace(each, after=Position(epoch=1, sequence=each.after.sequence + 1)) for each in log[2:])]
    assert compare(orders, gap) == ["the events are numbered from [1] to [5], and they are 4"]


def test_events_of_an_order_that_does_not_exist_are_a_fault(orders: list[Order]) -> None:
    log = log_of(orders)
    assert compare(orders[:1], log) == [f"{orders[1].order_id} has events, and does not exist"]
