"""One notifier at one endpoint: what it sends, what it stores, and when it comes back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from order_notifier.webhook.parallel import PARALLEL_ORDERS
from order_notifier.webhook.places import Place
from order_notifier.webhook.run import EndpointRun
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import AttemptError
from order_shared.domain.webhook.health import (
    DISABLE_AFTER,
    FAILURES_TO_FAILING,
    FIRST_DELAY,
    GIVE_UP_AFTER,
    LONGEST_DELAY,
    DisabledReason,
    EndpointState,
)
from order_shared.domain.webhook.models import (
    MAX_ATTEMPTS_KEPT,
    MAX_RESPONSES_KEPT,
    MAX_WAITING,
    DeliveryState,
    SealedSecret,
)
from order_shared.domain.webhook.secret_box import CannotOpenSecret, Sealed
from order_shared.domain.webhook.signing import sign
from order_shared.storage.event_log.read import BEFORE_LOG
from tests.unit.notifier.webhooks import LEASE, SECRET, TENANT, Webhooks, short
from tests.waiting import eventually

FIRST = timedelta(seconds=FIRST_DELAY)


@pytest.fixture
def webhooks() -> Webhooks:
    return Webhooks()


def failing_for(*subjects: str) -> Any:
    """Return a receiver's answer: 500 for these orders, 200 for all others."""
    return lambda _url, event: 500 if event["subject"] in subjects else 200


