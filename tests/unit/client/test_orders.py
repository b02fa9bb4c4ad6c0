"""Requests of the client, and its results for the responses."""

import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import httpx2
import pytest

from order_client import (
    Conflict,
    EndedOtherwise,
    Forbidden,
    InvalidRequest,
    MovementType,
    NotFound,
    Order,
    OrderClient,
    OrderStatus,
    PaymentStatus,
    StillOpen,
    Unauthenticated,
    Unprocessable,
    VersionMismatch,
)
from tests.unit.client.api import FakeApi, become, order_body, problem

PAGES: list[tuple[list[str], str | None]] = [(["a", "b"], "c1"), ([], "c2"), (["c"], None)]


def page(name: str, items: list[dict[str, Any]], cursor: str | None) -> httpx2.Response:
    body = {"__typename": name, "items": items, "next_cursor": cursor, "has_more": cursor is not None}
    return httpx2.Response(200, json=body)


def product_body(sku: str) -> dict[str, Any]:
    return {
        "__typename": "Product",
        "sku": sku,
        "name": "Tea",
        "unit_price": 590,
        "currency": "EUR",
        "stock_shards": 1,
        "updated_at": "2026-01-31T09:05:00.000120Z",
    }


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


async def test_an_order_has_types(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 2, "POT": 1}, reference="PO-1", payment_token="pm")
        assert (await client.get_order(order.id)).model_dump() == order.model_dump(exclude={"replayed"})
    assert order.status is OrderStatus.PENDING
    assert order.created_at == datetime(2026, 1, 31, 9, 5, 0, 120, tzinfo=UTC)
    assert [(line.sku, line.amount) for line in order.lines] == [("TEA", 10), ("POT", 5)]
    assert (order.reference, order.total, order.reason) == ("PO-1", 15, None)


async def test_omitted_arguments_are_not_sent(api: FakeApi) -> None:
    async with api.client() as client:
        await client.place_order({"TEA": 2})
    assert api.requests[0].content == b'{"lines":[{"sku":"TEA","quantity":2}]}'


async def test_metadata_is_sent_and_returned(api: FakeApi) -> None:
    async with api.client() as client:
        placed = await client.place_order({"TEA": 2}, metadata={"cart": "c-1", "note": ""})
        assert (await client.get_order(placed.id)).metadata == placed.metadata == {"cart": "c-1", "note": ""}
        assert (await client.place_order({"TEA": 2}, metadata={})).metadata == {}
    assert [json.loads(api.requests[number].content).get("metadata") for number in (0, 2)] == [
        {"cart": "c-1", "note": ""},
        {},
    ]


async def test_a_payment_has_types(api: FakeApi) -> None:
    async with api.client() as client:
        unpaid = await client.place_order({"TEA": 2})
        paid = await client.place_order({"TEA": 2}, payment_token="pm")
        at = api.orders[paid.id]["updated_at"]
        movements = [{"type": "charged", "amount": 10, "at": at}, {"type": "refunded", "amount": 10, "at": at}]
        api.orders[paid.id]["payment"] = {"status": "refunded", "captured": 10, "refunded": 10, "history": movements}
        refunded = await client.get_order(paid.id)
    assert unpaid.payment is None
    assert paid.payment is not None
    assert (paid.payment.status, paid.payment.captured, paid.payment.history) == (PaymentStatus.PENDING, 0, ())
    assert refunded.payment is not None
    assert (refunded.payment.status, refunded.payment.captured, refunded.payment.refunded) == ("refunded", 10, 10)
    assert [(each.type, each.amount, each.at) for each in refunded.payment.history] == [
        (MovementType.CHARGED, 10, paid.updated_at),
        (MovementType.REFUNDED, 10, paid.updated_at),
    ]


async def test_a_payment_of_a_newer_api_has_texts(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 2}, payment_token="pm")
        held = {"type": "held", "amount": 10, "at": api.orders[order.id]["updated_at"], "until": "tomorrow"}
        api.orders[order.id]["payment"] |= {"status": "authorized", "history": [held], "authorized": 10}
        payment = (await client.get_order(order.id)).payment
    assert payment is not None
    assert (payment.status, [each.type for each in payment.history]) == ("authorized", ["held"])


async def test_an_order_of_an_older_api_has_no_metadata_and_no_payment(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 2}, payment_token="pm", metadata={"cart": "c-1"})
        for name in ("metadata", "payment"):
            del api.orders[order.id][name]
        read = await client.get_order(order.id)
    assert (read.metadata, read.payment) == ({}, None)


