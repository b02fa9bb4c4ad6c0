"""Webhook endpoints as their owners change them: over the fake and real engines."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.exceptions import (
    DeliveryNotFound,
    EndpointChanged,
    EndpointNotFound,
    TooManyDeliveries,
    TooManyEndpoints,
)
from order_shared.domain.webhook.health import DisabledReason, EndpointState, Health
from order_shared.domain.webhook.models import (
    MAX_ENDPOINTS,
    MAX_WAITING,
    Delivery,
    DeliveryState,
    Replay,
    SealedSecret,
    is_endpoint_id,
    new_endpoint_id,
)
from order_shared.domain.webhook.secret_box import Sealed
from order_shared.storage.webhooks.items import endpoint_item
from order_shared.storage.webhooks.leases import LeaseLost
from tests.integration.conftest import Storage
from tests.integration.webhooks import ACTIVE, Endpoints


@pytest.fixture
def endpoints(storage: Storage) -> Endpoints:
    return Endpoints(storage)


def test_an_id_is_a_prefix_and_26_characters() -> None:
    assert is_endpoint_id(new_endpoint_id())
    assert not is_endpoint_id("we_short")


async def test_an_endpoint_is_stored_whole(endpoints: Endpoints) -> None:
    now = endpoints.storage.clock()
    secrets = (SealedSecret(sealed=Sealed("new")), SealedSecret(sealed=Sealed("old"), expires_at=now))
    endpoint = await endpoints.create(
        types=frozenset({OrderChange.CONFIRMED, OrderChange.REJECTED}), secrets=secrets, description="Shop"
    )
    assert await endpoints.stored(endpoint) == endpoint
    assert await endpoints.repository.list(endpoints.tenant) == [endpoint]


async def test_a_secret_is_not_shown(endpoints: Endpoints) -> None:
    assert "sealed=" not in repr(endpoints.new())


async def test_endpoints_of_another_tenant_are_not_found(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    with pytest.raises(EndpointNotFound):
        await endpoints.repository.get(f"{endpoints.tenant}-other", endpoint.endpoint_id)
    assert await endpoints.repository.list(f"{endpoints.tenant}-other") == []


async def test_a_repeated_creation_stores_one_endpoint(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    await endpoints.repository.create(endpoint)
    assert await endpoints.repository.list(endpoints.tenant) == [endpoint]


async def test_a_tenant_has_a_limited_number_of_endpoints(endpoints: Endpoints) -> None:
    created = [await endpoints.create() for _ in range(MAX_ENDPOINTS)]
    with pytest.raises(TooManyEndpoints):
        await endpoints.create()
    await endpoints.repository.delete(endpoints.tenant, created[0].endpoint_id)
    await endpoints.create()
    assert len(await endpoints.repository.list(endpoints.tenant)) == MAX_ENDPOINTS


async def test_endpoints_created_at_once_are_all_listed(real_storage: Storage) -> None:
    endpoints = Endpoints(real_storage)
    created = await asyncio.gather(*(endpoints.create() for _ in range(3)))
    listed = await endpoints.repository.list(endpoints.tenant)
    assert {each.endpoint_id for each in listed} == {each.endpoint_id for each in created}


async def test_a_change_replaces_settings_and_health(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    endpoints.storage.clock.advance(timedelta(seconds=1))
    wanted = replace(endpoint, url="https://new.example", health=Health().disabled(DisabledReason.REQUESTED))
    changed = await endpoints.repository.change(wanted)
    assert changed == replace(wanted, version=2, updated_at=endpoints.storage.clock())
    assert await endpoints.stored(endpoint) == changed
    with pytest.raises(EndpointChanged):
        await endpoints.repository.change(wanted)
    with pytest.raises(EndpointNotFound):
        await endpoints.repository.change(replace(wanted, endpoint_id=new_endpoint_id()))


async def test_a_change_ends_the_lease_and_keeps_the_position(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    moved = replace(lease.endpoint, position=Position(epoch=1, sequence=12))
    lease = await endpoints.leases.save(lease, moved)
    changed = await endpoints.repository.change(replace(endpoint, description="Other"))
    assert changed.position.sequence == 12
    with pytest.raises(LeaseLost):
        await endpoints.leases.save(lease, replace(moved, position=Position(epoch=1, sequence=13)))
    assert (await endpoints.take(endpoint)).endpoint.description == "Other"


async def test_a_changed_endpoint_is_due_at_once(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(health=Health())
    assert await endpoints.due() == [], "it is not verified"
    await endpoints.repository.change(replace(endpoint, health=ACTIVE))
    assert await endpoints.due() == [endpoint.endpoint_id]


async def test_a_deleted_endpoint_is_gone(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    await endpoints.repository.delete(endpoints.tenant, endpoint.endpoint_id)
    with pytest.raises(EndpointNotFound):
        await endpoints.stored(endpoint)
    with pytest.raises(EndpointNotFound):
        await endpoints.repository.delete(endpoints.tenant, endpoint.endpoint_id)
    with pytest.raises(LeaseLost):
        await endpoints.leases.keep(lease)
    assert await endpoints.leases.release(lease, None) is None
    assert await endpoints.repository.list(endpoints.tenant) == []


async def test_deliveries_are_listed_newest_event_first(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    await endpoints.save_waiting(endpoint, 3, 5, 7)
    lease = await endpoints.take(endpoint)
    ended = replace(endpoints.delivery(5), state=DeliveryState.DELIVERED, due_at=None)
    await endpoints.leases.save(lease, lease.endpoint, ended=[ended])

    async def listed(limit: int, before: int | None = None) -> list[tuple[int, str]]:
        found = await endpoints.repository.deliveries(
            endpoints.tenant, endpoint.endpoint_id, limit=limit, before=before
        )
        return [(each.sequence, str(each.state)) for each in found]

    assert await listed(10) == [(7, "waiting"), (5, "delivered"), (3, "waiting")]
    assert await listed(2) == [(7, "waiting"), (5, "delivered")]
    assert await listed(2, before=5) == [(3, "waiting")]
    assert await listed(2, before=1) == []


async def test_a_delivery_is_stored_whole(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    (delivery,) = await endpoints.save_waiting(endpoint, 4)
    assert await endpoints.repository.delivery(endpoints.tenant, endpoint.endpoint_id, 4) == delivery
    with pytest.raises(DeliveryNotFound):
        await endpoints.repository.delivery(endpoints.tenant, endpoint.endpoint_id, 5)


async def test_a_delivery_is_sent_again_whatever_its_state(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    (waiting,) = await endpoints.save_waiting(endpoint, 4)
    lease = await endpoints.take(endpoint)
    failed = replace(waiting, state=DeliveryState.FAILED, due_at=None)
    lease = await endpoints.leases.save(lease, lease.endpoint, ended=[failed])
    assert (await endpoints.stored(endpoint)).waiting == 0
    now = endpoints.storage.clock()
    for delivery in (failed, waiting, Delivery(sequence=2, event=endpoints.event(), created_at=now)):
        again = await endpoints.repository.redeliver(endpoints.tenant, endpoint.endpoint_id, delivery)
        assert (again.state, again.due_at) == (DeliveryState.WAITING, now)
    assert await endpoints.waiting(endpoint) == [2, 4]
    assert (await endpoints.stored(endpoint)).waiting == 2
    assert await endpoints.leases.release(lease, None) is not None, "the holder looks at them before it releases"
    with pytest.raises(EndpointNotFound):
        await endpoints.repository.redeliver(endpoints.tenant, new_endpoint_id(), failed)


async def test_at_most_a_hundred_deliveries_wait(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(waiting=MAX_WAITING)
    with pytest.raises(TooManyDeliveries):
        await endpoints.repository.redeliver(endpoints.tenant, endpoint.endpoint_id, endpoints.delivery(4))
    lease = await endpoints.take(endpoint)
    with pytest.raises(LeaseLost):
        await endpoints.leases.save(lease, lease.endpoint, added=[endpoints.delivery(4)])
    assert await endpoints.waiting(endpoint) == []


async def test_a_replay_ends_before_the_position(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    replay = await endpoints.repository.replay(endpoints.tenant, endpoint.endpoint_id, 3, 50)
    assert replay == Replay(epoch=1, next=3, until=10)
    assert (await endpoints.stored(endpoint)).replay == replay
    assert await endpoints.due() == [endpoint.endpoint_id]
    with pytest.raises(LeaseLost):
        await endpoints.leases.save(lease, lease.endpoint)
    await endpoints.repository.replay(endpoints.tenant, endpoint.endpoint_id, 10, 50)
    assert (await endpoints.stored(endpoint)).replay is None, "there is nothing before the position to send"


async def test_a_redelivery_during_a_disabled_state_waits(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(health=Health(state=EndpointState.DISABLED))
    await endpoints.repository.redeliver(endpoints.tenant, endpoint.endpoint_id, endpoints.delivery(4))
    assert await endpoints.due() == []
    await endpoints.repository.change(replace(endpoint, health=ACTIVE))
    assert await endpoints.due() == [endpoint.endpoint_id]


async def test_a_creation_keeps_an_endpoint_that_is_created_meanwhile(endpoints: Endpoints) -> None:
    """Twice: the first one of a tenant begins its directory."""
    created = []
    for _ in range(2):
        first, second = endpoints.new(), endpoints.new()
        meanwhile = endpoints.interrupted(lambda second=second: endpoints.repository.create(second))  # type: ignore[misc]
        await meanwhile.create(first)
        created += [first.endpoint_id, second.endpoint_id]
    assert sorted(each.endpoint_id for each in await endpoints.repository.list(endpoints.tenant)) == sorted(created)


async def test_a_creation_replaces_no_endpoint(endpoints: Endpoints) -> None:
    endpoint = endpoints.new()
    await endpoints.storage.dynamo.put(endpoints.storage.tables.webhooks, endpoint_item(endpoint, 0))
    with pytest.raises(StorageUnavailable):
        await endpoints.repository.create(replace(endpoint, description="another"))
    assert (await endpoints.stored(endpoint)).description == ""


async def test_a_deletion_keeps_an_endpoint_that_is_created_meanwhile(endpoints: Endpoints) -> None:
    first, second = await endpoints.create(), endpoints.new()
    meanwhile = endpoints.interrupted(lambda: endpoints.repository.create(second))
    await meanwhile.delete(endpoints.tenant, first.endpoint_id)
    assert [each.endpoint_id for each in await endpoints.repository.list(endpoints.tenant)] == [second.endpoint_id]


async def test_a_redelivery_and_a_replay_of_an_endpoint_that_is_disabled_meanwhile_wait(endpoints: Endpoints) -> None:
    for number in range(2):
        endpoint = await endpoints.create()
        disabled = replace(endpoint, health=endpoint.health.disabled(DisabledReason.REQUESTED))
        meanwhile = endpoints.interrupted(lambda disabled=disabled: endpoints.repository.change(disabled))  # type: ignore[misc]
        if number:
            await meanwhile.redeliver(endpoints.tenant, endpoint.endpoint_id, endpoints.delivery(4))
        else:
            await meanwhile.replay(endpoints.tenant, endpoint.endpoint_id, 3, 5)
    assert await endpoints.due() == []


async def test_a_redelivery_counts_what_happens_meanwhile(endpoints: Endpoints) -> None:
    """A delivery that ends, and one that begins to wait."""
    endpoint = await endpoints.create()
    (waiting,) = await endpoints.save_waiting(endpoint, 4)

    async def end() -> None:
        lease = await endpoints.take(endpoint)
        ended = replace(waiting, state=DeliveryState.DELIVERED, due_at=None)
        lease = await endpoints.leases.save(lease, lease.endpoint, ended=[ended])
        await endpoints.leases.release(lease, None)

    await endpoints.interrupted(end).redeliver(endpoints.tenant, endpoint.endpoint_id, waiting)
    assert (await endpoints.stored(endpoint)).waiting == len(await endpoints.waiting(endpoint)) == 1
    meanwhile = endpoints.interrupted(lambda: endpoints.save_waiting(endpoint, 6))
    await meanwhile.redeliver(endpoints.tenant, endpoint.endpoint_id, endpoints.delivery(6))
    assert (await endpoints.stored(endpoint)).waiting == len(await endpoints.waiting(endpoint)) == 2


async def test_a_redelivery_is_refused_if_too_many_wait_meanwhile(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(waiting=MAX_WAITING - 1)
    meanwhile = endpoints.interrupted(lambda: endpoints.save_waiting(endpoint, 6))
    with pytest.raises(TooManyDeliveries):
        await meanwhile.redeliver(endpoints.tenant, endpoint.endpoint_id, endpoints.delivery(4))
    assert (await endpoints.stored(endpoint)).waiting == MAX_WAITING


async def test_a_replay_has_the_epoch_of_the_position(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()

    async def restore() -> None:
        lease = await endpoints.take(endpoint)
        await endpoints.leases.save(lease, replace(lease.endpoint, position=Position(epoch=2, sequence=10)))

    replay = await endpoints.interrupted(restore).replay(endpoints.tenant, endpoint.endpoint_id, 3, 5)
    assert replay.epoch == 2
