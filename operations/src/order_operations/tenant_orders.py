"""Orders of all customers of a tenant, for an operator."""

from dataclasses import dataclass, field

from order_shared.domain.order.models import Order
from order_shared.runtime.adapters import Adapters
from order_shared.storage.orders import UnreadableOrder
from order_shared.storage.tenant_orders import TenantSearch

MAX_PAGE = 100


@dataclass(kw_only=True)
class TenantList:
    """Orders found. `more` is True if the search stopped at the limit and others may follow."""

    orders: list[Order] = field(default_factory=list)
    unreadable: list[UnreadableOrder] = field(default_factory=list)
    more: bool = False


async def list_orders(adapters: Adapters, search: TenantSearch, limit: int) -> TenantList:
    """Return up to `limit` orders that match, and the unreadable ones among them. Raises StorageUnavailable."""
    listed = TenantList()
    after: str | None = None
    while len(listed.orders) < limit:
        size = min(limit - len(listed.orders), MAX_PAGE)
        page = await adapters.tenant_orders.search(search, limit=size, after=after)
        listed.orders += page.orders
        listed.unreadable += page.unreadable
        after = page.resume_after
        if after is None:
            return listed
    listed.more = True
    return listed
