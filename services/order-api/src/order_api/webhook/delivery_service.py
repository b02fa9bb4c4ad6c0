"""Use cases of shops: see the deliveries of an endpoint, and have events sent again."""

from datetime import datetime, timedelta

from order_api.cursors import CursorCodec, InvalidCursor, Page
from order_api.webhook.exceptions import VerifyFirst
from order_api.webhook.service import WebhookService
from order_shared.domain.webhook.models import Delivery, Endpoint
from order_shared.storage.event_log.read import EventLogReader
from order_shared.storage.webhooks.endpoints import EndpointRepository

CLOCK_MARGIN = timedelta(minutes=1)
"""Difference between the clocks of the processes that append to the log, at most."""


class DeliveryService:
    def __init__(
        self,
        webhooks: WebhookService,
        endpoints: EndpointRepository,
        event_reader: EventLogReader,
        cursors: CursorCodec,
    ) -> None:
        self._webhooks = webhooks
        self._endpoints = endpoints
        self._event_reader = event_reader
        self._cursors = cursors

    async def list(self, tenant: str, endpoint_id: str, *, limit: int, cursor: str | None) -> Page[Delivery]:
        """Return a page of the stored deliveries, the newest events first. Raises EndpointNotFound, InvalidCursor."""
        await self._webhooks.get(tenant, endpoint_id)
        scope = {"list": "webhook_deliveries", "tenant": tenant, "endpoint": endpoint_id}
        before = None if cursor is None else self._sequence(self._cursors.decode(cursor, scope))
        found = await self._endpoints.deliveries(tenant, endpoint_id, limit=limit + 1, before=before)
        return self._cursors.page(found, limit, scope, lambda delivery: str(delivery.sequence))

    async def redeliver(self, tenant: str, endpoint_id: str, sequence: int) -> Delivery:
        """Let a delivery be attempted now.

        Raises EndpointNotFound, DeliveryNotFound, VerifyFirst and TooManyDeliveries.
        """
        await self._delivering(tenant, endpoint_id)
        delivery = await self._endpoints.delivery(tenant, endpoint_id, sequence)
        return await self._endpoints.redeliver(tenant, endpoint_id, delivery)

    async def replay(self, tenant: str, endpoint_id: str, since: datetime, until: datetime | None) -> Endpoint:
        """Send the events again that entered the log between two times. Raises EndpointNotFound and VerifyFirst."""
        endpoint = await self._delivering(tenant, endpoint_id)
        first = await self._event_reader.since(tenant, since - CLOCK_MARGIN)
        end = endpoint.position if until is None else await self._event_reader.since(tenant, until + CLOCK_MARGIN)
        await self._endpoints.replay(tenant, endpoint_id, first.sequence, end.sequence)
        return await self._endpoints.get(tenant, endpoint_id)

    async def _delivering(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Return an endpoint that receives events. Raises EndpointNotFound and VerifyFirst."""
        endpoint = await self._webhooks.get(tenant, endpoint_id)
        if not endpoint.health.delivers:
            raise VerifyFirst(endpoint_id, endpoint.state)
        return endpoint

    @staticmethod
    def _sequence(position: str) -> int:
        try:
            return int(position)
        except ValueError as error:
            raise InvalidCursor from error
