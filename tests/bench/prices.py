"""What a million orders cost: what one order asks of AWS, times the dated prices of `infra/prices.py`.

The requests and units follow from the code; `test_simulate.py` ties the sizes to the stored item.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from infra.prices import Prices
from order_shared.domain.inventory.models import consolidation, spread

KB = 1024
MILLION = 1_000_000
MS_PER_HOUR = 3_600_000

ORDER_BYTES = 364
"""A confirmed order without its lines: customer ids of 36 characters, a tenant of four, no reference."""

LINE_BYTES = 82
"""A line of it: SKU of 13 characters, name of 23."""

LONG_LINE_BYTES = 179
"""The same with the longest name, 120 characters."""

INDEX_ENTRY_BYTES = 134
"""What `orders_by_id` keeps of an order: the three keys."""

TENANT_ENTRY_BYTES = 168
"""What `tenant_orders` keeps of an order: the four keys and the status."""

REFERENCE_ENTRY_BYTES = 176
"""What `orders_by_reference` keeps of an order with a reference of 12 characters: the four keys."""

ITEM_OVERHEAD_BYTES = 100
"""What DynamoDB bills for each stored item or index entry besides its bytes."""


@dataclass(frozen=True, kw_only=True)
class OrderKind:
    """What one order asks of AWS from accept to confirmed. `queue_requests` is 0.1 each for send, receive and delete
    when batches are full, and 1 each when nothing can be batched.

    `index_queries` are its share of the sweeper's looks: a processor makes 18 every 5 s, so one per order is what is
    spent at 3.6 orders a second and task; more orders share them. `catalogue_misses` is the share of lines whose
    price is not in the API's cache. CPU is in milliseconds on one core, and `busy` the share of the paid CPU that does
    such work. `connections` is the new TLS connections per order.
    """

    lines: int = 3
    paid: bool = False
    referenced: bool = False
    line_bytes: int = LINE_BYTES
    queue_requests: float = 0.30
    index_queries: float = 1.0
    catalogue_misses: float = 0.1
    api_cpu_ms: float = 1.0
    processor_cpu_ms: float = 1.5
    busy: float = 0.4
    memory_gb_per_vcpu: float = 2.0
    connections: float = 1.0
    log_bytes: int = 700

    @property
    def bytes(self) -> int:
        return ORDER_BYTES + self.lines * self.line_bytes

    @property
    def size_units(self) -> int:
        """Write units of the order's item, written alone; twice as many within a transaction."""
        return ceil(self.bytes / KB)

    @property
    def accept_write_units(self) -> int:
        """The order, an entry in each of three indexes, the claim; and the reference, a claim and an entry too."""
        return 2 * self.size_units + 3 + 2 + 3 * self.referenced

    @property
    def confirm_write_units(self) -> int:
        """The order, its entry taken out of `open_orders`, its status in `tenant_orders`, each line's stock.

        A paid order is reserved first: `due_at` moves, so its entry is deleted and put, and the status changes once
        more. Then the payment is noted, and the order confirmed, each by a write alone.
        """
        unpaid = 2 * self.size_units + 1 + 1 + 2 * self.lines
        return unpaid + (2 + 1 + 2 * self.size_units if self.paid else 0)

    @property
    def write_units(self) -> int:
        return self.accept_write_units + self.confirm_write_units

    @property
    def read_units(self) -> float:
        """A paid order is read first, strongly; a query of an index costs half a unit."""
        read_first = ceil(self.bytes / (4 * KB)) if self.paid else 0
        return read_first + self.lines * self.catalogue_misses + 0.5 * self.index_queries

    @property
    def vcpu_hours(self) -> float:
        """Of a million orders, paid for."""
        return MILLION * (self.api_cpu_ms + self.processor_cpu_ms) / MS_PER_HOUR / self.busy

    @property
    def stored_gb(self) -> float:
        """Of a million orders. They stay for ever; claims go after a day and are left out."""
        entries = INDEX_ENTRY_BYTES + TENANT_ENTRY_BYTES + 2 * ITEM_OVERHEAD_BYTES
        if self.referenced:
            entries += REFERENCE_ENTRY_BYTES + ITEM_OVERHEAD_BYTES
        return MILLION * (self.bytes + ITEM_OVERHEAD_BYTES + entries) / 1e9


@dataclass(frozen=True)
class Bill:
    """Of a million orders in US dollars; `storage_month` recurs and is no part of `total`."""

    writes: float
    reads: float
    queue: float
    compute: float
    balancer: float
    logs: float
    storage_month: float

    @property
    def total(self) -> float:
        return self.writes + self.reads + self.queue + self.compute + self.balancer + self.logs


CONNECTIONS_PER_UNIT_HOUR = 25 * 3600
"""A load balancer unit carries 25 new connections a second; at a few KB an order no other of its measures is more."""


