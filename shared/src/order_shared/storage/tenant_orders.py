"""Search in the orders of all customers of a tenant, page by page, with a limit on the reads of one page.

The search reads one of three sources, the one that the filters narrow most:

    a reference         16 queries of `orders_by_reference`, 32 if the reference was not sent in its normal form
    only a customer     the table, where the orders of a customer are sorted by time
    everything else     16 queries of `tenant_orders`, whose entries have the status

Each query returns orders sorted by id, that is, by time. `_Merge` merges them and reads more of a query only when the
next order may come from it. The whole orders of a page are then read from the table, and all filters are applied again,
because an index is eventually consistent: an order that has just been placed may be missing for a moment, but no order
is shown that does not match.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiodynamo.expressions import HashKey, RangeKey
from aiodynamo.models import Page

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.clock import MICROSECOND, from_text, to_text
from order_shared.domain.order.ids import IdSpan, created_at_of, lowest_id_at
from order_shared.domain.order.models import Customer, Order, OrderStatus, normal_reference
from order_shared.storage.orders import UnreadableOrder, Window, readable_order
from order_shared.storage.tenant_keys import id_of, reference_and_id, tenant_shards
from order_shared.tables import ORDERS_BY_REFERENCE_INDEX, TENANT_ORDERS_INDEX, TENANT_SHARDS, TableNames

MAX_ENTRIES = 2_000
"""Maximum number of index entries read for one page. In 48 queries they cost 56 read units and 10 ms of CPU."""
MAX_ORDERS = 500
"""Maximum number of whole orders read for one page, as for the list of a customer."""
MAX_BATCHES = 5
"""Maximum number of reads of whole orders for one page. Each reads at most as many orders as the page lacks."""
READ_GROWTH = 4
"""Factor by which reads grow within a page, so that rare matches need few round trips."""
KEY = ("customer_key", "created_at")


@dataclass(frozen=True, kw_only=True)
class TenantSearch:
    """Search in the orders of a tenant: created within the window, and matching every filter that is set.

    `statuses` is empty for every status. `customer` is a customer's subject. `reference` is a whole reference, in the
    form in which the caller sent it.
    """

    tenant: str
    window: Window
    statuses: frozenset[OrderStatus] = frozenset()
    customer: str | None = None
    reference: str | None = None
    descending: bool = True

    @property
    def owner(self) -> Customer | None:
        return None if self.customer is None else Customer(tenant=self.tenant, id=self.customer)

    @property
    def references(self) -> frozenset[str]:
        """Return the stored forms that match: the normal form, and the form as sent, which the last release stored."""
        return frozenset() if self.reference is None else frozenset({self.reference, normal_reference(self.reference)})

    def matches(self, order: Order) -> bool:
        return (
            order.customer.tenant == self.tenant
            and self.window.start <= order.created_at < self.window.end
            and (not self.statuses or order.status in self.statuses)
            and (self.customer is None or order.customer.id == self.customer)
            and (self.reference is None or order.reference in self.references)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOrderSlice:
    """Orders found in one search. `resume_after` is the order id after which it continues; None at the end.

    `unreadable` are orders that were passed over, so that they do not fail the search.
    """

    orders: Sequence[Order]
    unreadable: Sequence[UnreadableOrder]
    resume_after: str | None


class TenantOrders(Protocol):
    """Port of the orders of a tenant."""

    async def search(self, search: TenantSearch, *, limit: int, after: str | None) -> TenantOrderSlice:
        """Return up to `limit` orders that match, sorted by time, that follow the order id `after`.

        The number of entries and orders read is limited, so there may be fewer orders, or none, although the search is
        not at its end. `resume_after` is then further on in the list than `after`. Eventually consistent, except with
        `customer` and without `reference`. Raises StorageUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """Order in a source. `item` is the whole order if the source contains it."""

    order_id: str
    key: Item
    item: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Result of one read. `entries` are those that may match. `reached` is the id of the last entry read."""

    entries: Sequence[_Entry]
    reached: str | None
    count: int
    more: bool


NOTHING = _Part(entries=(), reached=None, count=0, more=False)

Read = Callable[[str | None, int], Awaitable[_Part]]
"""Read of up to a number of entries of a source that follow an order id."""


@dataclass(eq=False, slots=True)
class _Source:
    """Entries of one query, sorted by order id, which have been read up to the id `reached`."""

    read: Read
    reached: str | None
    ended: bool = False
    waiting: list[_Entry] = field(default_factory=list)
    """Entries that have been read and not yet taken."""

    async def read_more(self, limit: int) -> int:
        """Read up to `limit` entries. Return the number of entries read."""
        part = await self.read(self.reached, limit)
        self.waiting += part.entries
        self.reached = part.reached or self.reached
        self.ended = not part.more or not part.count
        return part.count


class _Merge:
    """Merge of several sources into one list sorted by order id. At most `most` entries are read.

    With `exact`, it reads until it is known whether the list has ended.
    """

    def __init__(
        self, sources: Sequence[_Source], *, after: str | None, descending: bool, most: int, exact: bool
    ) -> None:
        self._sources = sources
        self._descending = descending
        self._left = most
        self._look_ahead = 1 if exact else 0
        self.position = after
        """Order id up to which the list has been taken."""

    @property
    def ended(self) -> bool:
        return all(source.ended and not source.waiting for source in self._sources)

    async def take(self, number: int) -> list[_Entry]:
        """Return the next `number` entries. There are fewer at the end, or if no more entries may be read."""
        await self._fill(number + self._look_ahead)
        frontier = self._frontier()
        waiting = self._waiting()
        known = [entry for entry in waiting if frontier is None or not self._follows(entry.order_id, frontier)]
        taken = known[:number]
        if len(taken) < number and frontier is not None:
            self.position = frontier
        elif taken:
            self.position = taken[-1].order_id
        ids = {entry.order_id for entry in taken}
        for source in self._sources:
            source.waiting = [entry for entry in source.waiting if entry.order_id not in ids]
        return taken

    async def _fill(self, number: int) -> None:
        """Read until the next `number` entries are known, all sources have ended, or no more entries may be read."""
        size = number
        if len(self._sources) > 1:  # orders are not spread evenly: twice the average, and some more
            size = 2 * -(-number // len(self._sources)) + READ_GROWTH
        while True:
            sources = [source for source in self._sources if not source.ended]
            waiting = self._waiting()
            enough = len(waiting) >= number
            if enough:
                last = waiting[number - 1].order_id
                sources = [each for each in sources if each.reached is None or self._follows(last, each.reached)]
            if not sources:
                return
            size = min(size, self._left // len(sources))
            if size < 1:
                return
            self._left -= sum(await _all_of([source.read_more(size) for source in sources]))
            size *= 1 if enough else READ_GROWTH

    def _frontier(self) -> str | None:
        """Return the id up to which every entry is known; None if all entries are."""
        reached = [each.reached for each in self._sources if not each.ended and each.reached is not None]
        return (max(reached) if self._descending else min(reached)) if reached else None

    def _waiting(self) -> list[_Entry]:
        by_id = {entry.order_id: entry for source in self._sources for entry in source.waiting}
        return [by_id[order_id] for order_id in sorted(by_id, reverse=self._descending)]

    def _follows(self, order_id: str, other: str) -> bool:
        return order_id < other if self._descending else order_id > other


async def _all_of(reads: Sequence[Awaitable[int]]) -> list[int]:
    """Run the reads concurrently. The first error cancels the others, and is raised."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class DynamoTenantOrders:
    """Search on DynamoDB. `most_entries` and `most_orders` limit the reads for one page."""

    def __init__(
        self, dynamo: Dynamo, tables: TableNames, *, most_entries: int = MAX_ENTRIES, most_orders: int = MAX_ORDERS
    ) -> None:
        if most_entries < 2 * TENANT_SHARDS:
            raise ValueError(f"each of up to {2 * TENANT_SHARDS} queries must read an entry, or the list never ends")
        self._dynamo = dynamo
        self._tables = tables
        self._most_entries = most_entries
        self._most_orders = most_orders

    async def search(self, search: TenantSearch, *, limit: int, after: str | None) -> TenantOrderSlice:
        is_whole = search.owner is not None and not search.references
        merge = _Merge(
            self._sources(search, after),
            after=after,
            descending=search.descending,
            most=self._most_orders if is_whole else self._most_entries,
            exact=not search.statuses,
        )
        found: list[Order] = []
        unreadable: list[UnreadableOrder] = []
        for _ in range(MAX_BATCHES):
            wanted = limit - len(found)
            entries = await merge.take(wanted)
            for order in await self._whole(entries):
                if isinstance(order, UnreadableOrder):
                    unreadable.append(order)
                elif search.matches(order):
                    found.append(order)
            if len(found) == limit or len(entries) < wanted or merge.ended:
                break
        resume_after = None if merge.ended else merge.position
        return TenantOrderSlice(orders=found, unreadable=unreadable, resume_after=resume_after)

    def _sources(self, search: TenantSearch, after: str | None) -> list[_Source]:
        """Return the queries to read, each from `after` on."""

        def of_reference(shard: str, reference: str) -> Read:
            return lambda reached, limit: self._by_reference(search, shard, reference, reached, limit)

        def of_time(shard: str) -> Read:
            return lambda reached, limit: self._by_time(search, shard, reached, limit)

        def of_customer(owner: Customer) -> Read:
            return lambda reached, limit: self._by_customer(search, owner, reached, limit)

        shards = tenant_shards(search.tenant)
        if search.references:
            reads = [of_reference(shard, reference) for reference in sorted(search.references) for shard in shards]
        elif search.owner is not None:
            reads = [of_customer(search.owner)]
        else:
            reads = list(map(of_time, shards))
        return [_Source(read, after) for read in reads]

    async def _by_time(self, search: TenantSearch, shard: str, reached: str | None, limit: int) -> _Part:
        span = _span(search, reached)
        if span.is_empty:
            return NOTHING
        page = await self._dynamo.query_page(
            self._tables.orders,
            HashKey("tenant_shard", shard) & RangeKey("order_id").between(*span.bounds),
            index=TENANT_ORDERS_INDEX,
            limit=limit,
            descending=search.descending,
        )
        return _part(page, search, lambda item: str(item["order_id"]))

    async def _by_reference(
        self, search: TenantSearch, shard: str, reference: str, reached: str | None, limit: int
    ) -> _Part:
        span = _span(search, reached)
        if span.is_empty:
            return NOTHING
        first, last = (reference_and_id(reference, bound) for bound in span.bounds)
        page = await self._dynamo.query_page(
            self._tables.orders,
            HashKey("tenant_shard", shard) & RangeKey("reference_and_id").between(first, last),
            index=ORDERS_BY_REFERENCE_INDEX,
            limit=limit,
            descending=search.descending,
        )
        return _part(page, search, lambda item: id_of(item["reference_and_id"]))

    async def _by_customer(self, search: TenantSearch, owner: Customer, reached: str | None, limit: int) -> _Part:
        window = search.window
        if reached is not None:
            window = window.beyond(created_at_of(reached), descending=search.descending)
        first, last = to_text(window.start), to_text(window.end - MICROSECOND)
        if first > last:
            return NOTHING
        page = await self._dynamo.query_page(
            self._tables.orders,
            HashKey("customer_key", owner.key) & RangeKey("created_at").between(first, last),
            limit=limit,
            descending=search.descending,
        )
        # the id of an order that a newer release wrote may not be readable
        return _part(page, search, lambda item: lowest_id_at(from_text(item["created_at"])), whole=True)

    async def _whole(self, entries: Sequence[_Entry]) -> list[Order | UnreadableOrder]:
        """Return the orders of the entries, in this order. Strongly consistent."""
        keys = [entry.key for entry in entries if entry.item is None]
        items = await self._dynamo.get_many(self._tables.orders, keys) if keys else []
        by_key = {_text(item): item for item in items}
        found = [entry.item or by_key.get(_text(entry.key)) for entry in entries]
        return [readable_order(item) for item in found if item is not None]


def _span(search: TenantSearch, reached: str | None) -> IdSpan:
    span = IdSpan.of_window(search.window.start, search.window.end)
    return span if reached is None else span.beyond(reached, descending=search.descending)


def _part(page: Page, search: TenantSearch, id_in: Callable[[Item], str], *, whole: bool = False) -> _Part:
    """Return a page of a query. `id_in` returns the order id of an item; `whole` items need not be read again."""
    return _Part(
        entries=[
            _Entry(id_in(item), {name: item[name] for name in KEY}, item if whole else None)
            for item in page.items
            if _may_match(item, search)
        ],
        reached=id_in(page.items[-1]) if page.items else None,
        count=len(page.items),
        more=page.last_evaluated_key is not None,
    )


def _may_match(item: Item, search: TenantSearch) -> bool:
    """Return whether the attributes that a source contains match. The other filters need the whole order."""
    if search.statuses and "status" in item and item["status"] not in search.statuses:
        return False
    return search.owner is None or item["customer_key"] == search.owner.key


def _text(key: Item) -> tuple[str, ...]:
    return tuple(key[name] for name in KEY)
