"""The limit that is reached first: write units by table, index and key, and the orders per second of each limit.

The units are those of the writes that the repositories make, by DynamoDB's rules (`units.py`), over the definitions of
`order_shared.tables`. `python -m tests.bench.simulate` writes the tables into `docs/scale.md`.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil, exp, factorial, floor

from aiodynamo.expressions import F
from aiodynamo.operations import Operation, Put, Update
from multidict import CIMultiDict

from order_shared.domain.clock import to_millis
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, expiry, record_key
from order_shared.domain.inventory.models import Product
from order_shared.domain.order.models import Customer, Order
from order_shared.storage.idempotency_records import put_record
from order_shared.storage.inventory import product_key, stock_record, take_stock
from order_shared.storage.order_items import ORDER_ABSENT, item_key, to_item, unchanged_condition, update_expression
from order_shared.tables import (
    DEFAULT_OPEN_SHARDS,
    IDEMPOTENCY,
    INVENTORY,
    MAX_STOCK_SHARDS,
    OPEN_ORDERS_INDEX,
    OPEN_SHARDS,
    ORDERS,
    TENANT_ORDERS_INDEX,
    TENANT_SHARDS,
)
from tests.bench.prices import ITEM_SECONDS, PARTITION_WRITE_UNITS, VCPU_PER_TASK, OrderKind, capacity, table
from tests.bench.units import Ledger
from tests.chaos.wire import TRANSACTION, UPDATE, Call, Json

LINES = 3
MEDIAN = 0.5
RATES = (50, 500, 5_000)
"""Orders a second."""
PAID = (False, True)

NEW_PARTITIONS = 4
"""Of a new on-demand table and of each of its indexes, which so takes 4,000 write units a second."""
TABLE_QUOTA = 40_000
"""Write units a second of a table, and of each of its indexes separately, by default."""
IN_FLIGHT = 120_000
"""Messages of a standard queue, about."""
ACCOUNT_VCPU = 6
"""Of a new account on Fargate."""
HANDLING_SECONDS: Mapping[bool, float] = {False: 0.1, True: 15.0}
"""How long a message is in flight at worst: two transactions; if paid, until the provider's time-out."""

AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
CUSTOMER = Customer(tenant="acme", id="c" * 36)


@cache
def order_units(*, paid: bool) -> Counter[tuple[str, str]]:
    """Return the write units of one order from accept to confirmed, by table or index and hash key.

    Three lines of three products, one customer, no reference.
    """
    products = [
        Product(tenant="acme", sku=f"TEA-GREEN-{n:03}", name="n" * 23, unit_price=1290, currency="EUR", updated_at=AT)
        for n in range(LINES)
    ]
    token = "pm_1MoBy5LkdIwHu7ixZhnattbh" if paid else None
    order = Order.place(CUSTOMER, [(each, 2) for each in products], at=AT, due_at=to_millis(AT), payment_token=token)
    ledger = Ledger()
    ledger.enter(_stock(order), applied=True)
    ledger.units.clear()
    for call in (_accept(order), *_processing(order, paid=paid)):
        ledger.enter(call, applied=True)
    return ledger.units


def _accept(order: Order) -> Call:
    key = record_key(CUSTOMER, RecordKind.ORDER, "k" * 36)
    record = IdempotencyRecord(key=key, subject=order.order_id, fingerprint="v1:" + "f" * 64, expires_at=expiry(AT))
    put = Put(f"p-{ORDERS.name}", to_item(order), ORDER_ABSENT)
    return _transaction(put, put_record(f"p-{IDEMPOTENCY.name}", record, AT))


def _processing(order: Order, *, paid: bool) -> list[Call]:
    at = AT + timedelta(seconds=1)
    if not paid:
        return [_move(order, order.confirm(at))]
    reserved = order.reserve(at, owner="o" * 32, lease_until=at + timedelta(minutes=2))
    noted = reserved.with_payment("pi_3MtwBwLkdIwHu7ix28a3tqPa")
    return [_move(order, reserved), _move(reserved, noted), _move(noted, noted.confirm(at))]


