"""What must hold at every write, and once nothing is left to do.

A write to the tables is checked by itself: what its items were before, and what they are afterwards. At rest the
history checker of `make chaos` compares what customers were told with the tables, the provider's payments and the
queues.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from aiodynamo.utils import dy2py

from order_shared.domain.clock import from_text
from order_shared.domain.idempotency import RecordKind
from order_shared.domain.order.models import ENDED, HOLDS_STOCK
from order_shared.storage.inventory import PRODUCT_RECORD, product_key
from order_shared.storage.order_items import OPEN_ATTRIBUTES, VERSIONS
from order_shared.tables import IDEMPOTENCY, INVENTORY, ORDERS
from tests.memory_dynamo import Change, ItemKey, Json
from tests.simulation.clock import START
from tests.simulation.provider import Provider

Item = dict[str, Any]


class Violation(AssertionError):
    """An invariant does not hold."""


class Watch:
    """Checks every write. `violations` has what did not hold, at most once for each text.

    `rules` checks an order's write further: see `tests.simulation.rules`.
    """

    def __init__(self, provider: Provider, now: Callable[[], float] = lambda: 0.0) -> None:
        self._provider = provider
        self._now = now
        self.violations: dict[str, None] = {}
        self.rules: Callable[[Item, Item, str], Iterator[str]] = lambda *_: iter(())
        self.lives: defaultdict[str, list[tuple[float, Item]]] = defaultdict(list)
        """Each order's stored forms, and the times since which they were stored."""
        self.placed_by: dict[str, str] = {}
        """Machine that stored each order first."""
        self._stock: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        """Each product's units in all shards, and the times since which they were so many."""
        self._cancels: defaultdict[str, list[Collection[int] | None]] = defaultdict(list)

    def check(self, changes: list[Change], by: str = "") -> None:
        """Check the changes of one request of a machine."""
        units: Counter[str] = Counter()
        is_adjustment = False
        for key, before, after in changes:
            if key.table == INVENTORY.name:
                units[key.hash] += self._check_inventory(key, before, after)
            elif key.table == ORDERS.name:
                self._check_order(_item(before), _item(after), by)
            elif key.table == IDEMPOTENCY.name and f"#{RecordKind.STOCK}#" in key.hash:
                is_adjustment = True
        if not is_adjustment and any(self._beside_orders(units, changes).values()):
            self.add(f"a write changed stock by what its order does not hold: {dict(units)}")
        for product, change in units.items():
            if change:
                self._stock[product].append((self._now(), self.total(product) + change))

    def _check_inventory(self, key: ItemKey, before: Json | None, after: Json | None) -> int:
        """Return the units that a write has added to a stock shard."""
        if key.range == PRODUCT_RECORD:
            if before and after and _number(after, "stock_shards") < _number(before, "stock_shards"):
                self.add(f"{key.hash} lost stock shards")
            return 0
        if _available(after) < 0:
            self.add(f"{key.hash} {key.range} holds {_available(after)}")
        return _available(after) - _available(before)

    def _check_order(self, old: Item | None, new: Item | None, by: str) -> None:
        order_id = (new or old or {}).get("order_id")
        for text in _order_faults(old, new):
            self.add(f"{order_id}: {text}")
        self._check_money(old, new)
        if old is not None and new is not None:
            for text in (*self.rules(old, new, by), *self._cancel_faults(old, new, by)):
                self.add(f"{order_id}: {text}")
        if new is not None:
            self.placed_by.setdefault(new["order_id"], by)
            self.lives[new["order_id"]].append((self._now(), new))

    def _beside_orders(self, units: Counter[str], changes: list[Change]) -> Counter[str]:
        """Return the changes of stock that are not those of the orders in the same write."""
        rest = Counter(units)
        for key, before, after in changes:
            if key.table == ORDERS.name:
                for sku, held in _held(_item(after)).items():
                    rest[sku] += held
                rest.subtract(_held(_item(before)))
        return rest

    def _check_money(self, before: Item | None, after: Item | None) -> None:
        """Check that an order which ends has been charged once and wholly if it is confirmed, and else nothing."""
        if before is None or after is None or "open_shard" in after or "open_shard" not in before:
            return
        order_id, total = after["order_id"], sum(line["quantity"] * line["unit_price"] for line in after["lines"])
        charged = self._provider.charged.get(order_id, 0)
        kept = charged - self._provider.refunded.get(order_id, 0)
        due = total if after["status"] == "confirmed" and "payment_token" in before else 0
        if after["status"] == "confirmed" and after.get("cancel_requested_at"):
            self.add(f"{order_id}: confirmed after a request to cancel")
        if kept != due:
            self.add(f"{order_id}: ended {after['status']} with {kept} kept and {due} due")

    def add(self, text: str) -> None:
        self.violations[text] = None

    # What customers asked, and what they may be told

    def cancels(self, order_id: str, versions: Collection[int] | None) -> None:
        """Note that a customer is about to cancel these versions of an order, or any."""
        self._cancels[order_id].append(versions)

    def _cancel_faults(self, before: Item, after: Item, by: str) -> Iterator[str]:
        asked = self._cancels[after["order_id"]]
        if not by.startswith("api") or None in asked:
            return
        if after["version"] != before["version"] and not any(before["version"] in (each or ()) for each in asked):
            yield f"cancelled as version {before['version']} on a request for {asked}"

    def life_since(self, order_id: str, start: float) -> list[tuple[float, Item]]:
        """Return the stored forms of an order since a time, and the one that it had then."""
        life = self.lives.get(order_id, [])
        first = bisect_right(life, start, key=lambda each: each[0])
        return life[max(0, first - 1) :]

    def versions_since(self, order_id: str, start: float) -> set[int]:
        return {item["version"] for _, item in self.life_since(order_id, start)}

    def was_confirmed_before(self, order_id: str, at: float) -> bool:
        return any(time <= at and item["status"] == "confirmed" for time, item in self.lives[order_id])

    def says_confirmed_before(self, order_id: str, at: float) -> bool:
        """Return whether the order says that it was confirmed by then, which may be earlier than its write."""
        times = (item["updated_at"] for _, item in self.lives[order_id] if item["status"] == "confirmed")
        return any((from_text(text) - START).total_seconds() <= at for text in times)

    def was_cancelled_before(self, order_id: str, at: float) -> bool:
        return any(time <= at and _is_cancelled(item) for time, item in self.lives[order_id])

    # Stock

    def stocked(self, product: str, units: int) -> None:
        """Note the units with which a product is put on sale."""
        self._stock[product].append((self._now(), units))

    def total(self, product: str) -> int:
        """Return the units of a product in all of its shards."""
        return self._stock[product][-1][1] if self._stock[product] else 0

    def least(self, product: str, start: float) -> int:
        """Return the fewest units that the shards of a product held together since a time."""
        known = self._stock[product]
        first = bisect_right(known, start, key=lambda each: each[0])
        return min((units for _, units in known[max(0, first - 1) :]), default=0)


