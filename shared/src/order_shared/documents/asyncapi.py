"""AsyncAPI 3.1 document of the messages, generated from the models that write and read them.

`python -m order_shared.documents.asyncapi` prints it, without any connection or setting.
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

from order_shared.domain.clock import from_text, to_millis, to_text
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.events import EVENT_SOURCE, EVENT_TYPES, EventType, OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.messages import (
    MESSAGE_CLASSES,
    MESSAGE_TYPES,
    CancellationRequested,
    ProcessingRequested,
    WorkMessage,
)
from order_shared.domain.order.models import Customer, Order, OrderStatus
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
"""A newly placed order for the examples. Its id contains its creation time, as every order id does."""

SENT_TYPES = {name: MESSAGE_TYPES[name] for name in (each.model_fields["type"].default for each in MESSAGE_CLASSES)}
"""Adapter of each message type that is sent. The types of the last release are read only."""

EXAMPLES: Mapping[str, WorkMessage] = {
    "order.processing_requested.v1": ProcessingRequested.of(EXAMPLE_ORDER),
    "order.cancellation_requested.v1": CancellationRequested.of(
        EXAMPLE_ORDER.confirm(from_text("2026-01-31T09:05:00.250000Z")).request_cancel(
            from_text("2026-01-31T10:00:00.000000Z"), due_at=to_millis(PLACED_AT)
        ),
    ),
}


CHANGED = from_text("2026-01-31T09:05:00.250000Z")

EVENT_EXAMPLES: Mapping[EventType, tuple[int, OrderStatus]] = {
    EventType.PLACED: (1, OrderStatus.PENDING),
    EventType.RESERVED: (2, OrderStatus.RESERVED),
    EventType.REJECTED: (2, OrderStatus.REJECTED),
    EventType.CHARGED: (3, OrderStatus.CONFIRMED),
    EventType.CONFIRMED: (3, OrderStatus.CONFIRMED),
    EventType.CANCEL_REQUESTED: (4, OrderStatus.CONFIRMED),
    EventType.REFUNDED: (5, OrderStatus.CANCELLED),
    EventType.CANCELLED: (5, OrderStatus.CANCELLED),
}
"""Version and status of the order in the example of each event. The order is paid, confirmed and cancelled, or it is
rejected."""
EVENT_MEANINGS: Mapping[OrderChange, str] = {
    OrderChange.PLACED: "The order was stored.",
    OrderChange.RESERVED: "Stock is held for the order, which is being paid.",
    OrderChange.CONFIRMED: "The stock is taken, and an order with a payment is charged.",
    OrderChange.REJECTED: "The order ended without effect; `reason` of the order says why.",
    OrderChange.CANCEL_REQUESTED: "The order will be cancelled once stock and payment are returned.",
    OrderChange.CANCELLED: "The order ended by a cancellation.",
    OrderChange.CHARGED: "The total was charged.",
    OrderChange.REFUNDED: "The charge was refunded.",
}


class _WriterSchema(GenerateJsonSchema):
    """Schema of written messages: a field that is always written is required, even if readers have a default."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - pydantic's signature
    ) -> bool:
        default = field["schema"].get("default")
        return default is not None or super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        """Omit titles, which repeat the field names."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """Return the schema of the value without null, because messages omit fields without a value."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Omit `default: null` for optional fields."""
        inner: CoreSchema = schema["schema"]
        return self.generate_inner(inner) if schema.get("default") is None else super().default_schema(schema)


def document() -> dict[str, Any]:
    """Return the AsyncAPI document, which depends on the code only."""
    payloads = _payload_schemas()
    return {
        "asyncapi": "3.1.0",
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
                "description": "Amazon SQS; on a developer's machine, the emulator.",
                "variables": {"region": {"description": "AWS region.", "examples": ["eu-central-1"]}},
            },
            "api": {
                "host": "orders.example.com",
                "protocol": "https",
                "description": "The API of an installation; use the address of yours.",
            },
        },
        "channels": {"orders": _work_queue(), "deadLetters": _dead_letters(), "events": _events()},
        "operations": _operations(),
        "components": {
            "messages": {
                **{name: _message(name) for name in SENT_TYPES},
                "deadLetter": _dead_letter(),
                **{event_type.value: _event(change) for change, event_type in EVENT_TYPES.items()},
            },
            "schemas": dict(sorted({**payloads, **_event_schemas()}.items())),
        },
    }