def _move(before: Order, after: Order) -> Call:
    """As `DynamoOrderRepository.move` writes it: in a transaction if stock changes hands."""
    key = item_key(before.customer.key, before.created_at)
    update = Update(f"p-{ORDERS.name}", key, update_expression(before, after), unchanged_condition(before))
    if before.holds_stock == after.holds_stock:
        return _call(UPDATE, update.to_request_payload()["Update"])
    tenant = before.customer.tenant
    taken = [
        take_stock(f"p-{INVENTORY.name}", tenant, line.sku, shard=line.shard, quantity=line.quantity)
        for line in before.lines
    ]
    return _transaction(update, *taken)


def _stock(order: Order) -> Call:
    return _transaction(
        *(
            Update(
                f"p-{INVENTORY.name}",
                {"product_key": product_key(order.customer.tenant, line.sku), "record": stock_record(line.shard)},
                F("available").set_if_not_exists(10_000) & F("item_version").set_if_not_exists(1),
            )
            for line in order.lines
        )
    )


def _transaction(*operations: Operation) -> Call:
    return _call(TRANSACTION, {"TransactItems": [operation.to_request_payload() for operation in operations]})


def _call(operation: str, content: Json) -> Call:
    headers = CIMultiDict({"x-amz-target": f"DynamoDB_20120810.{operation}"})
    return Call.read("model", "POST", "/", headers, json.dumps(content).encode())


def units_of(owner: str, *, paid: bool) -> int:
    """Return the write units that an order costs in a table or an index."""
    return sum(count for (name, _), count in order_units(paid=paid).items() if name == owner)


def units_on_one_key(owner: str, *, paid: bool) -> int:
    """Return the most write units of an order that fall on one hash key."""
    return max(count for (name, _), count in order_units(paid=paid).items() if name == owner)


@cache
def fullest(keys: int, partitions: int) -> int:
    """Return how many of equally busy keys the fullest partition holds, at the median of all ways to spread them.

    It is the least m so that no partition has more than m keys in half of the partitions^keys ways or more.
    """
    terms = [1 / factorial(own) for own in range(keys + 1)]
    for most in range(ceil(keys / partitions), keys):
        ways = [1.0] + [0.0] * keys  # ways[n] * n!: to spread n keys over the partitions so far, `most` in each at most
        for _ in range(partitions):
            ways = [sum(ways[n - own] * terms[own] for own in range(min(most, n) + 1)) for n in range(keys + 1)]
        if ways[keys] * factorial(keys) / float(partitions) ** keys >= MEDIAN:
            return most
    return keys


def index_ceiling(keys: int, partitions: int, *, paid: bool, index: str = OPEN_ORDERS_INDEX) -> float:
    """Return the orders a second at which the fullest partition of an index is at its limit."""
    share = fullest(keys, partitions) / keys
    return PARTITION_WRITE_UNITS / (units_of(index, paid=paid) * share)


def partitions_needed(rate: int, keys: int, *, paid: bool) -> int | None:
    """Return the fewest partitions of `open_orders` that carry a rate; None if its keys cannot, on any number."""
    if rate * units_of(OPEN_ORDERS_INDEX, paid=paid) > keys * PARTITION_WRITE_UNITS:
        return None
    most = floor(PARTITION_WRITE_UNITS * keys / (rate * units_of(OPEN_ORDERS_INDEX, paid=paid)))
    partitions = 1
    while fullest(keys, partitions) > most:
        partitions += 1
    return partitions


def tasks_needed(rate: float) -> int:
    """Return the tasks of both services that carry a rate."""
    order = OrderKind()
    return sum(ceil(rate / capacity(cpu_ms)) for cpu_ms in (order.api_cpu_ms, order.processor_cpu_ms))


def fargate_ceiling() -> float:
    """Return the orders a second that the tasks of a new account carry."""
    tasks = int(ACCOUNT_VCPU / VCPU_PER_TASK)
    order = OrderKind()
    steps = sorted(n * capacity(cpu) for n in range(1, tasks) for cpu in (order.api_cpu_ms, order.processor_cpu_ms))
    return max(step for step in steps if tasks_needed(step) <= tasks)


def conflicts(rate: float) -> float:
    """Return the share of tries that meet another transaction on the one shard of a product."""
    return 1 - exp(-rate * ITEM_SECONDS)