def test_equal_orders_are_one_element_of_a_set() -> None:
    bodies = [order_body("ord_1", {"lines": [], "metadata": {"cart": cart}}) for cart in ("c-1", "c-1", "c-2")]
    assert len({Order.model_validate(body) for body in bodies}) == 2


async def test_a_backend_acts_for_its_customers_over_one_client(api: FakeApi) -> None:
    async with api.client() as client:
        placed = await client.acting_for("ada").place_order({"TEA": 2})
        assert (await client.acting_for("user+tag@example.com").get_order(placed.id)).placed_by == "backend"
        assert (await client.place_order({"TEA": 2})).placed_by is None
    assert [request.headers.get("Order-Customer") for request in api.requests] == ["ada", "user+tag@example.com", None]


@pytest.mark.parametrize("customer", ["", " ", "ada ", "x" * 256, "a\nb", "Zo\xeb"])
async def test_a_customer_that_no_header_can_carry_is_refused(api: FakeApi, customer: str) -> None:
    async with api.client() as client:
        with pytest.raises(ValueError, match="the customer must have"):
            client.acting_for(customer)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\nb", "ä"])
async def test_a_key_that_no_header_can_carry_is_refused(api: FakeApi, key: str) -> None:
    async with api.client() as client:
        with pytest.raises(ValueError, match="idempotency key"):
            await client.place_order({"TEA": 1}, idempotency_key=key)
    assert api.requests == []


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://api", "http://"])
def test_an_invalid_base_url_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        OrderClient(address, "token")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "validation_failed", InvalidRequest),
        (401, "unauthenticated", Unauthenticated),
        (403, "insufficient_scope", Forbidden),
        (413, "payload_too_large", InvalidRequest),
        (421, "not_home_region", InvalidRequest),
        (422, "unknown_sku", Unprocessable),
    ],
)
async def test_an_error_has_the_members_of_the_problem(
    api: FakeApi, status: int, code: str, error: type[InvalidRequest]
) -> None:
    fault = {"pointer": "/lines/0/quantity", "code": "less_than_equal", "detail": "too many"}
    api.instead = [problem(status, code, errors=[fault])]
    async with api.client() as client:
        with pytest.raises(error, match=f"{code}: as it is") as caught:
            await client.place_order({"TEA": 1})
    told = caught.value
    assert (told.status, told.code, told.detail, told.request_id, told.retryable) == (
        status,
        code,
        "as it is",
        "r-1",
        False,
    )
    assert [each.model_dump() for each in told.errors] == [fault]


