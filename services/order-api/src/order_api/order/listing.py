"""List a customer's orders page by page, with filters and a read budget per page.

The range key supports the time window and the sort. The filters are applied here to each order. A page ends when it is
full, at the end of the window, or when its budget is used up. A page that ends because of its budget may be short or
empty; its cursor continues after the last examined order.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from order_api.order.exceptions import UnsupportedSort
from order_shared.domain.clock import to_text
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.storage.orders import OrderRepository, UnreadableOrder, Window

DEFAULT_SORT = "-created_at"
SORTS = {DEFAULT_SORT: True, "created_at": False}
"""Sorts that the table's range key supports; True for descending order."""

MAX_EXAMINED = 500
"""Maximum number of orders examined for one page. With two lines each they cost 60 read units and 30 ms of CPU; with
fifty lines each about ten times as much, which `MAX_READS` limits."""
MAX_READS = 5
"""Maximum number of queries for one page. Each reads up to 1 MB, which limits the cost of large orders."""
READ_GROWTH = 4
"""Factor by which the limit grows from query to query, so that rare matches need few round trips."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Query of a customer's orders: created from `start` to before `end`, in one of `statuses` unless it is empty.

    `q` is a part of the reference or of a SKU; case and Unicode form are ignored. Raises UnsupportedSort.
    """

    customer: Customer
    start: datetime | None = None
    end: datetime | None = None
    statuses: frozenset[OrderStatus] = frozenset()
    q: str | None = None
    sort: str = DEFAULT_SORT

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise UnsupportedSort(self.sort, list(SORTS))

    @property
    def window(self) -> Window:
        return Window.between(self.start, self.end)

    @property
    def descending(self) -> bool:
        return SORTS[self.sort]

    @property
    def is_filtered(self) -> bool:
        return bool(self.statuses) or self.q is not None

    def scope(self) -> Mapping[str, str]:
        """Return the parameters for which a cursor is valid."""
        return {
            "list": "orders",
            "customer": self.customer.key,
            "sort": self.sort,
            "start": to_text(self.window.start),
            "end": to_text(self.window.end),
            "statuses": ",".join(sorted(self.statuses)),
            "q": (self.q or "").casefold(),
        }

    def matches(self, order: Order) -> bool:
        if self.statuses and order.status not in self.statuses:
            return False
        if self.q is None:
            return True
        part = _folded(self.q)
        return any(part in _folded(text) for text in _searchable_texts(order))


@dataclass(frozen=True)
class Found:
    """Orders found. `resume_at` is the creation time of the last examined order, or None at the end of the list.

    `unreadable` are orders that were passed over, so that they do not fail the page.
    """

    orders: list[Order]
    resume_at: datetime | None
    unreadable: list[UnreadableOrder]


async def find(orders: OrderRepository, listing: Listing, *, limit: int, resume_at: datetime | None) -> Found:
    """Return up to `limit` orders after `resume_at`. Without filters one query is enough."""
    window = listing.window
    found: list[Order] = []
    unreadable: list[UnreadableOrder] = []
    examined = 0
    size = limit + 1  # one more than requested shows whether there is a next page
    for _ in range(MAX_READS if listing.is_filtered else 1):
        if resume_at is not None:
            window = window.beyond(resume_at, descending=listing.descending)
        read = await orders.list_orders(listing.customer, window, limit=size, descending=listing.descending)
        for order in read.orders:
            if isinstance(order, UnreadableOrder):
                unreadable.append(order)
            elif listing.matches(order):
                if len(found) == limit:
                    return Found(found, resume_at, unreadable)
                found.append(order)
            resume_at = order.created_at
        if not read.more:
            return Found(found, None, unreadable)
        examined += len(read.orders)
        size = min(size * READ_GROWTH, MAX_EXAMINED - examined)
        if len(found) == limit or size <= 0:
            break
    return Found(found, resume_at, unreadable)


def _folded(text: str) -> str:
    """Return a text for a search that ignores case and the Unicode form."""
    return unicodedata.normalize("NFC", text).casefold()


def _searchable_texts(order: Order) -> list[str]:
    skus = [line.sku for line in order.lines]
    return skus if order.reference is None else [order.reference, *skus]