def _payload_schemas() -> dict[str, Any]:
    """Return the schema of each message by type, and the schemas of their parts by model name."""
    mode: JsonSchemaMode = "validation"
    inputs: list[tuple[str, JsonSchemaMode, CoreSchema]]
    inputs = [(name, mode, adapter.core_schema) for name, adapter in SENT_TYPES.items()]
    made, definitions = _WriterSchema(ref_template="#/components/schemas/{model}").generate_definitions(inputs)
    parts: dict[str, Any] = {str(name): schema for name, schema in definitions.items()}
    messages = {name: made[name, mode] for name in SENT_TYPES}
    for name, schema in messages.items():  # pydantic returns a reference for a message that is a separate model
        if set(schema) == {"$ref"}:
            messages[name] = parts.pop(schema["$ref"].rpartition("/")[2])
    return {**parts, **messages}


def _work_queue() -> dict[str, Any]:
    return _channel(
        QUEUE.name,
        SENT_TYPES,
        title="Work queue",
        description="Requests to process or cancel orders. Delivery is at least once and unordered.",
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
        description="Messages that cannot be processed. An operator redrives or discards them with `orderctl dlq`.",
        binding={"messageRetentionPeriod": QUEUE.retention_seconds},
    )


def _events() -> dict[str, Any]:
    return {
        "address": "/v1/events/stream",
        "title": "Events of orders",
        "description": "Every change of an order that its customer can see, as server-sent events: `id` is the "
        "position after the event, `event` its type, `data` the payload. The events of an order are"
        " in the order of its versions. After a lost connection the stream continues after the `id`"
        " in the header `Last-Event-ID`. `GET /v1/events` returns the same events page by page. "
        "With the scope `orders:admin`, `/v1/tenant/events` and its stream have those of all "
        "customers of a tenant.",
        "servers": [{"$ref": "#/servers/api"}],
        "messages": {each.value: {"$ref": f"#/components/messages/{each.value}"} for each in EventType},
        "bindings": {"http": {"bindingVersion": "0.3.0"}},
    }


def _event_schemas() -> dict[str, Any]:
    """Return the schema of each event by type, and those of what they have in common."""
    texts = {
        "id": "Order id, version of the order after the change, and the change.",
        "subject": "Id of the order.",
        "tenantid": "Tenant of the order.",
    }
    common: dict[str, Any] = {
        "type": "object",
        "description": "Structured CloudEvent 1.0. Its `id` is the same whenever the event is read.",
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "source": {"type": "string", "const": EVENT_SOURCE},
            **{name: {"type": "string", "description": text} for name, text in texts.items()},
            "time": {"type": "string", "format": "date-time", "description": "Time of the change."},
            "datacontenttype": {"type": "string", "const": "application/json"},
            "data": {"$ref": "#/components/schemas/ReadOrder"},
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "tenantid", "datacontenttype"],
    }
    order = {
        "type": "object",
        "description": "The order as it is when the event is read: its `version` is that of the event or newer. It has "
        "all fields of `OrderOut` in the OpenAPI document, or of `TenantOrderOut` in the events of a tenant. Left out "
        "if the order can no longer be read.",
        "properties": {
            "__typename": {"type": "string", "enum": ["Order", "TenantOrder"]},
            "id": {"type": "string"},
            "status": {"type": "string", "enum": list(OrderStatus)},
            "version": {"type": "integer", "format": "int64"},
        },
        "required": ["__typename", "id", "status", "version"],
    }
    typed = {
        each.value: {
            "allOf": [{"$ref": "#/components/schemas/OrderEvent"}],
            "type": "object",
            "properties": {"type": {"type": "string", "const": each.value}},
            "required": ["type"],
        }
        for each in EventType
    }
    return {"OrderEvent": common, "ReadOrder": order, **typed}