async def test_every_event_arrives_once_and_signed(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    orders = [await webhooks.reject(order) for order in await webhooks.place(30)]
    await webhooks.run(endpoint)
    received = webhooks.receiver.ids()
    assert len(received) == 60
    for order in orders:
        assert received.index(short(order, "placed")) < received.index(short(order, "rejected"))
    assert await webhooks.lag(endpoint) == 0
    headers, event = webhooks.receiver.headers[0], webhooks.receiver.received["https://shop.example"][0]
    assert headers["webhook-id"] == event["id"]
    assert event["data"]["customer"] == "ada"
    assert not await webhooks.due()


async def test_a_request_is_signed_with_every_valid_secret(webhooks: Webhooks) -> None:
    old = SealedSecret(sealed=Sealed(SECRET[:-4] + "AAA="), expires_at=webhooks.clock() + timedelta(days=1))
    await webhooks.create(secrets=(SealedSecret(sealed=Sealed(SECRET)), old))
    (endpoint,) = await webhooks.repository.list(TENANT)
    await webhooks.place()
    await webhooks.run(endpoint)
    assert len(webhooks.receiver.headers[0]["webhook-signature"].split(" ")) == 2
    webhooks.clock.advance(timedelta(days=1))
    await webhooks.place()
    await webhooks.run(endpoint)
    assert len(webhooks.receiver.headers[1]["webhook-signature"].split(" ")) == 1
    assert sign([SECRET], "a", webhooks.clock(), b"") != sign([old.sealed], "a", webhooks.clock(), b"")


async def test_only_wanted_types_are_sent(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create(types=frozenset({OrderChange.REJECTED}))
    (order,) = await webhooks.place()
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == []
    assert await webhooks.lag(endpoint) == 0, "an unwanted event is passed"
    await webhooks.reject(order)
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == [short(order, "rejected")]


async def test_at_most_ten_orders_are_served_at_a_time(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(25)
    await webhooks.run(endpoint)
    assert webhooks.receiver.most_open == PARALLEL_ORDERS


async def test_a_failed_event_waits_and_holds_back_its_order_only(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    bad, good = await webhooks.place(2)
    webhooks.receiver.answer = failing_for(bad.order_id)
    await webhooks.reject(bad)
    await webhooks.reject(good)
    await webhooks.run(endpoint)
    assert sorted(webhooks.receiver.ids()) == sorted(
        [short(bad, "placed"), short(good, "placed"), short(good, "rejected")]
    )
    first, second = await webhooks.waiting(endpoint)
    assert (first.event.change, first.attempted, first.due_at) == ("placed", 1, webhooks.clock() + FIRST)
    assert (second.event.change, second.attempted, second.due_at) == ("rejected", 0, None)
    assert await webhooks.lag(endpoint) == 0
    assert not await webhooks.due()
    webhooks.clock.advance(FIRST)
    assert await webhooks.due()


async def test_what_waits_is_delivered_in_the_order_of_its_order(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (order,) = await webhooks.place()
    webhooks.receiver.answer = failing_for(order.order_id)
    await webhooks.run(endpoint)
    await webhooks.reject(order)
    await webhooks.run(endpoint)
    assert len(await webhooks.waiting(endpoint)) == 2
    webhooks.receiver.answer = failing_for()
    webhooks.clock.advance(FIRST)
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == [short(order, "placed")] * 2 + [short(order, "rejected")]
    assert await webhooks.waiting(endpoint) == []
    stored = await webhooks.stored(endpoint)
    assert (stored.waiting, stored.health.failures, stored.delivered_at) == (0, 0, webhooks.clock())
    ended = await webhooks.repository.deliveries(TENANT, endpoint.endpoint_id, limit=10)
    assert [each.state for each in ended] == [DeliveryState.DELIVERED] * 2


async def test_the_time_between_attempts_doubles_up_to_a_quarter_of_an_hour(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (bad,) = await webhooks.place()
    webhooks.receiver.answer = failing_for(bad.order_id)
    await webhooks.run(endpoint)
    pauses = []
    for _ in range(12):
        (delivery,) = await webhooks.waiting(endpoint)
        assert delivery.due_at is not None
        pauses.append((delivery.due_at - webhooks.clock()).total_seconds())
        webhooks.clock.now = delivery.due_at
        await webhooks.place()  # keeps the endpoint active
        await webhooks.run(endpoint)
    (delivery,) = await webhooks.waiting(endpoint)
    assert (delivery.attempted, len(delivery.attempts)) == (13, MAX_ATTEMPTS_KEPT)
    assert [bool(each.response) for each in delivery.attempts] == [False] * 7 + [True] * MAX_RESPONSES_KEPT
    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == LONGEST_DELAY


async def test_an_event_that_is_never_accepted_is_given_up_after_three_days(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (bad,) = await webhooks.place()
    webhooks.receiver.answer = lambda _, event: 500 if event["type"] == "order.placed.v1" else 200
    await webhooks.reject(bad)
    await webhooks.run(endpoint)
    webhooks.clock.advance(GIVE_UP_AFTER)
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids()[-1] == short(bad, "rejected")
    found = await webhooks.repository.deliveries(TENANT, endpoint.endpoint_id, limit=10)
    assert [each.state for each in found] == [DeliveryState.DELIVERED, DeliveryState.FAILED]


async def test_an_endpoint_is_failing_after_ten_failures_in_a_row(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(40)
    webhooks.receiver.answer = lambda *_: 503
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert stored.state is EndpointState.FAILING
    assert FAILURES_TO_FAILING <= stored.health.failures < FAILURES_TO_FAILING + PARALLEL_ORDERS
    assert stored.health.failures == len(webhooks.attempts), "those in progress still end"
    assert (stored.health.probes, stored.health.probe_at) == (0, webhooks.clock() + FIRST)
    assert stored.waiting == len(await webhooks.waiting(endpoint)) == len(webhooks.attempts)
    assert await webhooks.lag(endpoint) == 40 - stored.waiting, "the rest waits in the log"


async def test_a_failing_endpoint_gets_one_probe_at_a_time_with_growing_pauses(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(40)
    webhooks.receiver.answer = lambda *_: AttemptError.TIMED_OUT
    await webhooks.run(endpoint)
    waiting = (await webhooks.stored(endpoint)).waiting
    for expected in (10, 20, 40):
        webhooks.attempts.clear()
        await webhooks.run(endpoint)
        assert not webhooks.attempts, "no probe before its time"
        probe_at = (await webhooks.stored(endpoint)).health.probe_at
        assert probe_at is not None
        webhooks.clock.now = probe_at
        assert await webhooks.due()
        await webhooks.run(endpoint)
        assert len(webhooks.attempts) == 1
        probe_at = (await webhooks.stored(endpoint)).health.probe_at
        assert probe_at == webhooks.clock() + timedelta(seconds=expected)
    assert (await webhooks.stored(endpoint)).waiting == waiting


async def test_an_endpoint_that_comes_back_gets_everything_at_once(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    orders = await webhooks.place(40)
    webhooks.receiver.answer = lambda *_: 503
    await webhooks.run(endpoint)
    webhooks.clock.advance(FIRST)
    webhooks.receiver.answer = lambda *_: 204
    webhooks.receiver.received.clear()
    await webhooks.run(endpoint)
    assert sorted(webhooks.receiver.ids()) == sorted(short(order, "placed") for order in orders)
    stored = await webhooks.stored(endpoint)
    assert (stored.state, stored.waiting, stored.health.failures) == (EndpointState.ACTIVE, 0, 0)
    assert await webhooks.lag(endpoint) == 0


async def test_a_failing_endpoint_is_disabled_after_three_days(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(20)
    webhooks.receiver.answer = lambda *_: 500
    await webhooks.run(endpoint)
    webhooks.clock.advance(DISABLE_AFTER - FIRST)
    await webhooks.run(endpoint)
    assert (await webhooks.stored(endpoint)).state is EndpointState.FAILING
    webhooks.clock.advance(timedelta(seconds=LONGEST_DELAY))
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert (stored.state, stored.health.disabled_reason) == (EndpointState.DISABLED, DisabledReason.FAILING)
    webhooks.clock.advance(DISABLE_AFTER)
    assert not await webhooks.due()
    assert not await webhooks.run(endpoint)


async def test_an_endpoint_that_responds_410_is_disabled_at_once(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(20)
    webhooks.receiver.answer = lambda *_: 410
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert (stored.state, stored.health.disabled_reason) == (EndpointState.DISABLED, DisabledReason.GONE)
    assert len(webhooks.attempts) <= PARALLEL_ORDERS, "those that were in progress"
    assert await webhooks.lag(endpoint) > 0


async def test_an_endpoint_that_is_enabled_again_goes_on_where_it_was(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    orders = await webhooks.place(20)
    webhooks.receiver.answer = lambda *_: 410
    await webhooks.run(endpoint)
    webhooks.receiver.answer = lambda *_: 200
    webhooks.receiver.received.clear()
    stored = await webhooks.stored(endpoint)
    await webhooks.repository.change(replace(stored, health=stored.health.activated()))
    webhooks.clock.advance(FIRST)
    await webhooks.run(endpoint)
    assert sorted(webhooks.receiver.ids()) == sorted(short(order, "placed") for order in orders)


async def test_no_more_than_a_hundred_deliveries_wait(webhooks: Webhooks) -> None:
    """Every other order fails, so that the endpoint is never failing by ten failures in a row."""
    endpoint = await webhooks.create()
    orders = await webhooks.place(260)
    webhooks.receiver.answer = failing_for(*(order.order_id for order in orders[::2]))
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert stored.state is EndpointState.FAILING
    assert stored.waiting == len(await webhooks.waiting(endpoint)) == MAX_WAITING
    assert await webhooks.lag(endpoint) > 0
    webhooks.receiver.answer = lambda *_: 200
    webhooks.clock.advance(FIRST)
    await webhooks.run(endpoint)
    assert await webhooks.lag(endpoint) == 0
    assert {event["subject"] for event in webhooks.receiver.received["https://shop.example"]} == {
        order.order_id for order in orders
    }


async def test_what_was_stopped_is_left_to_the_next_notifier(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    orders = await webhooks.place(30)
    webhooks.receiver.hold = asyncio.Event()
    running = asyncio.create_task(webhooks.run(endpoint))
    await eventually(lambda: webhooks.receiver.open_requests == PARALLEL_ORDERS)
    webhooks.stopping.set()
    webhooks.receiver.hold.set()
    await running
    assert len(webhooks.receiver.ids()) == 10
    assert await webhooks.lag(endpoint) == 20
    assert await webhooks.due(), "the next notifier takes it at once"
    webhooks.stopping.clear()
    await webhooks.run(endpoint)
    assert sorted(webhooks.receiver.ids()) == sorted(short(order, "placed") for order in orders)


async def test_events_that_expired_are_counted_as_missing(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(3)
    webhooks.expire_events()
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert stored.gap is not None
    assert (stored.gap.reason, stored.gap.events, stored.gap.at) == ("retention", 3, webhooks.clock())
    await webhooks.place()
    await webhooks.run(endpoint)
    assert len(webhooks.receiver.ids()) == 1


async def test_after_a_restore_an_endpoint_goes_on_at_the_oldest_event(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(2)
    await webhooks.run(endpoint)
    key = next(key for key, item in webhooks.store.tables.of_table("events") if key.hash == TENANT and key.range == "0")
    webhooks.store.tables.store(key, webhooks.store.tables.items[key] | {"epoch": {"N": "99999999999"}})
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert stored.gap is not None
    assert (stored.gap.reason, stored.gap.events) == ("epoch", None)
    assert len(webhooks.receiver.ids()) == 4, "it may not miss an event, so it gets those again that are left"


async def test_an_endpoint_that_is_older_than_the_log_gets_each_event_once(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create(position=Position(epoch=BEFORE_LOG, sequence=1))
    orders = await webhooks.place(2)
    await webhooks.run(endpoint)
    orders += await webhooks.place(1)
    await webhooks.run(endpoint)
    assert sorted(webhooks.receiver.ids()) == sorted(short(order, "placed") for order in orders)
    assert (await webhooks.stored(endpoint)).gap is None


async def test_a_replay_is_sent_before_new_events(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    first, second, third = await webhooks.place(3)
    await webhooks.run(endpoint)
    webhooks.receiver.received.clear()
    (new,) = await webhooks.place()
    start = endpoint.position.sequence
    await webhooks.repository.replay(TENANT, endpoint.endpoint_id, start + 1, start + 2)
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == [short(second, "placed"), short(new, "placed")]
    assert (await webhooks.stored(endpoint)).replay is None
    assert {first.order_id, third.order_id}


async def test_a_replay_passes_events_that_wait_already(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    bad, good = await webhooks.place(2)
    webhooks.receiver.answer = failing_for(bad.order_id)
    await webhooks.reject(bad)
    await webhooks.run(endpoint)
    assert len(await webhooks.waiting(endpoint)) == 2
    start = endpoint.position.sequence
    await webhooks.repository.replay(TENANT, endpoint.endpoint_id, start, start + 3)
    webhooks.receiver.received.clear()
    async with asyncio.timeout(5):
        await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == [short(good, "placed")]
    assert (await webhooks.stored(endpoint)).replay is None
    assert len(await webhooks.waiting(endpoint)) == 2


async def test_a_replay_of_expired_events_ends(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(3)
    await webhooks.run(endpoint)
    await webhooks.repository.replay(TENANT, endpoint.endpoint_id, 1, 3)
    webhooks.expire_events()
    webhooks.receiver.received.clear()
    await webhooks.run(endpoint)
    stored = await webhooks.stored(endpoint)
    assert (stored.replay, stored.gap) == (None, None)
    assert webhooks.receiver.ids() == []


async def test_an_event_is_sent_again_on_request(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (bad,) = await webhooks.place()
    webhooks.receiver.answer = failing_for(bad.order_id)
    await webhooks.run(endpoint)
    webhooks.receiver.answer = failing_for()
    (delivery,) = await webhooks.waiting(endpoint)
    await webhooks.repository.redeliver(TENANT, endpoint.endpoint_id, delivery)
    assert await webhooks.due()
    await webhooks.run(endpoint)
    assert webhooks.receiver.ids() == [short(bad, "placed")] * 2
    assert await webhooks.waiting(endpoint) == []


async def test_a_changed_endpoint_is_looked_at_until_every_notifier_knows_it(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create(updated_at=webhooks.clock())
    await webhooks.run(endpoint)
    webhooks.clock.advance(timedelta(seconds=1))
    assert await webhooks.due()
    webhooks.clock.advance(timedelta(seconds=6))
    await webhooks.run(endpoint)
    webhooks.clock.advance(timedelta(seconds=60))
    assert not await webhooks.due()


async def test_an_order_that_cannot_be_read_is_left_out(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    (order,) = await webhooks.place()
    key = next(key for key, _ in webhooks.store.tables.of_table("orders"))
    webhooks.store.tables.store(key, webhooks.store.tables.items[key] | {"item_version": {"N": "99"}})
    await webhooks.run(endpoint)
    (event,) = webhooks.receiver.received["https://shop.example"]
    assert "data" not in event
    assert event["subject"] == order.order_id
    assert webhooks.left_out == ["order"]


async def test_a_secret_that_cannot_be_opened_stops_the_deliveries_for_some_seconds(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create(secrets=(SealedSecret(sealed=Sealed("broken")),))
    await webhooks.place()
    with pytest.raises(CannotOpenSecret):
        await webhooks.run(endpoint)
    assert not await webhooks.due()
    webhooks.clock.advance(FIRST)
    assert await webhooks.due()
    assert await webhooks.lag(endpoint) == 1


async def test_no_attempt_starts_once_the_lease_may_have_ended(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(15)
    lease = await webhooks.leases.take(TENANT, endpoint.endpoint_id)
    assert lease is not None

    webhooks.receiver.hold = asyncio.Event()
    webhooks.slow.enter_at_once()
    run = asyncio.create_task(EndpointRun(lease, Place(webhooks.slow, webhooks.slow), webhooks.tools).run())
    await eventually(lambda: webhooks.receiver.open_requests == PARALLEL_ORDERS)
    webhooks.clock.advance(LEASE)  # as if the process had been paused
    assert await webhooks.leases.take(TENANT, endpoint.endpoint_id) is not None
    webhooks.receiver.hold.set()
    await run
    assert len(webhooks.receiver.ids()) == PARALLEL_ORDERS
    assert await webhooks.lag(endpoint) == 15, "nothing was stored without the lease"


async def test_a_change_of_the_settings_ends_a_run(webhooks: Webhooks) -> None:
    endpoint = await webhooks.create()
    await webhooks.place(3)
    webhooks.receiver.hold = asyncio.Event()
    run = asyncio.create_task(webhooks.run(endpoint))
    await eventually(lambda: webhooks.receiver.open_requests == 3)
    await webhooks.repository.change(replace(endpoint, url="https://new.example"))
    webhooks.receiver.hold.set()
    await run
    assert await webhooks.lag(endpoint) == 3
    await webhooks.run(endpoint)
    assert len(webhooks.receiver.received["https://new.example"]) == 3
