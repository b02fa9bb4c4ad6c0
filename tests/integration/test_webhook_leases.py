"""Leases of webhook endpoints: one holder at a time, no lost wake-up, over the fake and real engines."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.health import DisabledReason, EndpointState, Health
from order_shared.domain.webhook.models import DeliveryState, Endpoint, Gap, Replay
from order_shared.storage.webhooks.items import item_key
from order_shared.storage.webhooks.leases import LeaseLost
from tests.integration.conftest import Storage
from tests.integration.webhooks import LEASE, Endpoints


@pytest.fixture
def endpoints(storage: Storage) -> Endpoints:
    return Endpoints(storage)


def moved(endpoint: Endpoint, by: int = 1) -> Endpoint:
    return replace(endpoint, position=Position(epoch=1, sequence=endpoint.position.sequence + by))


async def test_one_notifier_at_a_time_holds_the_lease(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert lease.endpoint == endpoint
    assert await endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id) is None
    assert await endpoints.leases.release(lease, None) is None
    assert (await endpoints.take(endpoint)).fence == lease.fence + 1


async def test_of_many_takes_at_once_one_succeeds(real_storage: Storage) -> None:
    endpoints = Endpoints(real_storage)
    endpoint = await endpoints.create()
    taken = await asyncio.gather(*(endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id) for _ in range(8)))
    assert sum(lease is not None for lease in taken) == 1


async def test_a_lease_ends_unless_it_is_kept(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    first = await endpoints.take(endpoint)
    endpoints.storage.clock.advance(LEASE / 2)
    await endpoints.leases.keep(first)
    endpoints.storage.clock.advance(LEASE / 2)
    assert await endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id) is None
    endpoints.storage.clock.advance(LEASE / 2)
    second = await endpoints.take(endpoint)
    for write in (endpoints.leases.keep(first), endpoints.leases.save(first, moved(first.endpoint))):
        with pytest.raises(LeaseLost):
            await write
    assert await endpoints.leases.release(first, None) is None
    assert (await endpoints.leases.save(second, moved(second.endpoint))).endpoint == moved(endpoint)


@pytest.mark.parametrize("state", [EndpointState.UNVERIFIED, EndpointState.DISABLED])
async def test_an_endpoint_that_receives_nothing_is_not_taken(endpoints: Endpoints, state: EndpointState) -> None:
    endpoint = await endpoints.create(health=Health(state=state))
    assert await endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id) is None
    assert await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id) is None
    assert await endpoints.due() == []


async def test_progress_is_stored_whole(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    now = endpoints.storage.clock()
    health = Health(state=EndpointState.FAILING, failing_since=now, failures=10, probes=2, probe_at=now)
    after = replace(
        moved(endpoint),
        health=health,
        replay=Replay(epoch=1, next=2, until=3),
        gap=Gap(at=now, reason="retention", events=7),
        delivered_at=now,
    )
    lease = await endpoints.leases.save(lease, after)
    assert lease.endpoint == await endpoints.stored(endpoint) == after
    later = replace(after, health=Health().activated(), replay=None, gap=Gap(at=now, reason="epoch", events=None))
    await endpoints.leases.save(lease, later)
    assert await endpoints.stored(endpoint) == later


async def test_a_position_moves_from_the_one_that_was_read(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    await endpoints.leases.save(lease, moved(endpoint))
    with pytest.raises(LeaseLost):
        await endpoints.leases.save(lease, moved(endpoint, 5))
    assert (await endpoints.stored(endpoint)).position.sequence == 11


async def test_deliveries_are_stored_with_the_position(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    added = [endpoints.delivery(10), endpoints.delivery(11)]
    lease = await endpoints.leases.save(lease, moved(endpoint, 2), added=added)
    assert await endpoints.leases.waiting(endpoints.tenant, endpoint.endpoint_id) == added
    assert (lease.endpoint.waiting, (await endpoints.stored(endpoint)).waiting) == (2, 2)
    later = replace(added[1], due_at=endpoints.storage.clock() + LEASE, attempted=2)
    ended = replace(added[0], state=DeliveryState.DELIVERED, due_at=None)
    lease = await endpoints.leases.save(lease, lease.endpoint, changed=[later], ended=[ended])
    assert await endpoints.leases.waiting(endpoints.tenant, endpoint.endpoint_id) == [later]
    assert (await endpoints.stored(endpoint)).waiting == 1
    for again in ({"ended": [ended]}, {"added": [later]}, {"changed": [added[0]]}):
        with pytest.raises(LeaseLost):
            await endpoints.leases.save(lease, moved(lease.endpoint), **again)
    assert (await endpoints.stored(endpoint)).position == moved(endpoint, 2).position


async def test_a_wake_up_during_a_lease_is_not_lost(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id)
    assert lease is not None
    assert await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id) is None
    woken = await endpoints.leases.release(lease, None)
    assert woken is not None, "it looks once more"
    assert woken.fence == lease.fence
    assert await endpoints.leases.release(woken, None) is None
    assert await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id) is not None


async def test_a_wake_up_after_the_end_of_a_lease_takes_it(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    await endpoints.take(endpoint)
    endpoints.storage.clock.advance(LEASE)
    assert await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id) is not None


async def test_an_endpoint_is_due_at_the_time_of_its_next_attempt(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert await endpoints.leases.release(lease, endpoints.storage.clock() + LEASE) is None
    assert await endpoints.due() == []
    endpoints.storage.clock.advance(LEASE)
    assert await endpoints.due() == [endpoint.endpoint_id]
    lease_of_due = await endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id, is_due=True)
    assert await endpoints.due() == [], "a notifier has it"
    endpoints.storage.clock.advance(LEASE)
    assert await endpoints.due() == [endpoint.endpoint_id], "it has it no more"
    assert lease_of_due is not None
    assert await endpoints.leases.release(lease_of_due, None) is None
    assert await endpoints.due() == []


async def test_a_holder_that_fails_leaves_deliveries_to_the_others(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert await endpoints.leases.release(lease, None) is None
    lease = await endpoints.take(endpoint)
    await endpoints.leases.save(lease, moved(endpoint), added=[endpoints.delivery(10)])
    endpoints.storage.clock.advance(LEASE)
    assert await endpoints.due() == [endpoint.endpoint_id]


async def test_a_disabled_endpoint_is_no_longer_due(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    assert await endpoints.due() == [endpoint.endpoint_id]
    lease = await endpoints.take(endpoint)
    disabled = replace(endpoint, health=endpoint.health.disabled(DisabledReason.GONE))
    lease = await endpoints.leases.save(lease, disabled)
    assert await endpoints.leases.release(lease, endpoints.storage.clock()) is None
    endpoints.storage.clock.advance(LEASE)
    assert await endpoints.due() == []
    assert await endpoints.leases.take(endpoints.tenant, endpoint.endpoint_id) is None


async def test_one_notifier_makes_the_check_of_a_period(endpoints: Endpoints) -> None:
    period = timedelta(minutes=1)
    endpoints.storage.clock.advance(timedelta(days=1))  # later than the check of another test
    assert await endpoints.leases.claim_check(period)
    assert not await endpoints.leases.claim_check(period)
    endpoints.storage.clock.advance(period)
    assert await endpoints.leases.claim_check(period)


async def test_a_check_reads_the_endpoints_of_every_state(endpoints: Endpoints) -> None:
    created = [await endpoints.create(health=Health(state=state)) for state in EndpointState]
    found = [each async for page in endpoints.leases.all() for each in page if each.tenant == endpoints.tenant]
    assert sorted(found, key=lambda each: each.endpoint_id) == sorted(created, key=lambda each: each.endpoint_id)


async def test_an_endpoint_is_handed_over_to_the_next_notifier(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert await endpoints.leases.release(lease, None) is None
    await endpoints.leases.hand_over(endpoints.tenant, endpoint.endpoint_id)
    assert await endpoints.due() == [endpoint.endpoint_id]
    lease = await endpoints.take(endpoint)
    await endpoints.leases.hand_over(endpoints.tenant, endpoint.endpoint_id)
    assert await endpoints.leases.release(lease, None) is not None, "the holder looks once more"


async def test_an_endpoint_whose_lease_has_ended_is_handed_over_at_once(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert await endpoints.leases.release(lease, None) is None
    await endpoints.take(endpoint)
    endpoints.storage.clock.advance(LEASE)
    await endpoints.leases.hand_over(endpoints.tenant, endpoint.endpoint_id)
    assert await endpoints.due() == [endpoint.endpoint_id]


async def test_nothing_is_stored_for_an_endpoint_that_does_not_exist(endpoints: Endpoints) -> None:
    endpoint = endpoints.new()
    await endpoints.leases.hand_over(endpoints.tenant, endpoint.endpoint_id)
    assert await endpoints.leases.wake(endpoints.tenant, endpoint.endpoint_id) is None
    key = item_key(endpoints.tenant, endpoint.endpoint_id)
    assert await endpoints.storage.dynamo.get(endpoints.storage.tables.webhooks, key) is None


async def test_deliveries_are_not_stored_without_the_lease(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    endpoints.storage.clock.advance(LEASE)
    await endpoints.take(endpoint)
    with pytest.raises(LeaseLost):
        await endpoints.leases.save(lease, moved(endpoint), added=[endpoints.delivery(10)])
    assert await endpoints.waiting(endpoint) == []


async def test_a_lease_that_was_released_is_not_kept(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create()
    lease = await endpoints.take(endpoint)
    assert await endpoints.leases.release(lease, None) is None
    for write in (endpoints.leases.keep(lease), endpoints.leases.save(lease, moved(endpoint))):
        with pytest.raises(LeaseLost):
            await write
