"""Reading events over HTTP: order, filters, positions, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from order_api.cursors import CursorCodec
from order_api.document import published
from order_api.event.exceptions import InvalidPosition
from order_api.event.service import EVENTS_PER_TOKEN, EventService, Feed
from order_api.limits import TenantBuckets
from order_shared.documents import asyncapi
from order_shared.domain.order.events import EventType
from order_shared.tables import ORDERS
from tests.documents import faults
from tests.fakes import memory_adapters
from tests.unit.api.conftest import SETTINGS, Api, open_api, problem_of
from tests.unit.api.event_log import Log

OWN, TENANT = "/v1/events", "/v1/tenant/events"
OPENAPI, ASYNCAPI = published(), asyncapi.document()
FUTURE = 99
"""Item version of a newer release."""


@pytest.fixture
def log(api: Api) -> Log:
    return Log(api.store)


def staff(api: Api, tenant: str = "acme") -> dict[str, str]:
    return api.headers(tenant, "staff", "orders:admin")


async def read(api: Api, path: str = OWN, headers: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
    response = await api.http.get(path, params=params, headers=headers or api.headers())
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def walk(api: Api, path: str = OWN, headers: dict[str, str] | None = None, **params: Any) -> list[dict[str, Any]]:
    """Return all events by following `next`."""
    found: list[dict[str, Any]] = []
    async for page in _pages(api, path, headers, params):
        found += page["items"]
    return found


async def _pages(
    api: Api, path: str, headers: dict[str, str] | None, params: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    has_more = True
    while has_more:
        page = await read(api, path, headers, **params)
        params, has_more = params | {"after": page["next"]}, page["has_more"]
        yield page


def changes(events: list[dict[str, Any]]) -> list[str]:
    return [event["id"].partition(".")[2] for event in events]


async def test_an_event_is_a_cloud_event_with_the_order_as_it_is_now(api: Api, log: Log) -> None:
    order = await log.place()
    ended = await log.end(order)
    page = await read(api)
    now = (await api.http.get(f"/v1/orders/{order.order_id}", headers=api.headers())).json()
    assert page["__typename"] == "EventPage"
    assert page["items"][0] == {
        "specversion": "1.0",
        "id": f"{order.order_id}.1.placed",
        "source": "/v1/orders",
        "type": "order.placed.v1",
        "subject": order.order_id,
        "time": now["created_at"],
        "tenantid": "acme",
        "datacontenttype": "application/json",
        "data": now,
    }
    assert changes(page["items"]) == ["1.placed", "2.confirmed"]
    assert (now["version"], page["items"][0]["data"]["version"]) == (ended.version, ended.version)
    assert page["has_more"] is False


async def test_events_fit_the_documents(api: Api, log: Log) -> None:
    """The AsyncAPI document describes the events, and the OpenAPI document the whole responses."""
    await log.end(await log.place())
    await log.end(await log.place(), confirmed=False)
    for path, headers, model in ((OWN, api.headers(), "EventPage"), (TENANT, staff(api), "TenantEventPage")):
        page = await read(api, path, headers)
        assert faults(OPENAPI, {"$ref": f"#/components/schemas/{model}"}, page) == []
        for event in page["items"]:
            payload = ASYNCAPI["components"]["messages"][event["type"]]["payload"]
            assert faults(ASYNCAPI, payload, event) == []
        del page["items"][0]["data"]
        assert faults(OPENAPI, {"$ref": f"#/components/schemas/{model}"}, page) == []


async def test_the_events_of_a_tenant_tell_the_customer(api: Api, log: Log) -> None:
    await log.place("ada")
    await log.place("bob")
    await log.place("ada", tenant="globex")
    events = await walk(api, TENANT, staff(api))
    assert [event["data"]["customer"] for event in events] == ["ada", "bob"]
    assert {event["tenantid"] for event in events} == {"acme"}
    assert len(await walk(api)) == 1, "orders:read shows the customer's own events"


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_every_event_is_read_once_in_order(api: Api, log: Log, limit: int) -> None:
    for number in range(4):
        await log.end(await log.place(("ada", "bob")[number % 2]))
    assert changes(await walk(api, limit=limit)) == ["1.placed", "2.confirmed"] * 2
    assert changes(await walk(api, TENANT, staff(api), limit=limit)) == ["1.placed", "2.confirmed"] * 4


async def test_types_are_filtered_and_the_position_advances_without_a_match(api: Api, log: Log) -> None:
    await log.end(await log.place())
    await log.end(await log.place(), confirmed=False)
    assert changes(await walk(api, type="order.rejected.v1")) == ["2.rejected"]
    both = [EventType.REJECTED, EventType.CONFIRMED]
    assert changes(await walk(api, type=both)) == ["2.confirmed", "2.rejected"]
    nothing = await read(api, type="order.refunded.v1")
    assert (nothing["items"], nothing["has_more"]) == ([], False)
    assert (await read(api, after=nothing["next"]))["items"] == [], "the types of a position may change"


async def test_latest_is_the_end_of_the_feed(api: Api, log: Log) -> None:
    await log.place()
    page = await read(api, after="latest")
    assert (page["items"], page["has_more"]) == ([], False)
    order = await log.place()
    assert [event["subject"] for event in await walk(api, after=page["next"])] == [order.order_id]


async def test_a_position_from_before_the_first_event_continues_with_it(api: Api, log: Log) -> None:
    start = (await read(api, after="latest"))["next"]
    assert (await read(api, after=start))["items"] == []
    await log.place()
    assert len((await read(api, after=start))["items"]) == 1


async def test_a_position_is_valid_in_every_process_and_after_a_rotation_of_the_secrets(api: Api, log: Log) -> None:
    adapters = memory_adapters(api.store)
    order = await log.place()
    feed = Feed(tenant="acme", customer=order.customer)
    before, after, without = (
        EventService(
            adapters.event_reader,
            adapters.orders,
            CursorCodec(secrets),
            TenantBuckets(rate=1, burst=1),
            on_unreadable=lambda *_, **__: None,
        )
        for secrets in (["the former secret"], ["the new secret", "the former secret"], ["the new secret"])
    )
    position = await before.position(feed, "latest")
    assert await after.position(feed, before.token(feed, position)) == position
    assert await without.position(feed, after.token(feed, position)) == position, "the first one signs"
    with pytest.raises(InvalidPosition):
        await without.position(feed, before.token(feed, position))


async def test_a_backend_reads_the_events_of_the_customer_that_it_names(api: Api, log: Log) -> None:
    await log.place("ada")
    bob = await log.place("bob")
    headers = api.headers(customer="backend", scope="orders:read orders:act")
    assert await walk(api, OWN, headers) == []
    (event,) = await walk(api, OWN, headers | {"Order-Customer": "bob"})
    assert event["subject"] == bob.order_id


async def test_an_order_that_this_release_cannot_read_leaves_its_events_without_data(api: Api, log: Log) -> None:
    readable, newer = await log.place(), await log.place()
    log.put(newer, item_version=FUTURE)
    first, second = await walk(api)
    assert first["data"]["id"] == readable.order_id
    assert "data" not in second
    assert (second["subject"], second["type"]) == (newer.order_id, "order.placed.v1")
    assert 'order_unreadable_items_total{kind="order"} 1.0' in (await api.http.get("/metrics")).text


async def test_an_order_that_is_older_than_its_event_is_left_out(api: Api, log: Log) -> None:
    """A replica of another region may get the event before the order."""
    order = await log.place()
    await log.end(order)
    log.put(order)
    first, second = await walk(api)
    assert first["data"]["version"] == 1
    assert "data" not in second


async def test_an_event_without_an_order_has_no_data(api: Api, log: Log) -> None:
    order = await log.place()
    for key, _ in api.store.tables.of_table(ORDERS.name):
        api.store.tables.store(key, None)
    (event,) = await walk(api)
    assert (event["subject"], "data" in event) == (order.order_id, False)


async def test_a_position_holds_for_its_customer_and_feed_only(api: Api, log: Log) -> None:
    await log.place()
    own = (await read(api))["next"]
    of_tenant = (await read(api, TENANT, staff(api)))["next"]
    attempts = [
        (OWN, api.headers(customer="bob"), own),
        (OWN, api.headers("globex"), own),
        (OWN, api.headers(), of_tenant),
        (TENANT, staff(api), own),
        (TENANT, staff(api, "globex"), of_tenant),
        (OWN, api.headers(), "forged"),
        (OWN, api.headers(), own[:-9] + ("A" if own[-9] != "A" else "B") + own[-8:]),
    ]
    for path, headers, position in attempts:
        response = await api.http.get(path, params={"after": position}, headers=headers)
        problem = problem_of(response, 400, "invalid_position")
        assert problem["errors"][0]["pointer"] == "query:after"
    assert (await read(api, TENANT, api.headers(customer="other", scope="orders:admin"), after=of_tenant))[
        "items"
    ] == []


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"type": "order.lost.v1"},
        {"after": "x" * 513},
        {"cursor": "x"},
        {"customer": "bob"},
        {"tenant": "globex"},
    ],
    ids=str,
)
async def test_an_invalid_query_is_refused(api: Api, params: dict[str, str]) -> None:
    for path, headers in ((OWN, api.headers()), (TENANT, staff(api))):
        problem_of(await api.http.get(path, params=params, headers=headers), 400, "validation_failed")


async def test_an_unknown_type_gets_a_suggestion(api: Api) -> None:
    response = await api.http.get(OWN, params={"type": "order.confirm.v1"}, headers=api.headers())
    assert "did you mean order.confirmed.v1?" in problem_of(response, 400, "validation_failed")["errors"][0]["detail"]


async def test_a_position_whose_events_have_expired_is_gone(api: Api, log: Log) -> None:
    start = (await read(api, after="latest"))["next"]
    await log.place()
    log.expire()
    order = await log.place()
    for params in ({}, {"type": "order.placed.v1"}):
        response = await api.http.get(OWN, params={"after": start, **params}, headers=api.headers())
        problem = problem_of(response, 410, "position_expired")
        assert "older than 30 days" in problem["detail"]
        assert "after=latest" in problem["detail"]
        assert problem["retryable"] is False
    (event,) = await walk(api)
    assert event["subject"] == order.order_id, "without a position the feed begins with the oldest event kept"


@pytest.mark.parametrize(("change", "cause"), [({"epoch": 1}, "restored"), ({"next": 1}, "after the end of the log")])
async def test_a_position_of_a_log_that_was_restored_is_gone(
    api: Api, log: Log, change: dict[str, int], cause: str
) -> None:
    await log.place()
    position = (await read(api))["next"]
    log.change_head("acme", **change)
    response = await api.http.get(OWN, params={"after": position}, headers=api.headers())
    assert cause in problem_of(response, 410, "position_expired")["detail"]


@pytest.mark.parametrize("path", [OWN, TENANT, f"{OWN}/stream", f"{TENANT}/stream"])
async def test_another_scope_reads_nothing(api: Api, log: Log, path: str) -> None:
    await log.place()
    others = (
        "orders:read orders:write orders:act" if path.startswith(TENANT) else "orders:write orders:admin orders:act"
    )
    response = await api.http.get(path, headers=api.headers(scope=f"{others} products:read"))
    problem_of(response, 403, "insufficient_scope")


async def test_examined_events_are_charged_to_the_tenant() -> None:
    """Also those of other customers, which cost the same reads."""
    frugal = SETTINGS.model_copy(update={"rate_limit_per_second": 0.001, "rate_limit_burst": 10})
    async with open_api(settings=frugal) as api:
        log = Log(api.store)
        await log.place_many(5 * EVENTS_PER_TOKEN, "bob")
        start = await read(api, after="latest")
        assert start["items"] == []
        response = await api.http.get(OWN, headers=api.headers())
        assert "r=8;" in response.headers["RateLimit"], "two requests, before the charge"
        assert (
            "r=3;" in (await api.http.get(OWN, params={"after": "latest"}, headers=api.headers())).headers["RateLimit"]
        )
        assert (await api.http.get(OWN, headers=api.headers())).status_code == 200, (
            "the request is granted, and in debt"
        )
        problem_of(await api.http.get(OWN, headers=api.headers()), 429, "rate_limited")
        assert (await api.http.get(OWN, headers=api.headers("globex"))).status_code == 200


async def test_a_head_of_a_feed_has_no_body(api: Api, log: Log) -> None:
    await log.place()
    response = await api.http.head(OWN, headers=api.headers())
    assert (response.status_code, response.content) == (200, b"")
