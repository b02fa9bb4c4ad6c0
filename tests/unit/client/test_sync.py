"""The synchronous client is generated from the asynchronous one, and does the same."""

import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from order_client import NotFound, OrderClient, StillOpen, SyncOrderClient, Unauthenticated
from tests.sync_client import SOURCE, generated
from tests.unit.client.api import TOKEN, FakeApi, become, order_body, problem


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def client(api: FakeApi) -> Iterator[SyncOrderClient]:
    with SyncOrderClient("http://api", TOKEN, transport=api.transport(), time=api.time.as_time()) as client:
        yield client


def test_it_is_what_the_generator_prints() -> None:
    assert SOURCE.with_name("sync.py").read_text("utf-8") == generated(), "run `make docs`"


def test_it_has_every_method_with_the_same_arguments() -> None:
    names = {name for name in vars(OrderClient) if not name.startswith("_")} - {"aclose"}
    assert len(names) >= 10
    for name in names:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (SyncOrderClient, OrderClient))
        assert ours.parameters == theirs.parameters, name


def test_an_order_is_placed_read_and_cancelled(api: FakeApi, client: SyncOrderClient) -> None:
    placed = client.place_order({"TEA": 2}, reference="PO-1")
    assert client.get_order(placed.id).reference == "PO-1"
    assert client.acting_for("ada").place_order({"TEA": 1}).placed_by == "backend"
    assert client.cancel_order(placed.id).status == "cancelled"
    assert client.wait_for_end(placed.id).status == "cancelled"
    with pytest.raises(NotFound):
        client.get_order("ord_9")
    assert len(api.orders) == 2


def test_changes_are_watched_as_they_are_read(api: FakeApi, client: SyncOrderClient) -> None:
    changes = {3: "reserved", 5: "confirmed"}
    api.before_look = lambda order, look: become(order, changes[look]) if look in changes else None
    order = client.place_order({"TEA": 1})
    watched = client.watch_order(order.id)
    assert next(watched).status == "pending"
    assert api.looks == 1
    assert [each.status for each in watched] == ["reserved", "confirmed"]


def test_an_iteration_raises_the_errors_of_its_requests(api: FakeApi, client: SyncOrderClient) -> None:
    order = client.place_order({"TEA": 1})
    with pytest.raises(StillOpen):
        list(client.watch_order(order.id, timeout=3.0))
    api.instead = [problem(401, "unauthenticated")]
    with pytest.raises(Unauthenticated):
        next(client.orders())


def test_orders_are_iterated(api: FakeApi, client: SyncOrderClient) -> None:
    items = [order_body(each, {"lines": []}) for each in ("a", "b")]
    api.instead = [httpx2.Response(200, json={"items": items, "next_cursor": None, "has_more": False})]
    assert [order.id for order in client.orders()] == ["a", "b"]


def test_the_orders_of_a_tenant_are_iterated(api: FakeApi, client: SyncOrderClient) -> None:
    items = [order_body(each, {"lines": []}) | {"customer": f"of {each}"} for each in ("a", "b")]
    body = {"items": items, "next_cursor": None, "has_more": False}
    api.instead = [httpx2.Response(200, json=body), httpx2.Response(200, json=body)]
    assert [order.customer for order in client.tenant_orders(customer="a")] == ["of a", "of b"]
    assert [len(page.items) for page in client.tenant_order_pages(reference="PO-7")] == [2]


def test_threads_share_a_client(api: FakeApi, client: SyncOrderClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(lambda number: client.place_order({"TEA": number + 1}), range(40)))
    assert len({order.id for order in placed}) == len(api.orders) == 40


def test_its_token_may_come_from_a_function_that_takes_long(api: FakeApi) -> None:
    threads = []

    def token() -> str:
        threads.append(threading.current_thread())
        return "fresh"

    with SyncOrderClient("http://api", token, transport=api.transport()) as client:
        client.place_order({"TEA": 1})
    assert api.requests[0].headers["Authorization"] == "Bearer fresh"
    assert threads
    assert threading.current_thread() not in threads


def test_its_thread_ends_when_it_is_closed(api: FakeApi) -> None:
    before = threading.active_count()
    with SyncOrderClient("http://api", TOKEN, transport=api.transport()) as client:
        client.place_order({"TEA": 1})
        assert threading.active_count() > before
    assert threading.active_count() == before
