"""Send one event to one endpoint, signed."""

from collections.abc import Callable, Mapping, Sequence

from order_shared.domain.clock import Clock, to_text, utc_now
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.ids import created_at_of
from order_shared.domain.order.models import Order
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.body import webhook_body
from order_shared.domain.webhook.models import Endpoint
from order_shared.domain.webhook.secret_box import SecretBox
from order_shared.domain.webhook.signing import signed_headers
from order_shared.storage.orders import OrderRepository, UnreadableOrder
from order_shared.webhook_http.sender import WebhookSender


class Courier:
    def __init__(
        self,
        orders: OrderRepository,
        sender: WebhookSender,
        box: SecretBox,
        *,
        on_unreadable: Callable[..., None],
        clock: Clock = utc_now,
    ) -> None:
        """Create a courier. `on_unreadable` is called with `order` and the reason for each order left out."""
        self._orders = orders
        self._sender = sender
        self._box = box
        self._on_unreadable = on_unreadable
        self._clock = clock

    async def orders_of(self, events: Sequence[OrderEvent]) -> Mapping[str, Order]:
        """Return the orders of up to 100 events as they are now, by id. Raises StorageUnavailable."""
        keys = {event.order_id: (event.customer, created_at_of(event.order_id)) for event in events}
        found: dict[str, Order] = {}
        if not keys:
            return found
        for order in await self._orders.get_many(list(keys.values())):
            if isinstance(order, UnreadableOrder):
                self._on_unreadable("order", created_at=to_text(order.created_at), error=order.error)
            else:
                found[order.order_id] = order
        return found

    async def send(self, endpoint: Endpoint, event: OrderEvent, order: Order | None) -> Attempt:
        """Send the event, and return the result. Raises CannotOpenSecret."""
        now = self._clock()
        secrets = [self._box.open(secret.sealed) for secret in endpoint.valid_secrets(now)]
        body = webhook_body(event, order)
        return await self._sender.post(endpoint.url, signed_headers(secrets, event.id, now, body), body)
