"""Client for the order platform's API. It retries failed requests and places no order twice.

    async with OrderClient("https://orders.example", token) as client:
        order = await client.place_order({"TEA-GREEN-100": 2})
        order = await client.wait_for_end(order.id)

`SyncOrderClient` has the same methods for programs without an event loop.
`order_client.exceptions` lists the errors.
"""

from order_client.client import OrderClient
from order_client.exceptions import (
    Conflict,
    EndedOtherwise,
    Forbidden,
    InvalidRequest,
    NotFound,
    OrderClientError,
    PositionExpired,
    Problem,
    RateLimited,
    StillOpen,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unprocessable,
    Unreachable,
    VersionMismatch,
)
from order_client.models import (
    END_STATES,
    Event,
    EventPage,
    EventType,
    Fault,
    ListedProduct,
    Movement,
    MovementType,
    Order,
    OrderLine,
    OrderPage,
    OrderStatus,
    Payment,
    PaymentStatus,
    PlacedOrder,
    Product,
    ProductPage,
    Reason,
    TenantEvent,
    TenantEventPage,
    TenantOrder,
    TenantOrderPage,
    TimelineEntry,
)
from order_client.retries import RetryPolicy
from order_client.sync import SyncOrderClient

__all__ = [
    "END_STATES",
    "Conflict",
    "EndedOtherwise",
    "Event",
    "EventPage",
    "EventType",
    "Fault",
    "Forbidden",
    "InvalidRequest",
    "ListedProduct",
    "Movement",
    "MovementType",
    "NotFound",
    "Order",
    "OrderClient",
    "OrderClientError",
    "OrderLine",
    "OrderPage",
    "OrderStatus",
    "Payment",
    "PaymentStatus",
    "PlacedOrder",
    "PositionExpired",
    "Problem",
    "Product",
    "ProductPage",
    "RateLimited",
    "Reason",
    "RetryPolicy",
    "StillOpen",
    "SyncOrderClient",
    "TenantEvent",
    "TenantEventPage",
    "TenantOrder",
    "TenantOrderPage",
    "TimelineEntry",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Unprocessable",
    "Unreachable",
    "VersionMismatch",
]
