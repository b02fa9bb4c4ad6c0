"""Each event type has one flow. An event without a flow does not count as a failure of its order."""

import pytest

from order_processor import handlers
from order_processor.handlers import HANDLERS, make_handler
from order_shared.domain.order.messages import (
    MESSAGE_CLASSES,
    MESSAGE_TYPES,
    ProcessingRequested,
    message_of,
    parse_message,
)
from order_shared.messaging.delivery import Unprocessable
from tests.factories import make_order
from tests.unit.processor.conftest import World, delivery_with


def test_every_event_that_is_read_has_a_flow() -> None:
    assert HANDLERS.keys() == set(MESSAGE_CLASSES)
    assert {event.model_fields["type"].default for event in MESSAGE_CLASSES} <= MESSAGE_TYPES.keys()


async def test_an_event_without_a_flow_goes_to_the_dead_letters_and_counts_as_no_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await world.accept(make_order())
    monkeypatch.setattr(
        handlers, "HANDLERS", {event: flow for event, flow in HANDLERS.items() if event != ProcessingRequested}
    )
    with pytest.raises(Unprocessable) as refused:
        await make_handler(world.work)(delivery_with(message_of(order).to_json()))
    assert (refused.value.reason, refused.value.detail) == ("unhandled_type", "order.processing_requested.v1")
    assert await world.stored(order) == order


def test_a_line_comes_back_from_a_message_as_it_was() -> None:
    order = make_order()
    event = parse_message(ProcessingRequested.of(order).to_json())
    assert isinstance(event, ProcessingRequested)
    assert event.order().lines == order.lines