def bill(order: OrderKind, prices: Prices) -> Bill:
    memory = order.memory_gb_per_vcpu * prices.memory_gb_hour
    return Bill(
        writes=order.write_units * prices.million_write_units,
        reads=order.read_units * prices.million_read_units,
        queue=order.queue_requests * prices.million_queue_requests,
        compute=order.vcpu_hours * (prices.vcpu_hour + memory),
        balancer=MILLION * order.connections / CONNECTIONS_PER_UNIT_HOUR * prices.balancer_unit_hour,
        logs=MILLION * order.log_bytes / 1e9 * prices.log_gb,
        storage_month=order.stored_gb * prices.stored_gb_month,
    )


VCPU_PER_TASK = 0.5
MEMORY_GB_PER_TASK = 1.0
USABLE = 0.8
"""Of a task's CPU; the rest is for what is not an order, and for its neighbours' noise."""


def capacity(cpu_ms: float) -> float:
    """Orders a second that the CPU of one task can carry."""
    return VCPU_PER_TASK * USABLE * 1000 / cpu_ms


def task_hour(prices: Prices) -> float:
    return VCPU_PER_TASK * prices.vcpu_hour + MEMORY_GB_PER_TASK * prices.memory_gb_hour


KINDS = {
    "1 line": OrderKind(lines=1),
    "3 lines": OrderKind(lines=3),
    "3 lines, paid, reference": OrderKind(lines=3, paid=True, referenced=True),
    "3 lines, nothing batched": OrderKind(lines=3, queue_requests=3.0),
    "10 lines": OrderKind(lines=10),
    "50 lines, longest names": OrderKind(lines=50, line_bytes=LONG_LINE_BYTES),
}
"""A reference is freed only when an order is not carried out, so it costs nothing later."""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first row is the head, and all columns but the first are numbers."""
    head, *body = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(
        f"| {' | '.join(row)} |" if row is not rule else f"|{'|'.join(row)}|" for row in (head, rule, *body)
    )


def cost_table(kinds: Iterable[tuple[str, OrderKind]] = KINDS.items(), prices: Prices | None = None) -> str:
    rows = [
        [
            "order",
            "write units",
            "writes",
            "reads",
            "queue",
            "compute",
            "balancer",
            "logs",
            "**sum**",
            "stored, a month",
        ]
    ]
    for name, order in kinds:
        cost = bill(order, prices or Prices())
        parts = (cost.writes, cost.reads, cost.queue, cost.compute, cost.balancer, cost.logs)
        money = [*(f"{part:.2f}" for part in parts), f"**{cost.total:.2f}**", f"{cost.storage_month:.2f}"]
        rows.append([name, str(order.write_units), *money])
    return table(rows)


def sell_out(units: int, shards: int, *, seed: int = 5) -> int:
    """Sell units that were added at once, one an order; return how often stock was moved to a shard that was short."""
    stock = spread(units, shards)
    choice = random.Random(seed)  # noqa: S311 - stands for the hash of an order's id
    gathered = 0
    for _ in range(units):
        shard = choice.randrange(shards)
        if moves := consolidation(1, shard, stock):
            gathered += 1
            for source, moved in moves.items():
                stock[source] -= moved
                stock[shard] += moved
        stock[shard] -= 1
    return gathered


ITEM_SECONDS = 0.005
"""How long a transaction holds its items, and others conflict: `conflicts.py`'s assumption; AWS gives no figure."""

PARTITION_WRITE_UNITS = 1000  # a second, hard
STOCK_WRITE_UNITS = 2
"""Of one line: its stock item within the order's transaction."""

QUERY_READ_UNITS = 1
"""Of a strongly consistent query of a product and all of its stock shards: together at most 4 KB."""


def shard_table(counts: Iterable[int] = (1, 2, 4, 8, 16), units: int = 10_000) -> str:
    """What stock shards give and cost; every order buys one unit of the same product.

    To consolidate takes one query of all shards and a transaction of, mostly, two of them.
    """
    head = ["shards", "orders/s by conflicts", "orders/s by write units", "short of its shard", "read units then"]
    rows = [[*head, "write units then", "write units to add stock"]]
    by_units = PARTITION_WRITE_UNITS // STOCK_WRITE_UNITS
    for count in counts:
        by_conflicts = f"{count / ITEM_SECONDS:,.0f}"
        split = f"{by_units}" if count == 1 else f"{by_units} to {by_units * count:,}"
        short = f"{sell_out(units, count) / units:.1%}"
        gathering = ["", ""] if count == 1 else [str(QUERY_READ_UNITS), str(2 * STOCK_WRITE_UNITS)]
        rows.append([str(count), by_conflicts, split, short, *gathering, str(2 + count * STOCK_WRITE_UNITS)])
    return table(rows)
