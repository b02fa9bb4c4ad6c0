"""Place, read, list and cancel an order with the client of openapi-python-client: python_client.py URL TOKEN SKU."""

import json
import sys
import uuid

from order_api_client import AuthenticatedClient  # type: ignore[import-not-found]  # generated
from order_api_client.api.orders import cancel_order, get_order, list_orders, place_order  # type: ignore[import-not-found]
from order_api_client.models import (  # type: ignore[import-not-found]
    ListOrdersSort,
    OrderIn,
    OrderInMetadataType0,
    OrderLineIn,
    OrderOut,
    OrderPage,
    PaymentOut,
)

url, token, sku = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True) as api:
    lines, metadata = [OrderLineIn(sku=sku, quantity=2)], OrderInMetadataType0.from_dict({"cart": "c-1"})
    body = OrderIn(lines=lines, payment_token="pm_card_visa", metadata=metadata)
    placed = place_order.sync(client=api, body=body, idempotency_key=uuid.uuid4().hex)
    assert isinstance(placed, OrderOut)
    read = get_order.sync(placed.id, client=api, prefer="wait=5")
    assert isinstance(read, OrderOut)
    assert isinstance(read.payment, PaymentOut)
    page = list_orders.sync(client=api, limit=10, sort=ListOrdersSort.CREATED_AT)
    assert isinstance(page, OrderPage)
    cancelled = cancel_order.sync(placed.id, client=api)
    assert isinstance(cancelled, OrderOut)
    shown = [
        read.status,
        read.metadata.to_dict(),
        read.payment.captured,
        [each.id for each in page.items],
        cancelled.id,
    ]
    sys.stdout.write(json.dumps([placed.id, placed.total, *shown]))
