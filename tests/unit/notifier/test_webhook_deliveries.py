"""Which endpoints a notifier serves, and when: wake-ups, due endpoints, the check, and places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from order_notifier.webhook.deliveries import Census, Deliveries, Options
from order_notifier.webhook.places import SLOW_SECONDS, Lane, Place
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.webhook.health import EndpointState, Health
from order_shared.storage.webhooks.leases import DynamoEndpointLeases
from tests.fakes import TABLES
from tests.unit.notifier.webhooks import LEASE, TENANT, Webhooks, short
from tests.waiting import eventually

OPTIONS = Options(places=2, due_seconds=0.02, check_seconds=0.02)
NEVER = replace(OPTIONS, due_seconds=1000.0, check_seconds=1000.0)


@pytest.fixture
def webhooks() -> Webhooks:
    return Webhooks()


@asynccontextmanager
async def delivering(
    webhooks: Webhooks, options: Options = NEVER, censuses: list[Census | None] | None = None
) -> AsyncIterator[Deliveries]:
    webhooks.stopping = asyncio.Event()
    found = [] if censuses is None else censuses
    deliveries = Deliveries(webhooks.repository, webhooks.tools, options, on_census=found.append)
    running = asyncio.create_task(deliveries.run())
    try:
        yield deliveries
    finally:
        if webhooks.receiver.hold is not None:
            webhooks.receiver.hold.set()
        await deliveries.close()
        await running


async def test_an_append_wakes_every_active_endpoint_of_the_tenant(webhooks: Webhooks) -> None:
    urls = ["https://one.example", "https://two.example"]
    for url in urls:
        await webhooks.create(url=url)
    await webhooks.create(url="https://off.example", health=Health())
    (order,) = await webhooks.place()
    async with delivering(webhooks) as deliveries:
        deliveries.appended(TENANT)
        await eventually(lambda: all(webhooks.receiver.received[url] for url in urls))
    assert {url: webhooks.receiver.ids(url) for url in urls} == {url: [short(order, "placed")] for url in urls}
    assert not webhooks.receiver.received["https://off.example"]


async def test_an_append_during_a_delivery_is_delivered_after_it(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place()
    webhooks.receiver.hold = asyncio.Event()
    async with delivering(webhooks) as deliveries:
        deliveries.appended(TENANT)
        await eventually(lambda: webhooks.receiver.open_requests == 1)
        await webhooks.place()
        deliveries.appended(TENANT)
        webhooks.receiver.hold.set()
        await eventually(lambda: len(webhooks.receiver.ids()) == 2)
    assert await webhooks.lag(endpoint) == 0


async def test_two_notifiers_deliver_each_event_once(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    async with delivering(webhooks) as first, delivering(webhooks) as second:
        for _ in range(20):
            await webhooks.place()
            first.appended(TENANT)
            second.appended(TENANT)
            await asyncio.sleep(0)
        await eventually(lambda: len(webhooks.receiver.ids()) >= 20)
    assert len(webhooks.receiver.ids()) == len(set(webhooks.receiver.ids())) == 20
    assert await webhooks.lag(endpoint) == 0


async def test_a_due_endpoint_is_served(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (order,) = await webhooks.place()
    async with delivering(webhooks, replace(OPTIONS, check_seconds=1000.0)):
        await eventually(lambda: webhooks.receiver.ids() == [short(order, "placed")])
    assert await webhooks.lag(endpoint) == 0


async def test_a_check_finds_what_nobody_was_woken_for(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.create(health=Health(), url="https://off.example")
    await webhooks.run(endpoint)
    (order,) = await webhooks.place()
    censuses: list[Census | None] = []
    async with delivering(webhooks, replace(OPTIONS, due_seconds=1000.0), censuses):
        await eventually(lambda: webhooks.receiver.ids() == [short(order, "placed")])
        await eventually(lambda: bool(censuses))
    found = next(census for census in censuses if census is not None)
    assert found.lagging == 1
    assert found.states[EndpointState.ACTIVE] == found.states[EndpointState.UNVERIFIED] == 1
    assert found.states[EndpointState.DISABLED] == 0


async def test_without_a_free_place_an_endpoint_is_handed_over(webhooks: Webhooks) -> None:
    urls = [f"https://{number}.example" for number in range(3)]
    for url in urls:
        await webhooks.create(url=url)
    for endpoint in await webhooks.repository.list(TENANT):
        await webhooks.run(endpoint)
    assert not await webhooks.due()
    await webhooks.place()
    webhooks.receiver.hold = asyncio.Event()
    async with delivering(webhooks) as deliveries:
        deliveries.appended(TENANT)
        await eventually(lambda: webhooks.receiver.open_requests == OPTIONS.places)
        await eventually(webhooks.due)


async def test_slow_endpoints_leave_the_places_of_fast_ones(webhooks: Webhooks) -> None:
    """Two endpoints that never respond take both places, and give them up after a second."""
    for number in range(2):
        await webhooks.create(url=f"https://slow-{number}.example")
    await webhooks.place()
    webhooks.receiver.hold = asyncio.Event()
    async with delivering(webhooks) as deliveries:
        deliveries.appended(TENANT)
        await eventually(lambda: webhooks.receiver.open_requests == OPTIONS.places)
        await webhooks.create(url="https://fast.example", tenant="other", position=await webhooks.reader.latest(TENANT))
        lane = deliveries._fast
        assert not lane.enter_at_once()
        await eventually(lane.enter_at_once, patience=SLOW_SECONDS * 20)
        assert webhooks.receiver.open_requests == OPTIONS.places, "they still have not responded"


async def test_what_comes_after_the_stop_is_handed_over(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.run(endpoint)
    async with delivering(webhooks) as deliveries:
        deliveries.stop()
        await webhooks.place()
        deliveries.appended(TENANT)
        await deliveries.close()
    assert webhooks.receiver.ids() == []
    assert await webhooks.due()


async def test_an_attempt_that_outlives_the_drain_time_is_cancelled(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place()
    webhooks.receiver.hold = asyncio.Event()
    async with delivering(webhooks, replace(NEVER, drain_seconds=0.05)) as deliveries:
        deliveries.appended(TENANT)
        await eventually(lambda: webhooks.receiver.open_requests == 1)
        await deliveries.close()
    webhooks.clock.advance(LEASE)
    webhooks.stopping = asyncio.Event()
    await webhooks.run(endpoint)
    assert len(webhooks.receiver.ids()) == 2


@pytest.mark.parametrize("error", [StorageUnavailable("planted"), RuntimeError("planted")])
async def test_an_error_ends_no_loop(webhooks: Webhooks, error: Exception) -> None:
    class Unreachable(DynamoEndpointLeases):
        looks = 0

        async def due(self, *_: object) -> list[tuple[str, str]]:
            self.looks += 1
            raise error

    leases = Unreachable(webhooks.dynamo, TABLES, duration=LEASE)
    webhooks.leases = leases
    errors: list[None] = []
    webhooks.stopping = asyncio.Event()
    deliveries = Deliveries(webhooks.repository, webhooks.tools, OPTIONS, on_error=lambda: errors.append(None))
    running = asyncio.create_task(deliveries.run())
    await eventually(lambda: leases.looks > 2)
    await deliveries.close()
    await running
    assert len(errors) >= 2


async def test_a_lane_gives_its_places_in_turn() -> None:
    lane = Lane(1)
    assert lane.enter_at_once()
    first, second = (asyncio.create_task(lane.enter()) for _ in range(2))
    await asyncio.sleep(0)
    assert not lane.enter_at_once()
    first.cancel()
    await asyncio.sleep(0)
    lane.leave()
    await second
    assert not lane.enter_at_once()
    lane.leave()
    assert lane.enter_at_once()


async def test_a_place_that_is_given_while_its_task_is_cancelled_is_not_lost() -> None:
    lane = Lane(1)
    await lane.enter()
    waiting = asyncio.create_task(lane.enter())
    await asyncio.sleep(0)
    lane.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert lane.enter_at_once()


async def test_a_slow_place_is_taken_once() -> None:
    fast, slow = Lane(1), Lane(1)
    assert fast.enter_at_once()
    place = Place(fast, slow)
    await place.resume()
    assert not place.is_slow
    place.slow_down()
    assert fast.enter_at_once()
    await place.resume()
    await place.resume()
    assert not slow.enter_at_once()
    place.slow_down()
    place.keep_pace()
    place.leave()
    place.leave()
    assert slow.enter_at_once()
