"""`orderctl webhooks` and what it reads: endpoints of all tenants, their lag, and enabling one."""

from dataclasses import replace

import pytest

from order_operations.webhook_endpoints import WebhookEndpoints
from order_shared.domain.webhook.exceptions import EndpointNotFound
from order_shared.domain.webhook.health import DisabledReason, EndpointState
from order_shared.domain.webhook.models import new_endpoint_id
from order_shared.storage.event_log.append import DynamoEventLogWriter
from order_shared.storage.event_log.read import DynamoEventLogReader
from tests.factories import make_customer, make_order
from tests.integration.conftest import Storage
from tests.integration.webhooks import ACTIVE, Endpoints

ALL = list(EndpointState)


@pytest.fixture
def endpoints(storage: Storage) -> Endpoints:
    return Endpoints(storage)


@pytest.fixture
def commands(endpoints: Endpoints) -> WebhookEndpoints:
    storage = endpoints.storage
    reader = DynamoEventLogReader(storage.dynamo, storage.tables, storage.clock)
    return WebhookEndpoints(endpoints.repository, endpoints.leases, reader)


async def test_endpoints_are_listed_by_state_with_the_events_that_they_lack(
    endpoints: Endpoints, commands: WebhookEndpoints
) -> None:
    storage = endpoints.storage
    writer = DynamoEventLogWriter(storage.dynamo, storage.tables, storage.clock)
    await writer.begin()
    reader = DynamoEventLogReader(storage.dynamo, storage.tables, storage.clock)
    start = await reader.latest(endpoints.tenant)
    for _ in range(3):
        order = make_order(customer=make_customer(endpoints.tenant, "ada"), at=storage.clock())
        await writer.append(endpoints.tenant, [order])
    end = await reader.latest(endpoints.tenant)
    behind = await endpoints.create(position=start)
    current = await endpoints.create(position=end)
    disabled = await endpoints.create(position=end, health=ACTIVE.disabled(DisabledReason.GONE))
    found = await commands.list(endpoints.tenant, ALL)
    assert {each.endpoint.endpoint_id: each.behind for each in found} == {
        behind.endpoint_id: 3,
        current.endpoint_id: 0,
        disabled.endpoint_id: 0,
    }
    chosen = await commands.list(endpoints.tenant, [EndpointState.DISABLED])
    assert [each.endpoint.endpoint_id for each in chosen] == [disabled.endpoint_id]
    everywhere = await commands.list(None, ALL)
    assert {behind.endpoint_id, disabled.endpoint_id} <= {each.endpoint.endpoint_id for each in everywhere}


async def test_an_endpoint_is_shown_with_its_deliveries(endpoints: Endpoints, commands: WebhookEndpoints) -> None:
    endpoint = await endpoints.create()
    await endpoints.save_waiting(endpoint, 3, 4)
    shown = await commands.show(endpoints.tenant, endpoint.endpoint_id)
    assert [each.sequence for each in shown.deliveries] == [4, 3]
    with pytest.raises(EndpointNotFound):
        await commands.show(endpoints.tenant, new_endpoint_id())


async def test_an_endpoint_is_enabled(endpoints: Endpoints, commands: WebhookEndpoints) -> None:
    endpoint = await endpoints.create(health=replace(ACTIVE.disabled(DisabledReason.FAILING), failures=40))
    enabled = await commands.enable(endpoints.tenant, endpoint.endpoint_id)
    assert (enabled.health, enabled.version) == (ACTIVE, endpoint.version + 1)
    assert (await endpoints.stored(endpoint)).health == ACTIVE