async def test_cancelling_at_a_version_that_is_gone(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        become(api.orders[order.id], "confirmed")
        with pytest.raises(VersionMismatch) as caught:
            await client.cancel_order(order.id, version=order.version)
        assert caught.value.current_version == 2
        assert (await client.cancel_order(order.id, version=2)).status == "cancelled"


async def test_an_id_stays_within_its_part_of_the_path(api: FakeApi) -> None:
    async with api.client() as client:
        with pytest.raises(NotFound):
            await client.get_order("ord_0/cancel?x=1")
    assert api.requests[0].url.raw_path == b"/v1/orders/ord_0%2Fcancel%3Fx%3D1"


async def test_waiting_polls_an_api_that_does_not_hold_its_answer_back(api: FakeApi) -> None:
    api.before_look = lambda order, look: become(order, "confirmed") if look == 7 else None
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        ended = await client.wait_for_end(order.id)
    assert ended.status == "confirmed"
    assert api.time.sleeps == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    first, *others = [request for request in api.requests if request.method == "GET"]
    assert (first.headers["Prefer"], "If-None-Match" in first.headers) == ("wait=20", False)
    assert {request.headers["If-None-Match"] for request in others} == {'"1"'}


async def test_waiting_asks_again_at_once_where_the_api_holds_its_answer_back(api: FakeApi) -> None:
    def held_back(order: dict[str, Any], look: int) -> None:
        api.time.now += 20.0
        if look == 3:
            become(order, "rejected")

    api.before_look = held_back
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        assert (await client.wait_for_end(order.id, timeout=90.0)).status == "rejected"
    assert api.time.sleeps == []


async def test_waiting_for_long_enough(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        with pytest.raises(StillOpen, match="is still pending") as caught:
            await client.wait_for_end(order.id, timeout=5.0)
    assert caught.value.order.id == order.id
    assert api.time.now <= 5.0


async def test_waiting_for_the_end_of_a_cancellation(api: FakeApi) -> None:
    api.before_look = lambda order, look: become(order, {1: "confirmed", 3: "cancelled"}[look]) if look % 2 else None
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        assert (await client.wait_for_end(order.id, until={"cancelled"})).status == "cancelled"


@pytest.mark.parametrize(
    ("status", "until"), [("rejected", {"cancelled"}), ("cancelled", {"confirmed"}), ("confirmed", {"rejected"})]
)
async def test_waiting_ends_at_once_if_the_order_can_no_longer_get_there(
    api: FakeApi, status: str, until: set[str]
) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        become(api.orders[order.id], status)
        with pytest.raises(EndedOtherwise, match=f"is {status}") as caught:
            await client.wait_for_end(order.id, until=until)
    assert caught.value.order.status == status
    assert api.time.sleeps == []


async def test_a_confirmed_order_may_still_be_cancelled(api: FakeApi) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        become(api.orders[order.id], "confirmed")
        with pytest.raises(StillOpen):
            await client.wait_for_end(order.id, until={"cancelled"}, timeout=3.0)


@pytest.mark.parametrize("until", [{"canceled"}, {"cancelled", "done"}, "cancelled", set()])
async def test_an_unknown_state_to_wait_for_is_refused(api: FakeApi, until: set[str]) -> None:
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        with pytest.raises(ValueError, match=r"OrderStatus|until"):
            await client.wait_for_end(order.id, until=until)
    assert len(api.requests) == 1


async def test_a_status_of_a_newer_api_is_a_text(api: FakeApi) -> None:
    api.before_look = lambda order, look: become(order, "confirmed") if look == 2 else None
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        become(api.orders[order.id], "packed")
        read = await client.get_order(order.id)
        assert (read.status, read.timeline[-1].status) == ("packed", "packed")
        assert (await client.wait_for_end(order.id)).status is OrderStatus.CONFIRMED


async def test_an_order_that_is_being_cancelled_has_not_ended(api: FakeApi) -> None:
    def look(order: dict[str, Any], number: int) -> None:
        if number == 1:
            become(order, "confirmed")
            order["cancel_requested_at"] = order["updated_at"]
        if number == 3:
            become(order, "cancelled")

    api.before_look = look
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        assert (await client.wait_for_end(order.id)).status == "cancelled"


async def test_watching_shows_each_change(api: FakeApi) -> None:
    changes = {3: "reserved", 5: "confirmed"}
    api.before_look = lambda order, look: become(order, changes[look]) if look in changes else None
    async with api.client() as client:
        order = await client.place_order({"TEA": 1})
        seen = [each.status async for each in client.watch_order(order.id)]
    assert seen == ["pending", "reserved", "confirmed"]
    first, second, *_ = [request for request in api.requests if request.method == "GET"]
    assert ("Prefer" in first.headers, "Prefer" in second.headers) == (False, True)


async def test_listing_follows_the_cursor_with_the_same_filters(api: FakeApi) -> None:
    wanted = {"lines": [{"sku": "TEA", "quantity": 1}]}
    api.instead = [page("OrderPage", [order_body(each, wanted) for each in ids], cursor) for ids, cursor in PAGES]
    since = datetime(2026, 1, 31, 10, 5, tzinfo=UTC)
    async with api.client() as client:
        pages_of_two = client.order_pages(
            status=["pending", OrderStatus.RESERVED],
            created_from=since,
            created_before=since + timedelta(hours=1),
            q="PO",
            sort="created_at",
            page_size=2,
        )
        listed = [order.id async for page in pages_of_two for order in page.items]
    assert listed == ["a", "b", "c"]
    usual = [
        ("status", "pending"),
        ("status", "reserved"),
        ("created_at[gte]", "2026-01-31T10:05:00+00:00"),
        ("created_at[lt]", "2026-01-31T11:05:00+00:00"),
        ("q", "PO"),
        ("sort", "created_at"),
        ("limit", "2"),
    ]
    asked = [request.url.params.multi_items() for request in api.requests]
    assert asked == [usual, [*usual, ("cursor", "c1")], [*usual, ("cursor", "c2")]]


async def test_orders_are_iterated_without_pages(api: FakeApi) -> None:
    wanted = {"lines": [{"sku": "TEA", "quantity": 1}]}
    api.instead = [page("OrderPage", [order_body(each, wanted) for each in ids], cursor) for ids, cursor in PAGES]
    async with api.client() as client:
        assert [order.id async for order in client.orders(status=["pending"])] == ["a", "b", "c"]
    assert [request.url.params.get("cursor") for request in api.requests] == [None, "c1", "c2"]


async def test_the_orders_of_a_tenant_are_iterated_with_all_filters(api: FakeApi) -> None:
    wanted = {"lines": [{"sku": "TEA", "quantity": 1}]}
    since = datetime(2026, 1, 31, 10, 5, tzinfo=UTC)
    filters: dict[str, Any] = {
        "status": ["pending", OrderStatus.RESERVED],
        "created_from": since,
        "created_before": since + timedelta(hours=1),
        "customer": "ada",
        "reference": "PO 7",
        "sort": "created_at",
    }
    sent = [
        ("status", "pending"),
        ("status", "reserved"),
        ("created_at[gte]", "2026-01-31T10:05:00+00:00"),
        ("created_at[lt]", "2026-01-31T11:05:00+00:00"),
        ("customer", "ada"),
        ("reference", "PO 7"),
        ("sort", "created_at"),
    ]
    for size in (100, 2):
        api.requests.clear()
        api.instead = [
            page("TenantOrderPage", [order_body(each, wanted) | {"customer": f"of {each}"} for each in ids], cursor)
            for ids, cursor in PAGES
        ]
        async with api.client() as client:
            if size == 100:
                listed = [order async for order in client.tenant_orders(**filters)]
            else:
                pages = client.tenant_order_pages(**filters, page_size=size)
                listed = [order async for page in pages for order in page.items]
        assert [(order.id, order.customer) for order in listed] == [("a", "of a"), ("b", "of b"), ("c", "of c")]
        usual = [*sent, ("limit", str(size))]
        asked = [request.url.params.multi_items() for request in api.requests]
        assert asked == [usual, [*usual, ("cursor", "c1")], [*usual, ("cursor", "c2")]]
        assert {request.url.path for request in api.requests} == {"/v1/tenant/orders"}


async def test_products_are_iterated_without_pages(api: FakeApi) -> None:
    api.instead = [page("ProductPage", [product_body(each) for each in ids], cursor) for ids, cursor in PAGES]
    async with api.client() as client:
        assert [product.sku async for product in client.products()] == ["a", "b", "c"]
    assert [request.url.params.get("cursor") for request in api.requests] == [None, "c1", "c2"]


async def test_a_product_and_its_stock_are_changed(api: FakeApi) -> None:
    api.instead = [httpx2.Response(200, json=product_body("TEA") | {"available": units}) for units in (0, 7)]
    async with api.client() as client:
        product = await client.put_product("TEA 1", name="Tea", unit_price=590, currency="EUR", stock_shards=4)
        assert (await client.adjust_stock("TEA 1", 7, idempotency_key="mine")).available == 7
    assert (product.unit_price, product.available) == (590, 0)
    put, stock = api.requests
    assert (put.method, put.url.raw_path) == ("PUT", b"/v1/products/TEA%201")
    assert json.loads(put.content) == {"name": "Tea", "unit_price": 590, "currency": "EUR", "stock_shards": 4}
    assert (stock.url.raw_path, stock.content) == (b"/v1/products/TEA%201/stock", b'{"delta":7}')
    assert stock.headers["Idempotency-Key"] == "mine"


async def test_an_adjustment_that_fails_tells_its_key(api: FakeApi) -> None:
    api.instead = [problem(409, "insufficient_stock")]
    async with api.client() as client:
        with pytest.raises(Conflict) as caught:
            await client.adjust_stock("TEA", -7)
    assert caught.value.idempotency_key == api.requests[0].headers["Idempotency-Key"]


async def test_the_client_names_itself(api: FakeApi) -> None:
    async with api.client() as client:
        await client.place_order({"TEA": 1})
    assert api.requests[0].headers["User-Agent"] == f"order-client-python/{version('order-client')}"


async def test_a_time_without_a_zone_is_refused(api: FakeApi) -> None:
    async with api.client() as client:
        with pytest.raises(ValueError, match="no time zone"):
            await anext(client.order_pages(created_from=datetime(2026, 1, 31)))  # noqa: DTZ001 - that is the point
