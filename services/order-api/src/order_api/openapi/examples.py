"""Examples in the OpenAPI document, created with the schemas of the service so that their form is always correct."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from order_api.cursors import CursorCodec
from order_api.event.response import MEDIA_TYPE as EVENT_STREAM
from order_api.event.schemas import EventOut, EventPage, TenantEventOut, TenantEventPage
from order_api.event.service import Feed
from order_api.event.stream import HEARTBEAT, message
from order_api.health.lifecycle import Phase
from order_api.openapi.samples import BodyExamples, Samples, link, to_json
from order_api.openapi.webhook_examples import WEBHOOK_SAMPLES
from order_api.order.schemas import OrderIn, OrderOut, OrderPage
from order_api.product.schemas import ProductIn, ProductOut, ProductPage, StockedProductOut, StockIn
from order_api.tenant_order.schemas import TenantOrderOut, TenantOrderPage
from order_api.webhook.schemas import ENDPOINT_ID_EXAMPLE
from order_shared.documents.asyncapi import EXAMPLE_ORDER, EXAMPLE_PRODUCTS, PLACED_AT
from order_shared.domain.clock import to_text
from order_shared.domain.inventory.models import StockedProduct
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import Order, Reason, ReasonCode
from order_shared.domain.order.payments import PaymentState
from order_shared.runtime.readiness import Report

SOON = PLACED_AT + timedelta(milliseconds=240)
PENDING = EXAMPLE_ORDER
CONFIRMED = EXAMPLE_ORDER.confirm(SOON)
CANCELLED = EXAMPLE_ORDER.cancel(SOON)
REJECTED = EXAMPLE_ORDER.reject(
    SOON,
    Reason(
        ReasonCode.OUT_OF_STOCK,
        f"fewer than {EXAMPLE_ORDER.lines[0].quantity} of {EXAMPLE_ORDER.lines[0].sku} are in stock",
        EXAMPLE_ORDER.lines[0].sku,
    ),
)
REFERENCE = str(EXAMPLE_ORDER.reference)
PAYMENT_TOKEN = "pm_card_visa"  # noqa: S105 - a test payment method of Stripe
TO_BE_PAID = replace(
    EXAMPLE_ORDER,
    lines=EXAMPLE_ORDER.lines[:1],
    reference=None,
    metadata={"cart": "c-4711", "channel": "app"},
    payment=PaymentState(required=True, token=PAYMENT_TOKEN),
)
RESERVED = TO_BE_PAID.reserve(PLACED_AT + timedelta(milliseconds=40), owner="worker", lease_until=SOON)
CAPTURED = RESERVED.with_payment("pi_3").confirm(SOON)
CANCEL_REQUESTED = CAPTURED.request_cancel(SOON + timedelta(hours=1), due_at=0)
REFUNDED = CANCEL_REQUESTED.cancel(SOON + timedelta(hours=1, milliseconds=300), refunded=True)
PRODUCT = EXAMPLE_PRODUCTS[0]
SKU = PRODUCT.sku
STOCKED = StockedProduct(PRODUCT, (100,))
REQUEST_ID = "5f0c8a3e9d7b4c1f8e2a6b5d4c3f2e1a"
IDEMPOTENCY_KEY = "0b5c2f6e-6c2f-4f0e-9a53-6d2f0a7f3c11"
CURSOR = CursorCodec(["the document's"]).encode(to_text(PLACED_AT), {})
_EVENTS = Feed(tenant=EXAMPLE_ORDER.customer.tenant, customer=EXAMPLE_ORDER.customer)
POSITION = CursorCodec(["the document's"]).encode("1.42", _EVENTS.scope())
TENANT_POSITION = CursorCodec(["the document's"]).encode("1.42", Feed(tenant=_EVENTS.tenant).scope())
TENANT_CURSOR = CursorCodec(["the document's"]).encode(EXAMPLE_ORDER.order_id, {})

PARAMETERS: Mapping[str, Any] = {
    "order_id": EXAMPLE_ORDER.order_id,
    "sku": SKU,
    "endpoint_id": ENDPOINT_ID_EXAMPLE,
    "delivery_id": "1042",
    "Idempotency-Key": IDEMPOTENCY_KEY,
    "Last-Event-Id": POSITION,
    "If-Match": f'"{PENDING.version}"',
    "If-None-Match": f'"{PENDING.version}"',
    "Order-Customer": "ada",
    "Prefer": "wait=10",
    "X-Request-Id": REQUEST_ID,
}
"""Example values by parameter name."""


def example_path(path: str) -> str:
    """Return the path with example values for its parameters."""
    return re.sub(r"\{(\w+)\}", lambda match: str(PARAMETERS.get(match[1], match[0])), path)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _order(order: Order) -> dict[str, Any]:
    return to_json(OrderOut.of(order))


_LINES = [{"sku": line.sku, "quantity": line.quantity} for line in EXAMPLE_ORDER.lines]
_CONFIRMATION = OrderEvent(
    customer=CONFIRMED.customer,
    order_id=CONFIRMED.order_id,
    version=CONFIRMED.version,
    change=OrderChange.CONFIRMED,
    at=CONFIRMED.updated_at,
)
_EVENT, _TENANT_EVENT = (each.of(_CONFIRMATION, CONFIRMED) for each in (EventOut, TenantEventOut))
_UNREADABLE_EVENT = EventOut.of(_CONFIRMATION, None)


def _stream(event: EventOut, position: str) -> BodyExamples:
    text = message(event, position) + HEARTBEAT
    return BodyExamples(
        "The messages, until the stream ends.", {"messages": text.decode()}, {"type": "string"}, EVENT_STREAM
    )


_ORDERS_IN = {
    "order": OrderIn.model_validate({"lines": _LINES, "reference": REFERENCE}),
    "paidOrder": OrderIn.model_validate(
        {"lines": _LINES[:1], "payment_token": PAYMENT_TOKEN, "metadata": TO_BE_PAID.metadata}
    ),
}
_PRODUCT_IN = ProductIn(name=PRODUCT.name, unit_price=PRODUCT.unit_price, currency=PRODUCT.currency, stock_shards=1)
_PRODUCTS = ProductPage(items=[ProductOut.of(each) for each in EXAMPLE_PRODUCTS], next_cursor=None, has_more=False)
_STOCKED = to_json(StockedProductOut.of_stocked(STOCKED))
_CHANGES = {"delivery": StockIn(delta=100), "loss": StockIn(delta=-3)}
_ORDER_LINKS = {name: link(name, "order_id", "id") for name in ("getOrder", "cancelOrder")}
_PRODUCT_LINKS = {name: link(name, "sku", "sku") for name in ("getProduct", "adjustStock")}

_PART = {"type": "string", "enum": ["ok", "degraded", "unavailable"]}
HEALTH_SCHEMAS: Mapping[str, Any] = {
    "Liveness": _object(status={"type": "string", "const": "ok"}),
    "Serving": _object(status={"type": "string", "enum": [phase.value for phase in Phase]}),
    "Readiness": _object(status={"type": "string", "enum": ["ready", "unavailable"]}, dynamodb=_PART, sqs=_PART),
}
"""Schemas of the health responses, which have no models."""
_LIVENESS, _SERVING, _READINESS = ({"$ref": f"#/components/schemas/{name}"} for name in HEALTH_SCHEMAS)
_METRICS = """\
# HELP order_http_requests_total Requests by route, method and status.
# TYPE order_http_requests_total counter
order_http_requests_total{method="POST",route="/v1/orders",status="202"} 42.0
"""

SAMPLES: Mapping[str, Samples] = {
    **WEBHOOK_SAMPLES,
    "placeOrder": Samples(
        {
            "202": BodyExamples(
                "The stored order. For a repeated request: the order in its current state.",
                {"pending": _order(PENDING), "paidOrder": _order(TO_BE_PAID)},
            )
        },
        BodyExamples(
            "The order to place.", {name: order.model_dump(exclude_none=True) for name, order in _ORDERS_IN.items()}
        ),
        _ORDER_LINKS,
    ),
    "listOrders": Samples(
        {
            "200": BodyExamples(
                "A page of your orders.",
                {
                    "page": to_json(OrderPage(items=[OrderOut.of(CONFIRMED)], next_cursor=CURSOR, has_more=True)),
                    "lastPage": to_json(OrderPage(items=[], next_cursor=None, has_more=False)),
                },
            )
        }
    ),
    "listTenantOrders": Samples(
        {
            "200": BodyExamples(
                "A page of the orders of your tenant.",
                {
                    "page": to_json(
                        TenantOrderPage(items=[TenantOrderOut.of(CONFIRMED)], next_cursor=TENANT_CURSOR, has_more=True)
                    ),
                    "lastPage": to_json(TenantOrderPage(items=[], next_cursor=None, has_more=False)),
                },
            )
        }
    ),
    "listEvents": Samples(
        {
            "200": BodyExamples(
                "Events of your orders, and the position after them.",
                {
                    "page": to_json(EventPage(items=[_EVENT], next=POSITION, has_more=True)),
                    "unreadableOrder": to_json(EventPage(items=[_UNREADABLE_EVENT], next=POSITION, has_more=True)),
                    "nothingNew": to_json(EventPage(items=[], next=POSITION, has_more=False)),
                },
            )
        }
    ),
    "listTenantEvents": Samples(
        {
            "200": BodyExamples(
                "Events of the orders of your tenant, and the position after them.",
                {
                    "page": to_json(TenantEventPage(items=[_TENANT_EVENT], next=TENANT_POSITION, has_more=True)),
                    "nothingNew": to_json(TenantEventPage(items=[], next=TENANT_POSITION, has_more=False)),
                },
            )
        }
    ),
    "streamEvents": Samples({"200": _stream(_EVENT, POSITION)}),
    "streamTenantEvents": Samples({"200": _stream(_TENANT_EVENT, TENANT_POSITION)}),
    "getOrder": Samples(
        {
            "200": BodyExamples(
                "The order in its current state.",
                {
                    "confirmed": _order(CONFIRMED),
                    "rejected": _order(REJECTED),
                    "captured": _order(CAPTURED),
                    "refunded": _order(REFUNDED),
                },
            )
        }
    ),
    "cancelOrder": Samples(
        {
            "202": BodyExamples(
                "The order, cancelled or with its cancellation requested.",
                {"cancelled": _order(CANCELLED), "requested": _order(CANCEL_REQUESTED)},
            )
        }
    ),
    "listProducts": Samples(
        {"200": BodyExamples("A page of the products of your tenant.", {"page": to_json(_PRODUCTS)})}
    ),
    "getProduct": Samples({"200": BodyExamples("The product with its available stock.", {"product": _STOCKED})}),
    "putProduct": Samples(
        {"200": BodyExamples("The stored product with its available stock.", {"product": _STOCKED})},
        BodyExamples("The product to store.", {"product": _PRODUCT_IN.model_dump()}),
        _PRODUCT_LINKS,
    ),
    "adjustStock": Samples(
        {"200": BodyExamples("The product with its new available stock.", {"product": _STOCKED})},
        BodyExamples("The change of the stock.", {name: change.model_dump() for name, change in _CHANGES.items()}),
    ),
    "healthz": Samples({"200": BodyExamples("The process is alive.", {"alive": {"status": "ok"}}, _LIVENESS)}),
    "serving": Samples(
        {
            "200": BodyExamples("The process accepts traffic.", {"serving": {"status": Phase.SERVING.value}}, _SERVING),
            "503": BodyExamples(
                "The process is starting or stopping.",
                {phase.value: {"status": phase.value} for phase in (Phase.STARTING, Phase.STOPPING)},
                _SERVING,
            ),
        }
    ),
    "readyz": Samples(
        {
            "200": BodyExamples(
                "Orders can be accepted.",
                {
                    "ready": Report(ready=True, parts={"dynamodb": "ok", "sqs": "ok"}).to_json(),
                    "degraded": Report(ready=True, parts={"dynamodb": "ok", "sqs": "degraded"}).to_json(),
                },
                _READINESS,
            ),
            "503": BodyExamples(
                "DynamoDB does not respond, so orders cannot be accepted.",
                {"unavailable": Report(ready=False, parts={"dynamodb": "unavailable", "sqs": "ok"}).to_json()},
                _READINESS,
            ),
        }
    ),
    "metrics": Samples(
        {
            "200": BodyExamples(
                "The metrics in the Prometheus text format.", {"excerpt": _METRICS}, {"type": "string"}, "text/plain"
            )
        }
    ),
}
"""Samples by operationId. A test checks that every operation has an entry."""
