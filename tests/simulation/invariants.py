"""What must hold at every write, and once nothing is left to do.

A write to the tables is checked by itself: what its items were before, and what they are afterwards. At rest the
history checker of `make chaos` compares what customers were told with the tables, the provider's payments and the
queues.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from aiodynamo.utils import dy2py

from order_shared.domain.idempotency import RecordKind
from order_shared.domain.order.models import ENDED, HOLDS_STOCK
from order_shared.storage.inventory import PRODUCT_RECORD, product_key
from order_shared.storage.order_items import OPEN_ATTRIBUTES
from order_shared.tables import IDEMPOTENCY, INVENTORY, ORDERS
from tests.memory_dynamo import Change, Json
from tests.simulation.provider import Provider

Item = dict[str, Any]


class Violation(AssertionError):
    """An invariant does not hold."""


class Watch:
    """Checks every write. `violations` has what did not hold, at most once for each text."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.violations: dict[str, None] = {}

    def check(self, changes: list[Change]) -> None:
        """Check the changes of one request."""
        units: Counter[str] = Counter()
        is_adjustment = False
        for key, before, after in changes:
            if key.table == INVENTORY.name and key.range != PRODUCT_RECORD:
                units[key.hash] += _available(after) - _available(before)
                if _available(after) < 0:
                    self._add(f"{key.hash} {key.range} holds {_available(after)}")
            elif key.table == ORDERS.name:
                old, new = _item(before), _item(after)
                for text in _order_faults(old, new):
                    self._add(f"{(new or old or {}).get('order_id')}: {text}")
                self._check_money(old, new)
                for sku, held in _held(new).items():
                    units[sku] += held
                units.subtract(_held(old))
            elif key.table == IDEMPOTENCY.name and f"#{RecordKind.STOCK}#" in key.hash:
                is_adjustment = True
        if not is_adjustment and any(units.values()):
            self._add(f"a write changed stock by what its order does not hold: {dict(units)}")

    def _check_money(self, before: Item | None, after: Item | None) -> None:
        """Check that an order which ends has been charged once and wholly if it is confirmed, and else nothing."""
        if before is None or after is None or "open_shard" in after or "open_shard" not in before:
            return
        order_id, total = after["order_id"], sum(line["quantity"] * line["unit_price"] for line in after["lines"])
        charged = self._provider.charged.get(order_id, 0)
        kept = charged - self._provider.refunded.get(order_id, 0)
        due = total if after["status"] == "confirmed" and "payment_token" in before else 0
        if after["status"] == "confirmed" and after.get("cancel_requested_at"):
            self._add(f"{order_id}: confirmed after a request to cancel")
        if kept != due:
            self._add(f"{order_id}: ended {after['status']} with {kept} kept and {due} due")

    def _add(self, text: str) -> None:
        self.violations[text] = None


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
    if after["version"] != len(after["timeline"]) + cancelling:
        yield f"version {after['version']} after {len(after['timeline'])} statuses"
    if before is not None:
        yield from _change_faults(before, after)


def _change_faults(before: Item, after: Item) -> Iterator[str]:
    if after["version"] < before["version"] or after["fence"] < before["fence"]:
        yield f"went back from {before['version']}/{before['fence']} to {after['version']}/{after['fence']}"
    if after["timeline"][: len(before["timeline"])] != before["timeline"]:
        yield "has another past than before"
    if before["order_id"] != after["order_id"] or before["lines"] != after["lines"]:
        yield "became another order"
    if before["status"] in ENDED and "open_shard" not in before and after["status"] != before["status"]:
        yield f"went on from {before['status']} to {after['status']}"
    if "cancel_requested_at" in before and "cancel_requested_at" not in after:
        yield "forgot a request to cancel"


def _available(item: Json | None) -> int:
    return 0 if item is None else int(item["available"]["N"])


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
