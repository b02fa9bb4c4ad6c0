"""Upgrades of stored orders, one per version. `order_items.py` describes the versions."""

from collections.abc import Mapping

from order_shared.aws.dynamodb import Item
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.models import CHANGE_TO, OrderStatus
from order_shared.storage.item_schema import Upgrade, as_it_is


def _without_total(item: Item) -> Item:
    return {name: value for name, value in item.items() if name != "total"}


def _with_history(item: Item) -> Item:
    """Return the item with the history that its timeline proves, instead of the timeline.

    A charge that was refunded before the order was confirmed leaves no trace in a timeline: the history lacks both.
    """
    history: list[Item] = []
    requested = item.get("cancel_requested_at")
    is_charged = False
    for entry in item["timeline"]:
        change = CHANGE_TO[OrderStatus(entry["status"])]
        if requested is not None and change in {OrderChange.CANCELLED, OrderChange.REJECTED}:
            history.append(_entry(requested, OrderChange.CANCEL_REQUESTED))
            requested = None
        if change is OrderChange.CONFIRMED and "payment_id" in item:
            is_charged = True
            history.append(_entry(entry["at"], OrderChange.CHARGED, change))
        elif change is OrderChange.CANCELLED and is_charged:
            history.append(_entry(entry["at"], OrderChange.REFUNDED, change))
        else:
            history.append(_entry(entry["at"], change))
    if requested is not None:
        history.append(_entry(requested, OrderChange.CANCEL_REQUESTED))
    return {name: value for name, value in item.items() if name != "timeline"} | {"history": history}


def _entry(at: str, *changes: OrderChange) -> Item:
    return {"types": [str(change) for change in changes], "at": at}


UPGRADES: Mapping[int, Upgrade] = {
    0: Upgrade(as_it_is),
    1: Upgrade(_without_total),
    2: Upgrade(_with_history, reads=frozenset({"cancel_requested_at", "payment_id"})),
}