def _is_cancelled(item: Item) -> bool:
    return item["status"] == "cancelled" or "cancel_requested_at" in item


def _order_faults(before: Item | None, after: Item | None) -> Iterator[str]:
    if after is None:
        yield "an order was deleted"
        return
    status, cancelling = after["status"], "cancel_requested_at" in after
    is_open = status not in ENDED or (cancelling and status != "cancelled")
    if is_open != ("open_shard" in after) or is_open != ("due_at" in after):
        yield f"{status}, but its entry in the outbox is {after.get('open_shard')} at {after.get('due_at')}"
    if not is_open and (left := OPEN_ATTRIBUTES & after.keys()):
        yield f"ended with {sorted(left)}"
    if is_open and ("parked" in after) != str(after.get("open_shard")).startswith("parked"):
        yield "parked orders and others are in different keys of the outbox"
    history = VERSIONS.upgraded(after)["history"]
    if after["version"] != len(history):
        yield f"version {after['version']} with {len(history)} entries in its history"
    if cancelling and status == "rejected":
        yield "rejected, although its cancellation was requested"
    if before is not None:
        yield from _change_faults(before, after)


def _change_faults(before: Item, after: Item) -> Iterator[str]:
    if after["version"] < before["version"] or after["fence"] < before["fence"]:
        yield f"went back from {before['version']}/{before['fence']} to {after['version']}/{after['fence']}"
    past = VERSIONS.upgraded(before)["history"]
    if VERSIONS.upgraded(after)["history"][: len(past)] != past:
        yield "has another past than before"
    if before["order_id"] != after["order_id"] or before["lines"] != after["lines"]:
        yield "became another order"
    if before["status"] in ENDED and "open_shard" not in before and after["status"] != before["status"]:
        yield f"went on from {before['status']} to {after['status']}"
    if "cancel_requested_at" in before and before["cancel_requested_at"] != after.get("cancel_requested_at"):
        yield f"forgot a request to cancel, and has {after.get('cancel_requested_at')}"
    if "cancel_requested_at" in after and "cancel_requested_at" not in before and before["status"] not in HOLDS_STOCK:
        yield f"has a request to cancel, although it was {before['status']}"


def _available(item: Json | None) -> int:
    return 0 if item is None else _number(item, "available")


def _number(item: Json, name: str) -> int:
    return int(item[name]["N"])


def _held(item: Item | None) -> Counter[str]:
    """Return the units that an order holds, by product key."""
    if item is None or item["status"] not in HOLDS_STOCK:
        return Counter()
    tenant = item["customer_key"].partition("#")[0]
    held: Counter[str] = Counter()
    for line in item["lines"]:
        held[product_key(tenant, line["sku"])] += line["quantity"]
    return held


def _item(item: Json | None) -> Item | None:
    return None if item is None else dy2py(item, int)
