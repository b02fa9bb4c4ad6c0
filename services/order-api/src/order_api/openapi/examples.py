"""What the document shows: made by the code that answers, so that an example cannot be of another shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from order_api.cursors import CursorCodec
from order_api.health.lifecycle import Phase
from order_api.order.schemas import OrderIn, OrderOut, OrderPage
from order_api.product.schemas import ProductIn, ProductOut, ProductPage, StockedProductOut, StockIn
from order_shared.documents.asyncapi import EXAMPLE_ORDER, EXAMPLE_PRODUCTS, PLACED_AT
from order_shared.domain.clock import to_text
from order_shared.domain.inventory.models import StockedProduct
from order_shared.domain.order.models import Order, Reason, ReasonCode
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
PRODUCT = EXAMPLE_PRODUCTS[0]
SKU = PRODUCT.sku
STOCKED = StockedProduct(PRODUCT, (100,))
REQUEST_ID = "5f0c8a3e9d7b4c1f8e2a6b5d4c3f2e1a"
IDEMPOTENCY_KEY = "0b5c2f6e-6c2f-4f0e-9a53-6d2f0a7f3c11"
CURSOR = CursorCodec(["the document's"]).encode(to_text(PLACED_AT), {})

PARAMETERS: Mapping[str, Any] = {
    "order_id": EXAMPLE_ORDER.order_id,
    "sku": SKU,
    "Idempotency-Key": IDEMPOTENCY_KEY,
    "If-Match": [f'"{PENDING.version}"'],
    "If-None-Match": [f'"{PENDING.version}"'],
    "Prefer": ["wait=10"],
    "X-Request-Id": REQUEST_ID,
}
"""By the name of the parameter."""


def example_path(path: str) -> str:
    """The path of a request that the examples answer."""
    return re.sub(r"\{(\w+)\}", lambda match: str(PARAMETERS.get(match[1], match[0])), path)


@dataclass(frozen=True)
class Shown:
    """Examples by name of one body; `schema` where the route has none of its own. `says` describes an answer."""

    says: str
    examples: Mapping[str, Any]
    schema: Mapping[str, Any] | None = None
    media_type: str = "application/json"


@dataclass(frozen=True)
class Samples:
    """What is sent to an operation, and what it answers by status. `links` lead on from its answer."""

    answers: Mapping[str, Shown]
    body: Shown | None = None
    links: Mapping[str, Any] = field(default_factory=dict)


def _json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _order(order: Order) -> dict[str, Any]:
    return _json(OrderOut.of(order))


def _link(operation: str, parameter: str, pointer: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": {parameter: f"$response.body#/{pointer}"}}


_LINES = [{"sku": line.sku, "quantity": line.quantity} for line in EXAMPLE_ORDER.lines]
_WANTED = {
    "order": OrderIn.model_validate({"lines": _LINES, "reference": REFERENCE}),
    "paidOrder": OrderIn.model_validate({"lines": _LINES[:1], "payment_token": "pm_card_visa"}),
}
_PRODUCT_IN = ProductIn(name=PRODUCT.name, unit_price=PRODUCT.unit_price, currency=PRODUCT.currency, stock_shards=1)
_PRODUCTS = ProductPage(items=[ProductOut.of(each) for each in EXAMPLE_PRODUCTS], next_cursor=None, has_more=False)
_STOCKED = _json(StockedProductOut.of_stocked(STOCKED))
_CHANGES = {"delivery": StockIn(delta=100), "loss": StockIn(delta=-3)}
_ORDER_LINKS = {name: _link(name, "order_id", "id") for name in ("getOrder", "cancelOrder")}
_PRODUCT_LINKS = {name: _link(name, "sku", "sku") for name in ("getProduct", "adjustStock")}

_PHASE = _object(status={"type": "string", "enum": [phase.value for phase in Phase]})
_PART = {"type": "string", "enum": ["ok", "degraded", "unavailable"]}
_REPORT = _object(status={"type": "string", "enum": ["ready", "unavailable"]}, dynamodb=_PART, sqs=_PART)
_METRICS = """\
# HELP order_http_requests_total Requests by route, method and status.
# TYPE order_http_requests_total counter
order_http_requests_total{method="POST",route="/v1/orders",status="202"} 42.0
"""

SAMPLES: Mapping[str, Samples] = {
    "placeOrder": Samples(
        {"202": Shown("The order, stored; or, to a request sent again, as it is now.", {"pending": _order(PENDING)})},
        Shown("What is wanted.", {name: wanted.model_dump(exclude_none=True) for name, wanted in _WANTED.items()}),
        _ORDER_LINKS,
    ),
    "listOrders": Samples(
        {
            "200": Shown(
                "A page of your orders.",
                {
                    "page": _json(OrderPage(items=[OrderOut.of(CONFIRMED)], next_cursor=CURSOR, has_more=True)),
                    "lastPage": _json(OrderPage(items=[], next_cursor=None, has_more=False)),
                },
            )
        }
    ),
    "getOrder": Samples(
        {"200": Shown("The order as it is now.", {"confirmed": _order(CONFIRMED), "rejected": _order(REJECTED)})}
    ),
    "cancelOrder": Samples({"202": Shown("The order, cancelled or about to be.", {"cancelled": _order(CANCELLED)})}),
    "listProducts": Samples({"200": Shown("A page of the products of your tenant.", {"page": _json(_PRODUCTS)})}),
    "getProduct": Samples({"200": Shown("The product, with what is in stock.", {"product": _STOCKED})}),
    "putProduct": Samples(
        {"200": Shown("The product as it is now.", {"product": _STOCKED})},
        Shown("The product as it shall be.", {"product": _PRODUCT_IN.model_dump()}),
        _PRODUCT_LINKS,
    ),
    "adjustStock": Samples(
        {"200": Shown("The product, with what is in stock now.", {"product": _STOCKED})},
        Shown("The change.", {name: change.model_dump() for name, change in _CHANGES.items()}),
    ),
    "healthz": Samples(
        {"200": Shown("The process is alive.", {"alive": {"status": "ok"}}, _object(status={"const": "ok"}))}
    ),
    "serving": Samples(
        {
            "200": Shown("The process takes requests.", {"serving": {"status": Phase.SERVING.value}}, _PHASE),
            "503": Shown(
                "The process has not been ready yet, or has been told to stop.",
                {phase.value: {"status": phase.value} for phase in (Phase.STARTING, Phase.STOPPING)},
                _PHASE,
            ),
        }
    ),
    "readyz": Samples(
        {
            "200": Shown(
                "Orders are taken.",
                {
                    "ready": Report(ready=True, parts={"dynamodb": "ok", "sqs": "ok"}).to_json(),
                    "degraded": Report(ready=True, parts={"dynamodb": "ok", "sqs": "degraded"}).to_json(),
                },
                _REPORT,
            ),
            "503": Shown(
                "DynamoDB does not answer: no order can be taken.",
                {"unavailable": Report(ready=False, parts={"dynamodb": "unavailable", "sqs": "ok"}).to_json()},
                _REPORT,
            ),
        }
    ),
    "metrics": Samples(
        {
            "200": Shown(
                "The metrics, in the text form of Prometheus.", {"excerpt": _METRICS}, {"type": "string"}, "text/plain"
            )
        }
    ),
}
"""By operationId. A new operation needs its own; a test says so."""
