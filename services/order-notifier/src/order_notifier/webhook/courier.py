"""Send one event to one endpoint, signed."""

from collections.abc import Callable, Mapping, Sequence

from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.models import Order
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.body import webhook_body
from order_shared.domain.webhook.models import Endpoint
from order_shared.domain.webhook.secret_box import SecretBox
from order_shared.domain.webhook.signing import signed_headers
from order_shared.storage.event_log.orders import orders_of
from order_shared.storage.orders import OrderRepository
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
        return await orders_of(self._orders, events, on_unreadable=self._on_unreadable)

    async def send(self, endpoint: Endpoint, event: OrderEvent, order: Order | None) -> Attempt:
        """Send the event, and return the result. Raises CannotOpenSecret."""
        now = self._clock()
        secrets = [self._box.open(secret.sealed) for secret in endpoint.valid_secrets(now)]
        body = webhook_body(event, order)
        return await self._sender.post(endpoint.url, signed_headers(secrets, event.id, now, body), body)
