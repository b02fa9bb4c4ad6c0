"""Body of a webhook: the CloudEvent that the feed of the tenant shows, as JSON.

The API builds the same object with pydantic (`TenantEventOut`). A test compares both for orders of every kind.
"""

import json
from typing import Any

from order_shared.domain.clock import to_text
from order_shared.domain.order.events import EVENT_SOURCE, OrderEvent
from order_shared.domain.order.models import Order

Json = dict[str, Any]


def webhook_body(event: OrderEvent, order: Order | None) -> bytes:
    """Return the event with its order. An order that is older than the event, or cannot be read, is left out."""
    body: Json = {
        "specversion": "1.0",
        "id": event.id,
        "source": EVENT_SOURCE,
        "type": str(event.type),
        "subject": event.order_id,
        "time": to_text(event.at),
        "tenantid": event.customer.tenant,
        "datacontenttype": "application/json",
    }
    if order is not None and order.version >= event.version:
        body["data"] = _order(order)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _order(order: Order) -> Json:
    reason, requested_at = order.reason, order.cancel_requested_at
    return {
        "__typename": "TenantOrder",
        "id": order.order_id,
        "status": str(order.status),
        "version": order.version,
        "created_at": to_text(order.created_at),
        "updated_at": to_text(order.updated_at),
        "reference": order.reference,
        "placed_by": order.placed_by,
        "metadata": dict(order.metadata),
        "lines": [
            {
                "__typename": "OrderLine",
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "amount": line.amount,
            }
            for line in order.lines
        ],
        "currency": order.currency,
        "total": order.total,
        "payment": _payment(order),
        "reason": reason and {"code": str(reason.code), "detail": reason.detail, "sku": reason.sku},
        "cancel_requested_at": requested_at and to_text(requested_at),
        "timeline": [{"status": str(entry.status), "at": to_text(entry.at)} for entry in order.timeline],
        "customer": order.customer.id,
    }


def _payment(order: Order) -> Json | None:
    summary = order.payment_summary
    if summary is None:
        return None
    return {
        "status": str(summary.status),
        "captured": summary.captured,
        "refunded": summary.refunded,
        "history": [
            {"type": str(movement.type), "amount": movement.amount, "at": to_text(movement.at)}
            for movement in summary.history
        ],
    }
