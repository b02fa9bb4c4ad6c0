"""Stored items as the transition table sees them: an order's variables, and the units of a stock shard."""

from collections.abc import Callable, Mapping
from typing import Any

from order_shared.storage.order_items import VERSIONS
from tests.model.history import ItemWrite, Json
from tests.model.steps import VARIABLES
from tests.model.table import NOBODY

STATUSES = {"pending": 1, "reserved": 2, "confirmed": 3, "rejected": 4, "cancelled": 5}
UNDOS = {"reject": 1, "cancel": 2, "replace": 3}
STORED = tuple(name[2:] for name in VARIABLES if name.startswith("o.") and name not in {"o.due", "o.after", "o.paid"})
"""Variables of an order that its stored item shows."""


def units(item: Json | None) -> int:
    return int(item["available"]) if item else 0


def increases(item: Json | None) -> int:
    return int(item.get("increases", 0)) if item else 0


def total(item: Json) -> int:
    return sum(line["quantity"] * line["unit_price"] for line in item["lines"])


def fits(version: Mapping[str, Any], claimed: Json) -> bool:
    """Return whether a write whose condition claims this can come from a worker that has read this version."""
    owner = claimed.get("lease_owner", NOBODY)
    return (
        claimed.get("status") is not None
        and STATUSES[claimed["status"]] == version["status"]
        and claimed.get("fence") == version["fence"]
        and owner == version["owner"]
        and (bool(version["cancel"]) or ("cancel_requested_at" in claimed and claimed["cancel_requested_at"] is None))
    )


def is_open(order: Mapping[str, Any]) -> int:
    return int(order["status"] in {1, 2} or (bool(order["cancel"]) and order["status"] in {3, 4}))


def stored_form(item: Json, number: Callable[[str], int]) -> dict[str, Any]:
    """Return the variables of a stored order. `number` numbers its payments."""
    attempts = item.get("payment_attempts", {})
    return {
        "status": STATUSES[item["status"]],
        "fence": int(item["fence"]),
        "owner": item.get("lease_owner", NOBODY),
        "leased": int(item.get("lease_until", 0) > 0),
        "payment": number(item["payment_id"]) if "payment_id" in item else 0,
        "undo": UNDOS[item["undo"]["kind"]] if "undo" in item else 0,
        "cancel": int("cancel_requested_at" in item),
        "parked": int("parked" in item),
        "n_create": int(attempts.get("create", 0)),
        "n_confirm": int(attempts.get("confirm", 0)),
        "n_undo": int(attempts.get("cancel", 0)) + int(attempts.get("refund", 0)),
        "attempts": int(item.get("attempts", 0)),
        "sweeps": int(item.get("sweeps", 0)),
        "listed": int("open_shard" in item),
    }


def is_migration(item: ItemWrite) -> bool:
    """Return whether the write gives an order its newest version, and changes nothing that the model has."""
    before, after = item.before, item.after
    return before is not None and after is not None and before != after and VERSIONS.upgraded(dict(before)) == after