@dataclass(frozen=True)
class Limit:
    name: str
    ceiling: Callable[[bool], float]
    """Orders a second, of unpaid and of paid orders."""
    number: str
    remedy: str


def _by_table(name: str, units: int) -> Callable[[bool], float]:
    return lambda paid: units / units_of(name, paid=paid)


LIMITS = (
    Limit(
        "one product on one stock shard",
        lambda _: 1 / ITEM_SECONDS,
        "a transaction holds its items for about 5 ms: an assumption, AWS publishes no number",
        f"`stock_shards`, up to {MAX_STOCK_SHARDS}",
    ),
    Limit(
        "one customer",
        lambda paid: PARTITION_WRITE_UNITS / units_on_one_key(ORDERS.name, paid=paid),
        "1,000 write units/s of a [partition][partition], all units of an order under `customer_key`",
        "several customer ids for bulk buyers",
    ),
    Limit(
        "one product",
        lambda paid: PARTITION_WRITE_UNITS / units_on_one_key(INVENTORY.name, paid=paid),
        "the same 1,000, before DynamoDB [splits][split] the items of the key",
        "none within a sudden sale",
    ),
    Limit(
        "`inventory`, new",
        _by_table(INVENTORY.name, NEW_PARTITIONS * PARTITION_WRITE_UNITS),
        "[4,000 write units/s][ondemand] of a new table",
        "[warm throughput][warm]: `orderctl env warm`",
    ),
    Limit(
        "`orders`, new",
        _by_table(ORDERS.name, NEW_PARTITIONS * PARTITION_WRITE_UNITS),
        "the same",
        "the same",
    ),
    Limit(
        f"`open_orders`, new, {DEFAULT_OPEN_SHARDS} keys",
        lambda paid: index_ceiling(DEFAULT_OPEN_SHARDS, NEW_PARTITIONS, paid=paid),
        f"4 partitions, the fullest with {fullest(DEFAULT_OPEN_SHARDS, NEW_PARTITIONS)} of {DEFAULT_OPEN_SHARDS} keys",
        "the same; 128 keys",
    ),
    Limit(
        f"`open_orders`, new, {OPEN_SHARDS} keys",
        lambda paid: index_ceiling(OPEN_SHARDS, NEW_PARTITIONS, paid=paid),
        f"4 partitions, the fullest with {fullest(OPEN_SHARDS, NEW_PARTITIONS)} of {OPEN_SHARDS} keys",
        "warm throughput",
    ),
    Limit(
        f"`{TENANT_ORDERS_INDEX}`, new, one tenant",
        lambda paid: index_ceiling(TENANT_SHARDS, NEW_PARTITIONS, paid=paid, index=TENANT_ORDERS_INDEX),
        f"4 partitions, the fullest with {fullest(TENANT_SHARDS, NEW_PARTITIONS)} of the tenant's {TENANT_SHARDS} keys",
        "warm throughput",
    ),
    Limit(
        "new account",
        lambda _: fargate_ceiling(),
        f"[{ACCOUNT_VCPU} Fargate vCPU][ecs] by default, {int(ACCOUNT_VCPU / VCPU_PER_TASK)} of our tasks",
        "request a higher quota early",
    ),
    Limit(
        f"`open_orders`, {DEFAULT_OPEN_SHARDS} keys",
        lambda paid: DEFAULT_OPEN_SHARDS * PARTITION_WRITE_UNITS / units_of(OPEN_ORDERS_INDEX, paid=paid),
        "1,000 write units/s of each key, each in a separate partition",
        f"`ORDER_OPEN_SHARDS={OPEN_SHARDS}`",
    ),
    Limit(
        f"`{TENANT_ORDERS_INDEX}`, one tenant",
        lambda paid: TENANT_SHARDS * PARTITION_WRITE_UNITS / units_of(TENANT_ORDERS_INDEX, paid=paid),
        f"1,000 write units/s of each of a tenant's {TENANT_SHARDS} keys, each in a separate partition",
        "none",
    ),
    Limit(
        "table quota, `inventory`",
        _by_table(INVENTORY.name, TABLE_QUOTA),
        "[40,000 write units/s][quotas] of a table, and of each index separately",
        "request a higher quota",
    ),
    Limit(
        "table quota, `orders`",
        _by_table(ORDERS.name, TABLE_QUOTA),
        "the same",
        "the same",
    ),
    Limit(
        "SQS, messages in flight",
        lambda paid: IN_FLIGHT / HANDLING_SECONDS[paid],
        "[120,000][sqs], each for 0.1 s; a paid order for 15 s while the payment provider times out",
        "orders wait in the outbox",
    ),
    Limit(
        f"`open_orders`, {OPEN_SHARDS} keys",
        lambda paid: OPEN_SHARDS * PARTITION_WRITE_UNITS / units_of(OPEN_ORDERS_INDEX, paid=paid),
        "1,000 write units/s of each key, each in a separate partition",
        "none is needed",
    ),
)


