"""The AsyncAPI document matches the code and the messages that are sent."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from order_shared.documents import asyncapi
from order_shared.domain.order.events import EVENT_TYPES, EventType
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.messages import (
    ProcessingRequested,
    UnreadableMessage,
    message_of,
    parse_message,
)
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.metrics import ConsumerMetrics
from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.delivery import Delivery, Unprocessable
from order_shared.messaging.queue import OutgoingMessage
from tests.documents import assert_committed, faults, printed_by, resolved
from tests.factories import NOON, make_order
from tests.fakes import MemoryQueue
from tests.waiting import eventually

SENT_TYPES = asyncapi.SENT_TYPES
DOCUMENT = asyncapi.document()


def schema_of(event_type: str) -> dict[str, Any]:
    return dict(resolved(DOCUMENT, DOCUMENT["components"]["messages"][event_type]["payload"]))


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_the_committed_document_is_what_the_command_prints() -> None:
    assert_committed("docs/asyncapi.json", printed_by("order_shared.documents.asyncapi"))


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert resolved(DOCUMENT, {"$ref": reference}), reference


def test_amounts_have_64_bits() -> None:
    placed = DOCUMENT["components"]["schemas"]
    assert placed["LineData"]["properties"]["unit_price"]["format"] == "int64"
    assert placed["ProcessingData"]["properties"]["total"]["format"] == "int64"


def test_every_message_that_is_sent_is_described_and_sent_to_the_work_queue() -> None:
    assert set(DOCUMENT["channels"]["orders"]["messages"]) == set(SENT_TYPES)
    for operation in DOCUMENT["operations"].values():
        if operation["channel"] == {"$ref": "#/channels/orders"}:
            assert len(operation["messages"]) == len(SENT_TYPES)


@pytest.mark.parametrize("name", [*SENT_TYPES, "deadLetter", *EventType])
def test_every_example_fits_its_schema(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    assert message["examples"]
    for example in message["examples"]:
        assert faults(DOCUMENT, message["payload"], example["payload"]) == []
        assert faults(DOCUMENT, message.get("headers", {}), example.get("headers", {})) == []


def test_every_change_of_an_order_is_a_described_event() -> None:
    channel = DOCUMENT["channels"]["events"]
    assert set(channel["messages"]) == {f"order.{change}.v1" for change in OrderChange}
    for change, event_type in EVENT_TYPES.items():
        message = DOCUMENT["components"]["messages"][event_type]
        payload = message["examples"][0]["payload"]
        assert (payload["type"], payload["id"].rpartition(".")[2]) == (event_type, change)
        assert faults(DOCUMENT, schema_of(event_type), payload | {"type": "order.lost.v1"})


@pytest.mark.parametrize("event_type", SENT_TYPES)
def test_every_example_is_an_event_that_the_processor_reads(event_type: str) -> None:
    (example,) = DOCUMENT["components"]["messages"][event_type]["examples"]
    event = parse_message(json.dumps(example["payload"]))
    assert event.type == event_type
    assert created_at_of(event.subject) == asyncapi.PLACED_AT


@pytest.mark.parametrize("reference", [None, "PO-7"])
def test_sent_messages_fit_the_schema(reference: str | None) -> None:
    order = make_order(at=NOON, reference=reference)
    asked = order.confirm(NOON).request_cancel(NOON, due_at=0)
    for event in (message_of(order), message_of(asked)):
        assert faults(DOCUMENT, schema_of(event.type), json.loads(event.to_json())) == []


@pytest.mark.parametrize("field", ["specversion", "type", "id", "subject", "time", "tenantid", "data"])
def test_the_schema_requires_what_readers_require(field: str) -> None:
    body = json.loads(ProcessingRequested.of(make_order(at=NOON)).to_json())
    del body[field]
    assert any(field in fault for fault in faults(DOCUMENT, schema_of("order.processing_requested.v1"), body))
    with pytest.raises(UnreadableMessage):
        parse_message(json.dumps(body))


async def test_a_dead_letter_has_the_documented_attributes() -> None:
    async def refuse(_: Delivery) -> None:
        raise Unprocessable("unknown_type", "'order.processing_requested.v9'")

    queue = MemoryQueue()
    await queue.send([OutgoingMessage("{}")])
    consumer = Consumer(queue, refuse, ConsumerOptions(wait=1, visibility=2), ConsumerMetrics(CollectorRegistry()))
    running = asyncio.create_task(consumer.run())
    await eventually(lambda: bool(queue.dead_letters))
    consumer.stop()
    await running
    (letter,) = queue.dead_letters
    described = DOCUMENT["components"]["messages"]["deadLetter"]["headers"]
    assert set(letter.attributes) == set(described["properties"])
    assert faults(DOCUMENT, described, dict(letter.attributes)) == []
