"""Webhook endpoints of all tenants: list, show and enable them."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from order_operations.target import Target
from order_shared.domain.clock import utc_now
from order_shared.domain.webhook.health import EndpointState
from order_shared.domain.webhook.models import Delivery, Endpoint
from order_shared.storage.audit_trail import Operation
from order_shared.storage.event_log.read import DynamoEventLogReader, EventLogReader
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository, EndpointRepository
from order_shared.storage.webhooks.leases import LEASE, DynamoEndpointLeases, EndpointLeases

SUBJECT = "webhooks"
MAX_DELIVERIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """Endpoint, the number of events in its log that it has not received, and its newest stored deliveries."""

    endpoint: Endpoint
    behind: int
    deliveries: Sequence[Delivery] = ()


class WebhookEndpoints:
    """The endpoints of one environment. All methods raise StorageUnavailable."""

    def __init__(self, endpoints: EndpointRepository, leases: EndpointLeases, reader: EventLogReader) -> None:
        self._endpoints = endpoints
        self._leases = leases
        self._reader = reader

    async def list(self, tenant: str | None, states: Collection[EndpointState]) -> Sequence[EndpointStatus]:
        """Return the endpoints of a tenant, or of all if it is None, that are in one of the states."""
        if tenant is not None:
            found = list(await self._endpoints.list(tenant))
        else:
            found = [endpoint async for page in self._leases.all() for endpoint in page]
        chosen = [each for each in found if each.state in states]
        ends = {name: (await self._reader.latest(name)).sequence for name in {each.tenant for each in chosen}}
        return [
            EndpointStatus(endpoint=each, behind=max(0, ends[each.tenant] - each.position.sequence))
            for each in sorted(chosen, key=lambda each: (each.tenant, each.created_at))
        ]

    async def show(self, tenant: str, endpoint_id: str) -> EndpointStatus:
        """Return an endpoint with its newest deliveries. Raises EndpointNotFound."""
        endpoint = await self._endpoints.get(tenant, endpoint_id)
        end = await self._reader.latest(tenant)
        deliveries = await self._endpoints.deliveries(tenant, endpoint_id, limit=MAX_DELIVERIES)
        behind = max(0, end.sequence - endpoint.position.sequence)
        return EndpointStatus(endpoint=endpoint, behind=behind, deliveries=deliveries)

    async def enable(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Make an endpoint active without a challenge. Raises EndpointNotFound and EndpointChanged."""
        endpoint = await self._endpoints.get(tenant, endpoint_id)
        return await self._endpoints.change(replace(endpoint, health=endpoint.health.activated()))


def record_enable(target: Target, reason: str, tenant: str, endpoint_id: str) -> None:
    """Record the action in the audit trail. Call this before the action. Raises ClientError or BotoCoreError."""
    detail = f"{tenant} {endpoint_id}"
    target.audit.record(
        Operation(
            subject=SUBJECT, at=utc_now(), actor=target.actor, verb="webhooks.enable", reason=reason, detail=detail
        )
    )


@asynccontextmanager
async def open_webhook_endpoints(target: Target) -> AsyncIterator[WebhookEndpoints]:
    async with target.open_tables() as dynamo:
        tables = target.settings.tables
        yield WebhookEndpoints(
            DynamoEndpointRepository(dynamo, tables),
            DynamoEndpointLeases(dynamo, tables, duration=LEASE),
            DynamoEventLogReader(dynamo, tables),
        )
