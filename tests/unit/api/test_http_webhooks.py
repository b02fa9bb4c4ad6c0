"""Webhook endpoints over HTTP: create with a challenge, change, verify, rotate, deliveries, redeliver, replay."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from order_api.limits import RateLimited
from order_api.webhook.challenges import MAX_CHALLENGES, MAX_CHALLENGES_PER_TENANT, Challenges
from order_shared.domain.clock import to_text, utc_now
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.models import MAX_ENDPOINTS, Delivery
from order_shared.domain.webhook.signing import new_secret
from order_shared.storage.webhooks.endpoints import DynamoEndpointRepository
from order_shared.storage.webhooks.leases import DynamoEndpointLeases
from tests.fakes import TABLES, MemoryStore
from tests.unit.api.conftest import SETTINGS, Api, open_api, problem_of
from tests.unit.api.event_log import Log
from tests.waiting import eventually

PATH = "/v1/webhook-endpoints"
URL = "https://shop.example.com/webhooks"
DAY = timedelta(days=1)


def owner(api: Api, tenant: str = "acme") -> dict[str, str]:
    return api.headers(tenant, "shop", "webhooks:write")


async def create(api: Api, key: str = "k", **body: Any) -> dict[str, Any]:
    headers = owner(api) | {"Idempotency-Key": key}
    response = await api.http.post(PATH, json={"url": URL, **body}, headers=headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def call(
    api: Api, method: str, endpoint: Mapping[str, Any], action: str = "", status: int = 200, **options: Any
) -> dict[str, Any]:
    headers = owner(api) | options.pop("headers", {})
    response = await api.http.request(method, f"{PATH}/{endpoint['id']}{action}", headers=headers, **options)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


class TestCreate:
    async def test_a_receiver_that_answers_the_challenge_is_active(self, api: Api) -> None:
        response = await api.http.post(
            PATH,
            json={"url": URL, "types": ["order.rejected.v1", "order.confirmed.v1"], "description": "ERP"},
            headers=owner(api) | {"Idempotency-Key": "k"},
        )
        created = response.json()
        assert (response.status_code, response.headers["Location"]) == (201, f"{PATH}/{created['id']}")
        assert response.headers["ETag"] == '"1"'
        assert (created["state"], created["verification"]["status"]) == ("active", 200)
        assert created["types"] == ["order.confirmed.v1", "order.rejected.v1"]
        (received,) = api.receivers.received
        event = Webhook(created["secret"]).verify(received.body, dict(received.headers))
        assert (event["type"], event["subject"]) == ("webhook_endpoint.verify.v1", created["id"])
        read = await call(api, "GET", created)
        assert read == created | {"secret": None, "verification": None}

    @pytest.mark.parametrize("status", [404, 500])
    async def test_another_receiver_is_unverified_and_can_be_verified_later(self, api: Api, status: int) -> None:
        api.receivers.status[URL] = status
        created = await create(api)
        assert (created["state"], created["verification"]["status"]) == ("unverified", status)
        assert created["verification"]["response"] == f"status {status}"
        assert (await call(api, "POST", created, "/verify"))["state"] == "unverified"
        del api.receivers.status[URL]
        verified = await call(api, "POST", created, "/verify")
        assert (verified["state"], verified["version"]) == ("active", 2)
        Webhook(created["secret"]).verify(api.receivers.received[-1].body, dict(api.receivers.received[-1].headers))

    async def test_a_receiver_that_does_not_respond_is_unverified(self, api: Api) -> None:
        api.receivers.errors[URL] = AttemptError.TIMED_OUT
        created = await create(api)
        assert (created["state"], created["verification"]["error"]) == ("unverified", "timed_out")

    async def test_a_disabled_endpoint_is_not_challenged(self, api: Api) -> None:
        created = await create(api, enabled=False)
        assert (created["state"], created["disabled_reason"]) == ("disabled", "requested")
        assert (api.receivers.received, created["verification"]) == ([], None)

    async def test_a_repetition_creates_nothing_and_returns_the_secret(self, api: Api) -> None:
        created = await create(api)
        headers = owner(api) | {"Idempotency-Key": "k"}
        again = await api.http.post(PATH, json={"url": URL}, headers=headers)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert again.json() == created | {"verification": None}
        assert len(api.receivers.received) == 1
        other = await api.http.post(PATH, json={"url": f"{URL}/other"}, headers=headers)
        problem_of(other, 422, "idempotency_key_reused")

    async def test_concurrent_repetitions_create_one_endpoint(self, api: Api) -> None:
        created = await asyncio.gather(*(create(api) for _ in range(3)))
        assert len({each["id"] for each in created}) == len({each["secret"] for each in created}) == 1
        listed = (await api.http.get(PATH, headers=owner(api))).json()
        assert len(listed["items"]) == 1

    async def test_a_repetition_after_the_deletion_is_not_found(self, api: Api) -> None:
        await call(api, "DELETE", await create(api))
        again = await api.http.post(PATH, json={"url": URL}, headers=owner(api) | {"Idempotency-Key": "k"})
        problem_of(again, 404, "webhook_endpoint_not_found")

    @pytest.mark.parametrize(
        "url", ["http://shop.example.com/", "https://127.0.0.1/", "https://[::1]/", "https://a@shop.example.com/", "x"]
    )
    async def test_a_url_that_cannot_be_sent_to_is_refused(self, api: Api, url: str) -> None:
        response = await api.http.post(PATH, json={"url": url}, headers=owner(api) | {"Idempotency-Key": "k"})
        assert problem_of(response, 422, "url_not_allowed")["errors"][0]["pointer"] == "/url"
        assert api.receivers.received == []

    async def test_a_name_of_a_private_address_is_refused(self, api: Api) -> None:
        api.receivers.errors[URL] = AttemptError.ADDRESS_NOT_PUBLIC
        response = await api.http.post(PATH, json={"url": URL}, headers=owner(api) | {"Idempotency-Key": "k"})
        problem_of(response, 422, "url_not_allowed")
        assert (await api.http.get(PATH, headers=owner(api))).json()["items"] == []

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/url"),
            ({"url": 1}, "/url"),
            ({"url": ""}, "/url"),
            ({"url": "https://shop.example.com/" + "a" * 2048}, "/url"),
            ({"url": URL, "types": ["order.confirmd.v1"]}, "/types/0"),
            ({"url": URL, "types": "order.confirmed.v1"}, "/types"),
            ({"url": URL, "types": ["order.confirmed.v1"] * 9}, "/types"),
            ({"url": URL, "description": "a" * 201}, "/description"),
            ({"url": URL, "description": "a\nb"}, "/description"),
            ({"url": URL, "enabled": "yes"}, "/enabled"),
            ({"url": URL, "secret": "mine"}, "/secret"),
        ],
    )
    async def test_a_body_that_is_not_valid_is_refused(self, api: Api, body: Any, pointer: str) -> None:
        response = await api.http.post(PATH, json=body, headers=owner(api) | {"Idempotency-Key": "k"})
        assert [fault["pointer"] for fault in problem_of(response, 400, "validation_failed")["errors"]] == [pointer]

    async def test_a_tenant_has_a_limited_number_of_endpoints(self, api: Api) -> None:
        for number in range(MAX_ENDPOINTS):
            await create(api, str(number))
        headers = owner(api) | {"Idempotency-Key": "one more"}
        problem_of(await api.http.post(PATH, json={"url": URL}, headers=headers), 409, "too_many_webhook_endpoints")
        other = owner(api, "globex") | {"Idempotency-Key": "k"}
        assert (await api.http.post(PATH, json={"url": URL}, headers=other)).status_code == 201

    async def test_an_environment_without_webhooks_says_so(self) -> None:
        async with open_api(settings=SETTINGS.model_copy(update={"webhook_keys": ()})) as api:
            problem_of(await api.http.get(PATH, headers=owner(api)), 404, "webhooks_not_available")
            problem_of(await api.http.get(f"{PATH}/we_1/deliveries", headers=owner(api)), 404, "webhooks_not_available")


class TestChange:
    async def test_settings_are_replaced_and_the_state_stays(self, api: Api) -> None:
        created = await create(api, types=["order.confirmed.v1"], description="ERP")
        changed = await call(api, "PUT", created, json={"url": URL, "types": ["order.placed.v1"]})
        assert (changed["types"], changed["description"], changed["version"]) == (["order.placed.v1"], "", 2)
        assert (changed["state"], changed["verification"]) == ("active", None)
        assert len(api.receivers.received) == 1

    async def test_a_new_url_is_challenged(self, api: Api) -> None:
        created = await create(api)
        other = f"{URL}/other"
        api.receivers.status[other] = 500
        changed = await call(api, "PUT", created, json={"url": other})
        assert (changed["url"], changed["state"], changed["verification"]["status"]) == (other, "unverified", 500)
        del api.receivers.status[other]
        assert (await call(api, "PUT", created, json={"url": other}))["state"] == "active"
        assert api.receivers.received[-1].url == other

    async def test_disable_and_enable(self, api: Api) -> None:
        created = await create(api)
        disabled = await call(api, "PUT", created, json={"url": URL, "enabled": False})
        assert (disabled["state"], disabled["disabled_reason"]) == ("disabled", "requested")
        enabled = await call(api, "PUT", created, json={"url": URL, "enabled": True})
        assert (enabled["state"], enabled["disabled_reason"]) == ("active", None)
        assert len(api.receivers.received) == 2

    async def test_only_the_version_that_was_seen_is_changed(self, api: Api) -> None:
        created = await create(api)
        await call(api, "PUT", created, json={"url": URL, "description": "a"}, headers={"If-Match": '"1"'})
        response = await api.http.put(
            f"{PATH}/{created['id']}", json={"url": URL}, headers=owner(api) | {"If-Match": '"1"'}
        )
        assert problem_of(response, 412, "version_mismatch")["current_version"] == 2
        assert (await call(api, "GET", created))["description"] == "a"

    async def test_a_private_address_is_refused(self, api: Api) -> None:
        created = await create(api)
        response = await api.http.put(f"{PATH}/{created['id']}", json={"url": "https://10.0.0.1/"}, headers=owner(api))
        problem_of(response, 422, "url_not_allowed")

    async def test_a_deleted_endpoint_is_gone(self, api: Api) -> None:
        created = await create(api)
        deleted = await call(api, "DELETE", created)
        assert deleted["id"] == created["id"]
        for method in ("GET", "DELETE"):
            response = await api.http.request(method, f"{PATH}/{created['id']}", headers=owner(api))
            problem_of(response, 404, "webhook_endpoint_not_found")

    async def test_a_list_has_pages_of_the_oldest_first(self, api: Api) -> None:
        created = [(await create(api, str(each)))["id"] for each in range(5)]
        listed: list[str] = []
        params: dict[str, Any] = {"limit": 2}
        while True:
            page = (await api.http.get(PATH, params=params, headers=owner(api))).json()
            listed += [each["id"] for each in page["items"]]
            if not page["has_more"]:
                break
            params["cursor"] = page["next_cursor"]
        assert listed == created

    @pytest.mark.parametrize("endpoint_id", ["we_1", "we_" + "0" * 26, "ord_1", "%20"])
    async def test_an_unknown_id_is_not_found(self, api: Api, endpoint_id: str) -> None:
        response = await api.http.get(f"{PATH}/{endpoint_id}", headers=owner(api))
        problem_of(response, 404, "webhook_endpoint_not_found")


class TestSecret:
    async def test_two_secrets_are_valid_after_a_rotation(self, api: Api) -> None:
        created = await create(api)
        rotated = await call(api, "POST", created, "/rotate-secret", json={})
        assert rotated["secret"] not in (None, created["secret"])
        assert rotated["previous_secret_expires_at"] is not None
        await call(api, "POST", created, "/verify")
        received = api.receivers.received[-1]
        for secret in (created["secret"], rotated["secret"]):
            Webhook(secret).verify(received.body, dict(received.headers))

    async def test_a_repetition_returns_the_same_secret(self, api: Api) -> None:
        created = await create(api)
        first, again = [await call(api, "POST", created, "/rotate-secret", json={}) for _ in range(2)]
        assert first == again

    async def test_the_previous_secret_can_be_ended(self, api: Api) -> None:
        created = await create(api)
        rotated = await call(api, "POST", created, "/rotate-secret", json={})
        ended = await call(api, "POST", created, "/rotate-secret", json={"end_previous": True})
        assert (ended["secret"], ended["previous_secret_expires_at"]) == (None, None)
        await call(api, "POST", created, "/verify")
        received = api.receivers.received[-1]
        assert received.headers["webhook-signature"].count("v1,") == 1
        Webhook(rotated["secret"]).verify(received.body, dict(received.headers))
        third = await call(api, "POST", created, "/rotate-secret", json={})
        assert third["secret"] not in (created["secret"], rotated["secret"])

    async def test_no_secret_is_stored_in_the_clear(self, api: Api) -> None:
        created = await create(api)
        rotated = await call(api, "POST", created, "/rotate-secret", json={})
        stored = repr(api.store.tables.items)
        for secret in (created["secret"], rotated["secret"]):
            assert secret not in stored
            assert secret.removeprefix("whsec_") not in stored


class Stored:
    """Endpoint of the tests with deliveries that wait, as the notifier stores them."""

    def __init__(self, store: MemoryStore, endpoint_id: str) -> None:
        dynamo = store.tables.client()
        self.id = endpoint_id
        self.endpoints = DynamoEndpointRepository(dynamo, TABLES, store.clock)
        self.leases = DynamoEndpointLeases(dynamo, TABLES, duration=timedelta(minutes=1), clock=store.clock)
        self.log = Log(store)

    async def fail(self, *sequences: int) -> None:
        order = await self.log.place()
        event = next(iter(OrderEvents.of(order)))
        at = utc_now()
        attempt = Attempt(at=at, status=500, error=None, milliseconds=3, response="no")
        added = [
            Delivery(sequence=each, event=event, created_at=at, due_at=at + DAY).after(attempt) for each in sequences
        ]
        lease = await self.leases.take("acme", self.id)
        assert lease is not None
        await self.leases.release(await self.leases.save(lease, lease.endpoint, added=added), None)


class TestDeliveries:
    async def test_are_listed_newest_first_with_their_attempts(self, api: Api) -> None:
        created = await create(api)
        await Stored(api.store, created["id"]).fail(3, 4, 5)
        page = await call(api, "GET", created, "/deliveries", params={"limit": 2})
        assert [each["id"] for each in page["items"]] == ["5", "4"]
        rest = await call(api, "GET", created, "/deliveries", params={"limit": 2, "cursor": page["next_cursor"]})
        assert ([each["id"] for each in rest["items"]], rest["has_more"]) == (["3"], False)
        delivery = page["items"][0]
        assert (delivery["state"], delivery["attempted"]) == ("waiting", 1)
        assert delivery["attempts"][0]["response"] == "no"
        assert delivery["event_id"].endswith(".1.placed")
        assert (await call(api, "GET", created))["waiting"] == 3

    async def test_a_cursor_is_of_one_endpoint(self, api: Api) -> None:
        created, other = await create(api), await create(api, "other")
        await Stored(api.store, created["id"]).fail(3, 4)
        page = await call(api, "GET", created, "/deliveries", params={"limit": 1})
        response = await api.http.get(
            f"{PATH}/{other['id']}/deliveries", params={"cursor": page["next_cursor"]}, headers=owner(api)
        )
        problem_of(response, 400, "invalid_cursor")

    async def test_redelivery_is_due_now(self, api: Api) -> None:
        created = await create(api)
        stored = Stored(api.store, created["id"])
        await stored.fail(3)
        again = await call(api, "POST", created, "/deliveries/3/redeliver", status=202)
        assert (again["state"], again["attempted"]) == ("waiting", 1)
        assert again["next_attempt_at"] < to_text(utc_now() + DAY / 2)
        assert ("acme", created["id"]) in await stored.leases.due(utc_now() + timedelta(seconds=1), limit=10)

    async def test_an_unknown_delivery_is_not_found(self, api: Api) -> None:
        created = await create(api)
        response = await api.http.post(f"{PATH}/{created['id']}/deliveries/9/redeliver", headers=owner(api))
        problem_of(response, 404, "delivery_not_found")
        response = await api.http.post(f"{PATH}/{created['id']}/deliveries/-9/redeliver", headers=owner(api))
        problem_of(response, 400, "validation_failed")

    @pytest.mark.parametrize(
        ("action", "body"), [("/replay", {"since": "2026-01-31T09:05:00Z"}), ("/deliveries/3/redeliver", None)]
    )
    async def test_an_endpoint_that_receives_nothing_gets_nothing_again(self, api: Api, action: str, body: Any) -> None:
        created = await create(api)
        await Stored(api.store, created["id"]).fail(3)
        await call(api, "PUT", created, json={"url": URL, "enabled": False})
        response = await api.http.post(f"{PATH}/{created['id']}{action}", json=body, headers=owner(api))
        problem_of(response, 409, "webhook_endpoint_inactive")


class TestReplay:
    async def endpoint_at_end(self, api: Api, orders: int) -> dict[str, Any]:
        """Return an endpoint that has received the events of some orders."""
        log = Log(api.store)
        for _ in range(orders):
            await log.place()
        return await create(api)

    async def test_a_range_of_times_is_sent_again(self, api: Api) -> None:
        created = await self.endpoint_at_end(api, 3)
        body = {"since": to_text(utc_now() - DAY)}
        replayed = await call(api, "POST", created, "/replay", status=202, json=body)
        assert replayed["replaying"] == 3
        until = body | {"until": to_text(utc_now() - DAY / 2)}
        assert (await call(api, "POST", created, "/replay", status=202, json=until))["replaying"] == 0

    async def test_a_time_to_come_has_no_events(self, api: Api) -> None:
        created = await self.endpoint_at_end(api, 3)
        body = {"since": to_text(utc_now() + DAY)}
        assert (await call(api, "POST", created, "/replay", status=202, json=body))["replaying"] == 0

    @pytest.mark.parametrize("body", [{}, {"since": "yesterday"}, {"since": "2026-01-31"}, {"since": 5}])
    async def test_a_range_needs_times(self, api: Api, body: Any) -> None:
        created = await create(api)
        response = await api.http.post(f"{PATH}/{created['id']}/replay", json=body, headers=owner(api))
        assert problem_of(response, 400, "validation_failed")["errors"][0]["pointer"] == "/since"


class HangingReceiver:
    """Sender whose requests end when the test says so."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:  # noqa: ARG002
        self.sent += 1
        await self.ended.wait()
        return Attempt(at=utc_now(), status=500, error=None, milliseconds=1, response="")


async def test_the_number_of_challenges_at_a_time_is_limited() -> None:
    sender = HangingReceiver()
    challenges = Challenges(sender, utc_now)

    async def ask(tenant: str) -> bool:
        result = await challenges.ask(tenant=tenant, endpoint_id="we_1", url=URL, secrets=[new_secret()])
        return result.answered

    tenants = [f"shop-{number // MAX_CHALLENGES_PER_TENANT}" for number in range(MAX_CHALLENGES)]
    running = [asyncio.create_task(ask(tenant)) for tenant in tenants[:MAX_CHALLENGES_PER_TENANT]]
    await eventually(lambda: sender.sent == MAX_CHALLENGES_PER_TENANT)
    with pytest.raises(RateLimited):
        await ask("shop-0")
    running += [asyncio.create_task(ask(tenant)) for tenant in tenants[MAX_CHALLENGES_PER_TENANT:]]
    await eventually(lambda: sender.sent == MAX_CHALLENGES)
    with pytest.raises(RateLimited):
        await ask("another shop")
    sender.ended.set()
    assert await asyncio.gather(*running) == [False] * MAX_CHALLENGES
    assert not await ask("shop-0")
