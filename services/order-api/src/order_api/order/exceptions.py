"""Errors of requests about orders.

PlatformError
├── UnsupportedSort   no index supports this sort
├── VersionMismatch   the order or webhook endpoint does not have the version in If-Match
└── NotCancellable    the order was rejected, or confirmed too long ago
"""

from collections.abc import Sequence

from order_shared.domain.errors import PlatformError
from order_shared.domain.order.models import Order


class UnsupportedSort(PlatformError):
    def __init__(self, sort: str, allowed: Sequence[str]) -> None:
        super().__init__(f"cannot sort by {sort!r:.60}; allowed: {', '.join(allowed)}")


class VersionMismatch(PlatformError):
    def __init__(self, current_version: int) -> None:
        super().__init__(f"it now has version {current_version}")
        self.current_version = current_version


class NotCancellable(PlatformError):
    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.order_id} is {order.status} and can no longer be cancelled")
