"""The messages as an AsyncAPI 3.0 document, made from the models that write and read them.

`python -m order_shared.documents.asyncapi` prints it. Nothing is connected and no setting is read.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema, core_schema

from order_shared.domain.clock import from_text, to_millis
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.events import EVENT_TYPES, Event, OrderCancelRequested, OrderPlaced
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.models import Customer, Order
from order_shared.tables import order_queue

PREFIX = "{prefix}"
QUEUE = order_queue(PREFIX)

PLACED_AT = from_text("2026-01-31T09:05:00.000120Z")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

EXAMPLE_PRODUCTS = (
    Product(
        tenant="acme",
        sku="TEA-GREEN-100",
        name="Green tea, 100 g",
        unit_price=590,
        currency="EUR",
        updated_at=PLACED_AT,
    ),
    Product(
        tenant="acme", sku="POT-GLASS", name="Glass pot, 1 l", unit_price=2450, currency="EUR", updated_at=PLACED_AT
    ),
)

EXAMPLE_ORDER = replace(
    Order.place(
        Customer(tenant="acme", id="ada"),
        zip(EXAMPLE_PRODUCTS, (2, 1), strict=True),
        at=PLACED_AT,
        due_at=to_millis(PLACED_AT),
        reference="PO-2026-0042",
        traceparent=TRACE,
    ),
    order_id=OrderId("ord_019c134c666070789b8f3c5d7e9f0123"),
)
"""The order that the documents show, just placed. Its id carries its time, as every id does."""

EXAMPLES: Mapping[str, Event] = {
    "order.placed.v1": OrderPlaced.of(EXAMPLE_ORDER),
    "order.cancel_requested.v1": OrderCancelRequested.of(
        EXAMPLE_ORDER.confirm(from_text("2026-01-31T09:05:00.250000Z")).request_cancel(
            from_text("2026-01-31T10:00:00.000000Z"), due_at=to_millis(PLACED_AT)
        ),
    ),
}


class _WriterSchema(GenerateJsonSchema):
    """A field that is always written is required, though the reader could do without it."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - pydantic's signature
    ) -> bool:
        default = field["schema"].get("default")
        return default is not None or super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        """Leave out titles, which repeat the names of fields."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """Leave out null: an unknown value is left out of the message."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Leave out the default null of optional fields."""
        inner: CoreSchema = schema["schema"]
        return self.generate_inner(inner) if schema.get("default") is None else super().default_schema(schema)


def document() -> dict[str, Any]:
    """The AsyncAPI document; equal for equal code."""
    payloads = _payload_schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order platform: messages",
            "version": version("order-shared"),
            "description": (files("order_shared.documents") / "description.md").read_text("utf-8"),
        },
        "defaultContentType": "application/json",
        "servers": {
            "sqs": {
                "host": "sqs.{region}.amazonaws.com",
                "protocol": "sqs",
                "description": "Amazon SQS; locally the embedded one.",
                "variables": {"region": {"description": "The region of the platform.", "examples": ["eu-central-1"]}},
            }
        },
        "channels": {"orders": _work_queue(), "deadLetters": _dead_letters()},
        "operations": _operations(),
        "components": {
            "messages": {**{name: _message(name) for name in EVENT_TYPES}, "deadLetter": _dead_letter()},
            "schemas": dict(sorted(payloads.items())),
        },
    }


def _payload_schemas() -> dict[str, Any]:
    """The schema of each event by its type, and of what they are made of by its model's name."""
    mode: JsonSchemaMode = "validation"
    inputs: list[tuple[str, JsonSchemaMode, CoreSchema]]
    inputs = [(name, mode, adapter.core_schema) for name, adapter in EVENT_TYPES.items()]
    made, definitions = _WriterSchema(ref_template="#/components/schemas/{model}").generate_definitions(inputs)
    parts: dict[str, Any] = {str(name): schema for name, schema in definitions.items()}
    events = {name: made[name, mode] for name in EVENT_TYPES}
    for name, schema in events.items():  # an event that is a model of its own comes as a reference to it
        if set(schema) == {"$ref"}:
            events[name] = parts.pop(schema["$ref"].rpartition("/")[2])
    return {**parts, **events}


