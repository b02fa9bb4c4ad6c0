"""Use case of shops: list and search the orders of all their customers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from order_api.cursors import CursorCodec, Page
from order_api.order.exceptions import UnsupportedSort
from order_api.order.listing import DEFAULT_SORT, SORTS
from order_shared.domain.clock import to_text
from order_shared.domain.order.models import Order, OrderStatus
from order_shared.storage.orders import Window
from order_shared.storage.tenant_orders import TenantOrders, TenantSearch


@dataclass(frozen=True, kw_only=True)
class TenantListing:
    """Query of a tenant's orders: created from `start` to before `end`, and matching every filter that is set.

    Raises UnsupportedSort.
    """

    tenant: str
    start: datetime | None = None
    end: datetime | None = None
    statuses: frozenset[OrderStatus] = frozenset()
    customer: str | None = None
    reference: str | None = None
    sort: str = DEFAULT_SORT

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise UnsupportedSort(self.sort, list(SORTS))

    @property
    def search(self) -> TenantSearch:
        return TenantSearch(
            tenant=self.tenant,
            window=Window.between(self.start, self.end),
            statuses=self.statuses,
            customer=self.customer,
            reference=self.reference,
            descending=SORTS[self.sort],
        )

    def scope(self) -> Mapping[str, str]:
        """Return the parameters for which a cursor is valid."""
        window = self.search.window
        return {
            "list": "tenant_orders",
            "tenant": self.tenant,
            "sort": self.sort,
            "start": to_text(window.start),
            "end": to_text(window.end),
            "statuses": ",".join(sorted(self.statuses)),
            "customer": self.customer or "",
            "reference": self.reference or "",
        }


class TenantOrderService:
    def __init__(self, orders: TenantOrders, cursors: CursorCodec, *, on_unreadable: Callable[..., None]) -> None:
        """Create the service. `on_unreadable` is called with `order` and the reason for each one left out."""
        self._tenant_orders = orders
        self._cursors = cursors
        self._on_unreadable = on_unreadable

    async def list_orders(self, listing: TenantListing, *, limit: int, cursor: str | None) -> Page[Order]:
        """Return a page of up to `limit` orders. With filters it may be short or empty. Raises InvalidCursor."""
        scope = listing.scope()
        after = None if cursor is None else self._cursors.decode(cursor, scope)
        found = await self._tenant_orders.search(listing.search, limit=limit, after=after)
        for order in found.unreadable:
            self._on_unreadable("order", created_at=to_text(order.created_at), error=order.error)
        more = found.resume_after
        return Page(list(found.orders), None if more is None else self._cursors.encode(more, scope))