def _event(change: OrderChange) -> dict[str, Any]:
    event_type = EVENT_TYPES[change]
    version, status = EVENT_EXAMPLES[event_type]
    event = OrderEvent(
        customer=EXAMPLE_ORDER.customer, order_id=EXAMPLE_ORDER.order_id, version=version, change=change, at=CHANGED
    )
    order = {"__typename": "Order", "id": event.order_id, "status": status.value, "version": version}
    payload = {
        "specversion": "1.0",
        "id": event.id,
        "source": EVENT_SOURCE,
        "type": event_type.value,
        "subject": event.order_id,
        "time": to_text(event.at),
        "tenantid": event.customer.tenant,
        "datacontenttype": "application/json",
        "data": order,
    }
    return {
        "name": event_type.value,
        "title": f"Order{''.join(word.title() for word in change.split('_'))}",
        "summary": EVENT_MEANINGS[change],
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": f"#/components/schemas/{event_type.value}"},
        "examples": [{"name": event_type.value, "summary": "`data` is shortened.", "payload": payload}],
    }


def _channel(
    address: str, messages: Iterable[str], *, title: str, description: str, binding: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "address": address,
        "title": title,
        "description": description,
        "servers": [{"$ref": "#/servers/sqs"}],
        "parameters": {"prefix": {"description": "Prefix of the environment.", "examples": ["prod-", "local-"]}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"sqs": {"queue": {"name": address, "fifoQueue": False, **binding}, "bindingVersion": "0.2.0"}},
    }


def _operations() -> dict[str, Any]:
    messages = tuple(SENT_TYPES)
    return {
        "requestProcessing": _operation(
            "send",
            "orders",
            messages,
            "order-api sends a message after it has stored the order. The send may be lost.",
        ),
        "repeatRequest": _operation(
            "send",
            "orders",
            messages,
            "order-processor's sweeper sends the message of each overdue order again.",
        ),
        "processRequest": _operation(
            "receive", "orders", messages, "order-processor takes the stock, charges or refunds, and ends the order."
        ),
        "deadLetterMessage": _operation(
            "send", "deadLetters", ("deadLetter",), "order-processor sends a message that it cannot process, at once."
        ),
        "peekDeadLetter": _operation(
            "receive", "deadLetters", ("deadLetter",), "orderctl shows dead letters to an operator, and discards them."
        ),
        "sendEvent": _operation(
            "send",
            "events",
            tuple(EventType),
            "order-api sends the events after the client's position, and then each event within about a second of its "
            "change.",
        ),
        "redriveDeadLetter": _operation(
            "send", "orders", messages, "orderctl returns a dead letter to the work queue, without its attributes."
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
    message = EXAMPLES[name]
    return {
        "name": name,
        "title": type(message).__name__,
        "summary": (type(message).__doc__ or "").strip(),
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"name": name, "payload": json.loads(message.to_json())}],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "deadLetter",
        "title": "Dead letter",
        "summary": "The unchanged body of a message that could not be processed, with the error as message attributes.",
        "description": "SQS moves a message itself after too many receives; that message has no attributes.",
        "contentType": "text/plain",
        "headers": {
            "type": "object",
            "properties": {
                "reason": {
                    "type": "string",
                    "description": "Stable code of the error.",
                    "examples": ["not_an_event", "unknown_type", "invalid_event", "order_not_found"],
                },
                "detail": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Text of the error. The only part of the message in it is an unknown type.",
                },
                "message_id": {
                    "type": "string",
                    "description": "Id of the message in the work queue, as in the log lines.",
                },
            },
        },
        "payload": {"type": "string", "description": "The unchanged body of the message."},
        "examples": [
            {
                "name": "unknownType",
                "headers": {
                    "reason": "unknown_type",
                    "detail": "'order.processing_requested.v9'",
                    "message_id": "5fea7756-0ea4-451a-a703-a558b933e274",
                },
                "payload": '{"specversion": "1.0", "type": "order.processing_requested.v9"}',
            }
        ],
    }


def main() -> None:
    sys.stdout.buffer.write(f"{json.dumps(document(), indent=2, ensure_ascii=False)}\n".encode())


if __name__ == "__main__":
    main()