def _work_queue() -> dict[str, Any]:
    return _channel(
        QUEUE.name,
        EVENT_TYPES,
        title="Work queue",
        description="What is to be done about orders. At least once, in no order.",
        binding={
            "messageRetentionPeriod": QUEUE.retention_seconds,
            "redrivePolicy": {
                "deadLetterQueue": {"name": QUEUE.dead_letter_name},
                "maxReceiveCount": QUEUE.max_receive_count,
            },
        },
    )


def _dead_letters() -> dict[str, Any]:
    return _channel(
        QUEUE.dead_letter_name,
        ("deadLetter",),
        title="Dead letters",
        description="Messages that no repetition helps, for an operator (`orderctl dlq`) to send again or discard.",
        binding={"messageRetentionPeriod": QUEUE.retention_seconds},
    )


def _channel(
    address: str, messages: Iterable[str], *, title: str, description: str, binding: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "address": address,
        "title": title,
        "description": description,
        "servers": [{"$ref": "#/servers/sqs"}],
        "parameters": {"prefix": {"description": "The environment's prefix.", "examples": ["prod-", "local-"]}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"sqs": {"queue": {"name": address, "fifoQueue": False, **binding}, "bindingVersion": "0.2.0"}},
    }


def _operations() -> dict[str, Any]:
    events = tuple(EVENT_TYPES)
    return {
        "offerEvent": _operation(
            "send", "orders", events, "order-api: after the order is stored. Nobody waits for it, and it may be lost."
        ),
        "sweepEvent": _operation(
            "send", "orders", events, "order-processor's sweeper: says again what is still open and overdue."
        ),
        "carryOutEvent": _operation(
            "receive", "orders", events, "order-processor: takes the stock, charges or refunds, and ends the order."
        ),
        "buryMessage": _operation(
            "send", "deadLetters", ("deadLetter",), "order-processor: puts away what no repetition helps, at once."
        ),
        "browseLetter": _operation(
            "receive", "deadLetters", ("deadLetter",), "orderctl: shows an operator what was put away, and discards it."
        ),
        "redriveLetter": _operation(
            "send", "orders", events, "orderctl: puts a dead letter back, without its attributes, for an operator."
        ),
    }


def _operation(action: str, channel: str, messages: Iterable[str], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _message(name: str) -> dict[str, Any]:
    event = EXAMPLES[name]
    return {
        "name": name,
        "title": type(event).__name__,
        "summary": (type(event).__doc__ or "").strip(),
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"name": name, "payload": json.loads(event.to_json())}],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "deadLetter",
        "title": "Dead letter",
        "summary": "A message as it came, whatever it is, with what was wrong with it as message attributes.",
        "description": "SQS itself moves what came too often, and adds no attributes.",
        "contentType": "text/plain",
        "headers": {
            "type": "object",
            "properties": {
                "reason": {
                    "type": "string",
                    "description": "A stable code.",
                    "examples": ["not_an_event", "unknown_type", "invalid_event", "order_not_found"],
                },
                "detail": {
                    "type": "string",
                    "minLength": 1,
                    "description": "For people; of the message it tells no more than an unknown type.",
                },
                "message_id": {
                    "type": "string",
                    "description": "The id that the message had on the work queue, and that the logs name.",
                },
            },
        },
        "payload": {"type": "string", "description": "The body as it came."},
        "examples": [
            {
                "name": "unknownType",
                "headers": {
                    "reason": "unknown_type",
                    "detail": "'order.placed.v9'",
                    "message_id": "5fea7756-0ea4-451a-a703-a558b933e274",
                },
                "payload": '{"specversion": "1.0", "type": "order.placed.v9"}',
            }
        ],
    }


def main() -> None:
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