def limit_table() -> str:
    """Return the limits in the order of the rates of unpaid orders that reach them."""
    rows = [["limit", "orders/s, unpaid", "paid", "reached at", "source of the number", "action"]]
    ceilings = {limit: {paid: round(limit.ceiling(paid)) for paid in PAID} for limit in LIMITS}
    for limit, by_kind in sorted(ceilings.items(), key=lambda each: each[1][False]):
        counts = [f"{by_kind[paid]:,}" for paid in PAID]
        rows.append([limit.name, *counts, _reached_at(by_kind), limit.number, limit.remedy])
    head, _, *body = table(rows).splitlines()
    return "\n".join([head, "|---|---:|---:|---:|---|---|", *body])  # the last two columns are text


def _reached_at(ceilings: Mapping[bool, int]) -> str:
    """Return the lowest of the rates that reaches the limit, by kind of order."""
    met = {paid: next((rate for rate in RATES if rate >= ceilings[paid]), None) for paid in PAID}
    if met[False] == met[True]:
        return "" if met[True] is None else f"{met[True]:,}"
    return ", ".join(f"{rate:,} {'paid' if paid else 'unpaid'}" for paid, rate in met.items() if rate is not None)


def load_table() -> str:
    """Return the write units per second at each rate, for unpaid and for paid orders."""
    rows = [["write units per second", "per order", *(f"at {rate:,} orders/s" for rate in RATES)]]
    owners = {
        f"`{INVENTORY.name}`": (INVENTORY.name, 1),
        f"`{ORDERS.name}`": (ORDERS.name, 1),
        **{f"· index `{index.name}`": (index.name, 1) for index in ORDERS.indexes if units_of(index.name, paid=False)},
        **{
            f"· one key of {keys} of `{OPEN_ORDERS_INDEX}`": (OPEN_ORDERS_INDEX, keys)
            for keys in (DEFAULT_OPEN_SHARDS, OPEN_SHARDS)
        },
        f"`{IDEMPOTENCY.name}`": (IDEMPOTENCY.name, 1),
    }
    for label, (owner, keys) in owners.items():
        units = [units_of(owner, paid=paid) / keys for paid in PAID]
        rows.append([label, _pair(units), *(_pair([rate * each for each in units]) for rate in RATES)])
    for keys in (DEFAULT_OPEN_SHARDS, OPEN_SHARDS):
        needed = [
            " / ".join(str(partitions_needed(rate, keys, paid=paid) or "none suffice") for paid in PAID)
            for rate in RATES
        ]
        rows.append([f"partitions of `{OPEN_ORDERS_INDEX}`, {keys} keys", "", *needed])
    vcpu = [f"{tasks_needed(rate) * VCPU_PER_TASK:g}" for rate in RATES]
    rows.append(["Fargate vCPU", "", *vcpu])
    rows.append(["attempts that conflict, one product on one shard", "", *(f"{conflicts(rate):.0%}" for rate in RATES)])
    return table(rows)


def _pair(numbers: list[float]) -> str:
    """Return the number of unpaid and of paid orders, once if they are the same."""
    texts = [f"{number:,.0f}" if number >= 1 else f"{number:.2g}" for number in numbers]
    return texts[0] if texts[0] == texts[1] else " / ".join(texts)
