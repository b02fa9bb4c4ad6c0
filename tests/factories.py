"""Domain objects for tests; each argument that matters is named by the test."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from order_shared.domain.clock import UniqueClock, to_millis
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, expiry, record_key
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.models import Customer, Order

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)

_unique_now = UniqueClock()


def make_customer(tenant: str = "acme", id: str = "ada") -> Customer:  # noqa: A002 - the field's name
    return Customer(tenant=tenant, id=id)


def make_tenant() -> str:
    """Return a tenant that no other test uses, so that tests can share tables."""
    return f"tenant-{uuid.uuid4().hex[:12]}"


def make_product(**overrides: Any) -> Product:
    defaults: dict[str, Any] = {
        "tenant": "acme",
        "sku": "TEA",
        "name": "Green tea",
        "unit_price": 590,
        "currency": "EUR",
        "stock_shards": 1,
        "updated_at": NOON,
    }
    return Product(**(defaults | overrides))


def make_order(
    *,
    customer: Customer | None = None,
    lines: list[tuple[Product, int]] | None = None,
    at: datetime | None = None,
    due_in: timedelta = timedelta(seconds=15),
    reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    placed_by: str | None = None,
    payment_token: str | None = None,
    traceparent: str | None = None,
    stores_history: bool = True,
) -> Order:
    """Return a pending order; at a new instant unless `at` is given."""
    customer = customer or make_customer()
    at = at or _unique_now()
    return Order.place(
        customer,
        lines if lines is not None else [(make_product(tenant=customer.tenant), 2)],
        at=at,
        due_at=to_millis(at + due_in),
        reference=reference,
        metadata=metadata,
        placed_by=placed_by,
        payment_token=payment_token,
        traceparent=traceparent,
        stores_history=stores_history,
    )


def make_record(
    order: Order, key: str | None = None, fingerprint: str = "v1:test", at: datetime | None = None
) -> IdempotencyRecord:
    return IdempotencyRecord(
        key=record_key(order.customer, RecordKind.ORDER, key or uuid.uuid4().hex),
        subject=order.order_id,
        fingerprint=fingerprint,
        expires_at=expiry(at or order.created_at),
    )


def make_stock_record(tenant: str, sku: str, key: str | None = None) -> IdempotencyRecord:
    customer = Customer(tenant=tenant, id="keeper")
    return IdempotencyRecord(
        key=record_key(customer, RecordKind.STOCK, key or uuid.uuid4().hex),
        subject=sku,
        fingerprint="v1:test",
        expires_at=expiry(_unique_now()),
    )
