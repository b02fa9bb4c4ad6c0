"""Conditional requests and waiting for an order over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from itertools import accumulate, takewhile
from typing import Any

import httpx2
import pytest

from order_api.order.service import OrderService
from order_api.order.waiting import MAX_WAIT_SECONDS, pauses
from order_shared.domain.order.models import Customer, Order
from tests.factories import make_order, make_record
from tests.fakes import MemoryOrderRepository, MemoryStore
from tests.unit.api.conftest import Api, open_api, problem_of
from tests.waiting import eventually

ADA = Customer(tenant="acme", id="ada")


class CountingOrders(MemoryOrderRepository):
    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.reads = 0

    async def get(self, customer: Customer, order_id: str) -> Order:
        self.reads += 1
        return await super().get(customer, order_id)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api(CountingOrders) as opened:
        yield opened


def reads(api: Api) -> int:
    assert isinstance(api.orders, CountingOrders)
    return api.orders.reads


async def placed(api: Api) -> Order:
    """A pending order, at version 1."""
    order = make_order(customer=ADA)
    api.store.set_stock("acme", "TEA", [10])
    await api.orders.add(order, make_record(order))
    return order


async def confirmed(api: Api) -> Order:
    """An ended order, at version 2."""
    order = await placed(api)
    await api.orders.move(order, order.confirm(order.created_at))
    return await api.orders.get(ADA, order.order_id)


async def look(api: Api, order: Order, headers: Any = (), **who: str) -> httpx2.Response:
    sent = [*api.headers(**who).items(), *(headers.items() if isinstance(headers, dict) else headers)]
    return await api.http.get(f"/v1/orders/{order.order_id}", headers=sent)


def is_unchanged(response: httpx2.Response, version: int) -> bool:
    assert response.headers["ETag"] == f'"{version}"'
    if response.status_code == 304:
        assert response.content == b""
        assert "Content-Type" not in response.headers
        return True
    assert (response.status_code, response.json()["version"]) == (200, version)
    return False


class TestIfNoneMatch:
    @pytest.mark.parametrize("tags", ['"2"', 'W/"2"', "*", '"1", "2"', 'W/"9",W/"2"', ' "2" ', '"x,y", "2"'])
    async def test_an_order_that_is_still_the_same_is_not_sent_again(self, api: Api, tags: str) -> None:
        assert is_unchanged(await look(api, await confirmed(api), {"If-None-Match": tags}), 2)

    @pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"22"', '""', '"x"', '"1", "3"'])
    async def test_another_one_is(self, api: Api, tags: str) -> None:
        assert not is_unchanged(await look(api, await confirmed(api), {"If-None-Match": tags}), 2)

    async def test_tags_may_stand_in_several_lines(self, api: Api) -> None:
        lines = [("If-None-Match", '"1"'), ("If-None-Match", '"2"')]
        assert is_unchanged(await look(api, await confirmed(api), lines), 2)

    @pytest.mark.parametrize("tags", ["2", "", '"2', '*, "2"', '"1" "2"', "W/2", '"2",', "'2'"])
    async def test_an_invalid_list_of_tags_is_refused(self, api: Api, tags: str) -> None:
        problem = problem_of(await look(api, await confirmed(api), {"If-None-Match": tags}), 400, "validation_failed")
        assert problem["errors"][0]["pointer"].startswith("header:if-none-match")

    async def test_an_order_of_others_is_not_found(self, api: Api) -> None:
        response = await look(api, await confirmed(api), {"If-None-Match": "*"}, customer="bob")
        problem_of(response, 404, "order_not_found")


class TestWait:
    async def test_the_answer_comes_when_the_order_has_ended(self, api: Api) -> None:
        order = await placed(api)
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}))
        await eventually(lambda: reads(api) >= 2)
        assert not looking.done()
        await api.orders.move(order, order.confirm(order.created_at))
        response = await looking
        assert (response.status_code, response.json()["status"]) == (200, "confirmed")
        assert (response.headers["Preference-Applied"], response.headers["ETag"]) == ("wait=20", '"2"')

    async def test_an_order_that_has_ended_is_read_once(self, api: Api) -> None:
        order = await confirmed(api)
        before = reads(api)
        response = await look(api, order, {"Prefer": "wait=20"})
        assert (response.json()["status"], response.headers["Preference-Applied"]) == ("confirmed", "wait=20")
        assert reads(api) == before + 1

    async def test_a_step_that_is_no_end_is_not_waited_for(self, api: Api) -> None:
        order = await placed(api)
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}))
        reserved = order.reserve(order.created_at, owner="worker", lease_until=order.created_at)
        await api.orders.move(order, reserved)
        seen = reads(api)
        await eventually(lambda: reads(api) >= seen + 2)
        assert not looking.done()
        await api.orders.move(reserved, reserved.confirm(order.created_at))
        assert (await looking).json()["version"] == 3

    async def test_a_confirmed_order_with_a_requested_cancellation_has_not_ended(self, api: Api) -> None:
        order = await confirmed(api)
        await api.orders.request_cancel(order.request_cancel(order.created_at, due_at=0), version=None)
        requested = await api.orders.get(ADA, order.order_id)
        seen = reads(api)
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}))
        await eventually(lambda: reads(api) >= seen + 2)
        assert not looking.done()
        await api.orders.move(requested, requested.cancel(order.created_at))
        assert (await looking).json()["status"] == "cancelled"

    async def test_with_if_none_match_any_change_is_news(self, api: Api) -> None:
        order = await placed(api)
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20", "If-None-Match": '"1"'}))
        await eventually(lambda: reads(api) >= 2)
        await api.orders.move(order, order.reserve(order.created_at, owner="worker", lease_until=order.created_at))
        assert (await looking).json()["status"] == "reserved"

    async def test_with_if_none_match_what_is_news_already_is_answered_at_once(self, api: Api) -> None:
        response = await look(api, await placed(api), {"Prefer": "wait=20", "If-None-Match": '"7"'})
        assert (response.json()["status"], reads(api)) == ("pending", 1)

    async def test_an_ended_order_is_not_waited_for(self, api: Api) -> None:
        order = await confirmed(api)
        before = reads(api)
        response = await look(api, order, {"Prefer": "wait=20", "If-None-Match": '"2"'})
        assert is_unchanged(response, 2)
        assert (response.headers["Preference-Applied"], reads(api)) == ("wait=20", before + 1)

    async def test_after_the_wait_the_order_is_answered_as_it_is_for_few_reads(self, api: Api) -> None:
        response = await look(api, await placed(api), {"Prefer": "wait=1"})
        assert (response.json()["status"], response.headers["Preference-Applied"]) == ("pending", "wait=1")
        assert reads(api) <= 6

    def test_the_longest_wait_costs_few_reads(self) -> None:
        """There are as many reads as pauses; the last pause is shortened."""
        begun = list(takewhile(lambda at: at < MAX_WAIT_SECONDS, accumulate(pauses(), initial=0.0)))
        assert (MAX_WAIT_SECONDS, len(begun)) == (20, 23)

    async def test_after_the_wait_an_order_that_is_as_it_was_is_not_sent(self, api: Api) -> None:
        response = await look(api, await placed(api), {"Prefer": "wait=1", "If-None-Match": '"1"'})
        assert is_unchanged(response, 1)
        assert response.headers["Preference-Applied"] == "wait=1"

    async def test_an_order_of_others_is_not_waited_for(self, api: Api) -> None:
        response = await look(api, await placed(api), {"Prefer": "wait=20"}, customer="bob")
        problem_of(response, 404, "order_not_found")

    async def test_staff_wait_for_the_orders_of_their_tenant(self, api: Api) -> None:
        order = await placed(api)
        scope = "orders:read orders:admin"
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}, customer="staff", scope=scope))
        await eventually(lambda: reads(api) >= 2)
        await api.orders.move(order, order.confirm(order.created_at))
        assert (await looking).json()["status"] == "confirmed"

    async def test_many_wait_at_once(self, api: Api) -> None:
        order = await placed(api)
        looking = [asyncio.create_task(look(api, order, {"Prefer": "wait=20"})) for _ in range(50)]
        await eventually(lambda: reads(api) >= 50)
        await api.orders.move(order, order.confirm(order.created_at))
        assert {(await each).json()["status"] for each in looking} == {"confirmed"}


class TestPrefer:
    @pytest.mark.parametrize(
        ("prefer", "applied"),
        [
            ("wait=7", 7),
            ("WAIT=7", 7),
            ('wait="7"', 7),
            ("wait = 7", 7),
            ("wait=007", 7),
            ("wait=7; foo=bar", 7),
            ("respond-async, wait=7, handling=lenient", 7),
            ('note="a, wait=3", wait=7', 7),
            ("wait=7, wait=9", 7),
            ("wait=0", 0),
            ("wait=20", 20),
            ("wait=21", 20),
            ("wait=999999999", 20),
        ],
    )
    async def test_a_wait_is_read_and_bounded(self, api: Api, prefer: str, applied: int) -> None:
        response = await look(api, await confirmed(api), {"Prefer": prefer})
        assert response.headers["Preference-Applied"] == f"wait={applied}"

    async def test_preferences_may_stand_in_several_lines(self, api: Api) -> None:
        response = await look(api, await confirmed(api), [("Prefer", "respond-async"), ("Prefer", "wait=7")])
        assert response.headers["Preference-Applied"] == "wait=7"

    @pytest.mark.parametrize(
        "prefer",
        [
            "",
            "wait",
            "wait=",
            "wait=soon",
            "wait=-1",
            "wait=1.5",
            "wait=1e1",
            "wait=0x10",
            "wait=7s",
            'wait="7',
            "wait=soon, wait=7",
            "await=7",
            "waits=7",
            'note="wait=7"',
            "wait=" + "9" * 5000,
            '"' * 5001,
            "," * 5000,
        ],
    )
    async def test_what_cannot_be_read_is_ignored(self, api: Api, prefer: str) -> None:
        """The order is pending, so a wait would be visible."""
        response = await look(api, await placed(api), {"Prefer": prefer})
        assert (response.status_code, reads(api)) == (200, 1)
        assert "Preference-Applied" not in response.headers


class TestGivingUp:
    """Server side of a wait: it ends when the client disconnects and when the service stops."""

    async def test_a_stopping_service_responds_to_waiting_callers(self, api: Api) -> None:
        order = await placed(api)
        looking = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}))
        await eventually(lambda: reads(api) >= 2)
        service_of(api).stop_waiting()
        response = await looking
        assert (response.status_code, response.json()["status"]) == (200, "pending")
        assert "Preference-Applied" not in response.headers
        before = reads(api)
        await look(api, order, {"Prefer": "wait=20"})
        assert reads(api) == before + 1, "nobody begins to wait any more"

    async def test_when_too_many_wait_the_others_are_answered_as_things_are(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("order_api.order.service.MAX_WAITING", 1)  # hundreds at once would be slow
        order = await placed(api)
        waiting = asyncio.create_task(look(api, order, {"Prefer": "wait=20"}))
        await eventually(lambda: reads(api) >= 2)
        response = await look(api, order, {"Prefer": "wait=20"})
        assert (response.status_code, "Preference-Applied" in response.headers) == (200, False)
        service_of(api).stop_waiting()
        await waiting

    async def test_nothing_is_read_for_a_client_who_has_gone(self, api: Api) -> None:
        order = await placed(api)
        gone = asyncio.Event()
        looking = asyncio.create_task(self.connection(api, order, gone))
        await eventually(lambda: reads(api) >= 2)
        gone.set()
        await looking
        before = reads(api)
        assert before < 10
        assert (await api.orders.get(ADA, order.order_id)).is_open, "that did not end the wait"

    async def connection(self, api: Api, order: Order, gone: asyncio.Event) -> None:
        """Pass a request to the application like a server, until the application has finished."""
        headers = api.headers() | {"Prefer": "wait=20"}
        begun = False

        async def receive() -> dict[str, object]:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            pass

        path = f"/v1/orders/{order.order_id}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "server": ("api.test", 80),
            "client": ("127.0.0.1", 1),
        }
        await app_of(api)(scope, receive, send)


def app_of(api: Api) -> Any:
    transport = api.http._transport
    assert isinstance(transport, httpx2.ASGITransport)
    return transport.app


def service_of(api: Api) -> OrderService:
    orders = app_of(api).state.services.orders
    assert isinstance(orders, OrderService)
    return orders


async def test_the_document_tells_of_all_of_it(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    get = document["paths"]["/v1/orders/{order_id}"]["get"]
    assert {parameter["name"].lower() for parameter in get["parameters"]} >= {"order_id", "if-none-match", "prefer"}
    assert set(get["responses"]["200"]["headers"]) >= {"ETag", "Preference-Applied"}
    assert get["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/OrderOut")
    assert "content" not in get["responses"]["304"]
    assert "ETag" in get["responses"]["304"]["headers"]
    listing = document["paths"]["/v1/orders"]["get"]
    names = {parameter["name"] for parameter in listing["parameters"]}
    assert names >= {"status", "q", "created_at[gte]", "created_at[lt]", "sort", "limit", "cursor"}
    assert "orders:admin" in listing["description"]
    assert set(document["paths"]["/v1/orders"]["post"]["responses"]["202"]["headers"]) >= {
        "ETag",
        "Location",
        "Idempotent-Replayed",
    }
