"""Orders of events, as they are when the events are read."""

from collections.abc import Callable, Mapping, Sequence

from order_shared.domain.clock import to_text
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import Order
from order_shared.storage.orders import OrderRepository, UnreadableOrder


async def orders_of(
    repository: OrderRepository, events: Sequence[OrderEvent], *, on_unreadable: Callable[..., None]
) -> Mapping[str, Order]:
    """Return the orders of up to 100 events by id. Raises StorageUnavailable.

    Unreadable orders are left out: `on_unreadable` is called with `order` and the reason for each.
    """
    keys = {event.order_id: (event.customer, created_at_of(event.order_id)) for event in events}
    if not keys:
        return {}
    found: dict[str, Order] = {}
    for order in await repository.get_many(list(keys.values())):
        if isinstance(order, UnreadableOrder):
            on_unreadable("order", created_at=to_text(order.created_at), error=order.error)
        else:
            found[order.order_id] = order
    return found
