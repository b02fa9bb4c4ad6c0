"""Listing orders over HTTP: sort, filters, pages, and the bounded cost of each page."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from order_api.order.listing import MAX_EXAMINED, MAX_READS
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.storage.orders import OrderSlice, UnreadableOrder, Window
from tests.factories import NOON, make_customer, make_order, make_product
from tests.fakes import MemoryOrderRepository, MemoryStore
from tests.unit.api.conftest import Api, open_api, problem_of

ADA = make_customer()


class MeteredOrders(MemoryOrderRepository):
    """Records the number of orders of each read, and returns at most `most` per read, like DynamoDB with its 1 MB."""

    def __init__(self, store: MemoryStore, most: int = 1_000_000) -> None:
        super().__init__(store)
        self._most = most
        self.reads: list[int] = []

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        read = await super().list_orders(customer, window, limit=min(limit, self._most), descending=descending)
        self.reads.append(len(read.orders))
        return read


def stored(
    api: Api, number: int, status: OrderStatus = OrderStatus.CONFIRMED, reference: str | None = None, sku: str = "TEA"
) -> Order:
    """Add Ada's order of the `number`th second after noon."""
    order = make_order(
        at=NOON + timedelta(seconds=number), reference=reference, lines=[(make_product(sku=sku), 1)], customer=ADA
    )
    api.store.orders[ADA.key, order.created_at] = replace(order, status=status)
    return order


async def page_of(api: Api, **params: Any) -> dict[str, Any]:
    response = await api.http.get("/v1/orders", params=params, headers=api.headers())
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def walk(api: Api, **params: Any) -> list[dict[str, Any]]:
    """Return all pages by following the cursors."""
    pages = [await page_of(api, **params)]
    while (cursor := pages[-1]["next_cursor"]) is not None:
        pages.append(await page_of(api, **params, cursor=cursor))
    return pages


def ids_of(*pages: dict[str, Any]) -> list[str]:
    return [order["id"] for page in pages for order in page["items"]]


class TestList:
    async def place(self, api: Api, count: int) -> list[str]:
        await api.put_product("TEA")
        body = {"lines": [{"sku": "TEA", "quantity": 1}]}
        return [(await api.post_order(body, key=f"k{number}")).json()["id"] for number in range(count)]

    async def test_newest_first_page_by_page(self, api: Api) -> None:
        ids = await self.place(api, 5)
        seen: list[str] = []
        params: dict[str, str] = {"limit": "2"}
        for _ in range(3):
            page = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()
            assert page["__typename"] == "OrderPage"
            seen += [order["id"] for order in page["items"]]
            assert page["has_more"] == (page["next_cursor"] is not None)
            params["cursor"] = page["next_cursor"] or "none"
        assert seen == ids[::-1]
        assert params["cursor"] == "none"

    async def test_oldest_first_page_by_page(self, api: Api) -> None:
        ids = await self.place(api, 3)
        params = {"limit": "2", "sort": "created_at"}
        first = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()
        params["cursor"] = first["next_cursor"]
        second = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()
        assert [order["id"] for order in first["items"] + second["items"]] == ids

    async def test_a_window_has_its_start_and_not_its_end(self, api: Api) -> None:
        await self.place(api, 3)
        newest_first = (await api.http.get("/v1/orders", headers=api.headers())).json()["items"]
        times = [order["created_at"] for order in newest_first[::-1]]
        params = {"created_at[gte]": times[0], "created_at[lt]": times[2]}
        page = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()
        assert [order["created_at"] for order in page["items"]] == times[1::-1]

    async def test_a_time_of_another_zone_is_the_same_time(self, api: Api) -> None:
        await self.place(api, 1)
        order = (await api.http.get("/v1/orders", headers=api.headers())).json()["items"][0]
        at = datetime.fromisoformat(order["created_at"]) + timedelta(hours=5, minutes=30)
        params = {"created_at[gte]": at.replace(tzinfo=None).isoformat() + "+05:30"}
        page = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()
        assert len(page["items"]) == 1

    async def test_nobody_elses_are_listed_for_staff_neither(self, api: Api) -> None:
        await self.place(api, 2)
        staff = api.headers(customer="staff", scope="orders:read orders:admin")
        for headers in (api.headers(customer="bob"), api.headers(tenant="globex"), staff):
            assert (await api.http.get("/v1/orders", headers=headers)).json()["items"] == []

    async def test_a_cursor_holds_for_its_customer_filter_and_sort_only(self, api: Api) -> None:
        await self.place(api, 2)
        params = {"limit": "1"}
        cursor = (await api.http.get("/v1/orders", params=params, headers=api.headers())).json()["next_cursor"]
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            ({}, api.headers(customer="bob")),
            ({}, api.headers(tenant="globex")),
            ({"sort": "created_at"}, api.headers()),
            ({"created_at[gte]": "2020-01-01T00:00:00Z"}, api.headers()),
            ({"created_at[lt]": "2099-01-01T00:00:00Z"}, api.headers()),
            ({"status": "pending"}, api.headers()),
            ({"q": "tea"}, api.headers()),
        ]
        for more, headers in attempts:
            response = await api.http.get("/v1/orders", params={**params, **more, "cursor": cursor}, headers=headers)
            problem_of(response, 400, "invalid_cursor")

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"cursor": "forged"}, "invalid_cursor"),
            ({"cursor": ""}, "invalid_cursor"),
            ({"sort": "total"}, "unsupported_sort"),
            ({"limit": "0"}, "validation_failed"),
            ({"limit": "101"}, "validation_failed"),
            ({"limit": "1_0"}, "validation_failed"),
            ({"created_at[gte]": "yesterday"}, "validation_failed"),
            ({"created_at[gte]": "2026-01-01T00:00:00"}, "validation_failed"),
            ({"created_at[gt]": "2026-01-01T00:00:00Z"}, "validation_failed"),
            ({"status": "lost"}, "validation_failed"),
            ({"status": ""}, "validation_failed"),
            ({"status": "PENDING"}, "validation_failed"),
            ({"q": ""}, "validation_failed"),
            ({"q": "x" * 101}, "validation_failed"),
            ({"q": "a\nb"}, "validation_failed"),
        ],
    )
    async def test_an_invalid_listing_query_is_refused(self, api: Api, params: dict[str, str], code: str) -> None:
        problem_of(await api.http.get("/v1/orders", params=params, headers=api.headers()), 400, code)

    @pytest.mark.parametrize(
        "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "1969-12-31T23:59:59Z", "-1", "1e20"]
    )
    @pytest.mark.parametrize("bound", ["created_at[gte]", "created_at[lt]"])
    async def test_times_at_the_ends_of_time_break_nothing(self, api: Api, bound: str, at: str) -> None:
        response = await api.http.get("/v1/orders", params={bound: at}, headers=api.headers())
        assert response.status_code in {200, 400}


class TestFilter:
    async def test_by_any_of_several_statuses(self, api: Api) -> None:
        orders = {status: stored(api, number, status) for number, status in enumerate(OrderStatus)}
        assert ids_of(await page_of(api, status="rejected")) == [orders[OrderStatus.REJECTED].order_id]
        both = await page_of(api, status=["pending", "cancelled", "pending"])
        assert ids_of(both) == [orders[OrderStatus.CANCELLED].order_id, orders[OrderStatus.PENDING].order_id]

    @pytest.mark.parametrize("q", ["PO-2026", "po-2026", "2026", "GRÖSSE 7", "größe", "-Green-", "TEA-GREEN"])
    async def test_by_a_part_of_reference_or_sku_in_any_case(self, api: Api, q: str) -> None:
        wanted = stored(api, 1, reference="PO-2026 Größe 7", sku="TEA-GREEN-100")
        stored(api, 2, reference="PO-2025", sku="POT")
        stored(api, 3, sku="POT")
        assert ids_of(await page_of(api, q=q)) == [wanted.order_id]

    async def test_nothing_else_of_an_order_is_searched(self, api: Api) -> None:
        order = stored(api, 1, sku="POT")
        for q in ("Green tea", order.order_id, "confirmed", "EUR", "%", ".*"):
            assert ids_of(await page_of(api, q=q)) == []

    async def test_filters_go_together(self, api: Api) -> None:
        stored(api, 1, OrderStatus.REJECTED, reference="PO-1")
        wanted = stored(api, 2, OrderStatus.CONFIRMED, reference="PO-2")
        stored(api, 3, OrderStatus.CONFIRMED, reference="XX-3")
        stored(api, 4, OrderStatus.CONFIRMED, reference="PO-4")
        end = (NOON + timedelta(seconds=4)).isoformat()
        assert ids_of(await page_of(api, q="po", status="confirmed", **{"created_at[lt]": end})) == [wanted.order_id]

    async def test_a_cursor_holds_for_the_same_filters_however_they_are_written(self, api: Api) -> None:
        for number in range(3):
            stored(api, number, reference=f"PO-{number}")
        first = await page_of(api, q="po", status=["confirmed", "pending"], limit=1)
        cursor = first["next_cursor"]
        assert ids_of(await page_of(api, q="PO", status=["pending", "confirmed"], limit=1, cursor=cursor))
        for other in ({"q": "o"}, {"q": "po", "status": "confirmed"}, {"status": ["confirmed", "pending"]}):
            params = {**other, "limit": 1, "cursor": cursor}
            response = await api.http.get("/v1/orders", params=params, headers=api.headers())
            problem_of(response, 400, "invalid_cursor")


class TestCost:
    async def reads_of(
        self, setup: Callable[[Api], object], most: int = 1_000_000, **params: Any
    ) -> tuple[dict[str, Any], list[int]]:
        """Return a first page, and the number of orders of each of its reads."""
        async with open_api(lambda store: MeteredOrders(store, most)) as api:
            setup(api)
            page = await page_of(api, **params)
            assert isinstance(api.orders, MeteredOrders)
            return page, api.orders.reads

    async def test_without_filters_a_page_is_one_read_of_one_more(self) -> None:
        page, reads = await self.reads_of(lambda api: [stored(api, number) for number in range(60)], limit=20)
        assert (len(page["items"]), page["has_more"], reads) == (20, True, [21])

    async def test_the_last_page_is_one_read_too(self) -> None:
        page, reads = await self.reads_of(lambda api: [stored(api, number) for number in range(20)], limit=20)
        assert (len(page["items"]), page["has_more"], reads) == (20, False, [20])

    async def test_huge_orders_make_a_short_page_and_no_second_read(self) -> None:
        page, reads = await self.reads_of(lambda api: [stored(api, number) for number in range(60)], most=7, limit=20)
        assert (len(page["items"]), page["has_more"], reads) == (7, True, [7])

    async def test_a_dense_filter_reads_a_little_more_and_fills_the_page(self) -> None:
        def setup(api: Api) -> None:
            for number in range(300):
                stored(api, number, OrderStatus.REJECTED if number % 4 == 0 else OrderStatus.CONFIRMED)

        page, reads = await self.reads_of(setup, limit=20, status="confirmed")
        assert (len(page["items"]), page["has_more"], reads) == (20, True, [21, 84])

    async def test_a_full_page_reads_no_further_to_learn_whether_there_is_more(self) -> None:
        def setup(api: Api) -> None:
            for number in range(60):
                stored(api, number, OrderStatus.CONFIRMED if number >= 40 else OrderStatus.REJECTED)

        page, reads = await self.reads_of(setup, limit=20, status="confirmed")
        assert (len(page["items"]), page["has_more"], reads) == (20, True, [21])

    async def test_a_sparse_filter_ends_with_its_budget_and_leads_on(self) -> None:
        async with open_api(MeteredOrders) as api:
            wanted = stored(api, 0, reference="needle")
            for number in range(1, 2 * MAX_EXAMINED + 1):
                stored(api, number)
            pages = await walk(api, q="NEEDLE")
            assert isinstance(api.orders, MeteredOrders)
            assert [len(page["items"]) for page in pages] == [0, 0, 1]
            assert [page["has_more"] for page in pages] == [True, True, False]
            assert ids_of(*pages) == [wanted.order_id]
            assert sum(api.orders.reads) == 2 * MAX_EXAMINED + 1, "no order is looked at twice"
            assert len(api.orders.reads) <= 3 * MAX_READS

    @pytest.mark.parametrize("limit", [1, 20, 100])
    async def test_the_budget_does_not_depend_on_the_page_s_size(self, limit: int) -> None:
        _, reads = await self.reads_of(
            lambda api: [stored(api, number) for number in range(2 * MAX_EXAMINED)], limit=limit, q="needle"
        )
        assert (sum(reads), len(reads) <= MAX_READS, all(reads)) == (MAX_EXAMINED, True, True)

    async def test_huge_orders_end_the_budget_of_reads(self) -> None:
        page, reads = await self.reads_of(
            lambda api: [stored(api, number) for number in range(60)], most=7, limit=20, q="needle"
        )
        assert (page["items"], page["has_more"], reads) == ([], True, [7] * MAX_READS)


@dataclass(frozen=True)
class Case:
    """Orders as (status, reference), and a query for them."""

    orders: list[tuple[OrderStatus, str | None]]
    statuses: list[OrderStatus]
    q: str | None
    start: int
    end: int
    sort: str
    limit: int
    most: int

    def expected(self, ids: Sequence[str]) -> list[str]:
        wanted = [
            ids[number]
            for number, (status, reference) in enumerate(self.orders)
            if self.start <= number < self.end
            and (not self.statuses or status in self.statuses)
            and (self.q is None or self.q.lower() in (reference or "").lower() or self.q.lower() in "tea")
        ]
        return wanted[::-1] if self.sort.startswith("-") else wanted

    def params(self) -> dict[str, Any]:
        return {
            "status": [str(status) for status in self.statuses],
            "created_at[gte]": (NOON + timedelta(seconds=self.start)).isoformat(),
            "created_at[lt]": (NOON + timedelta(seconds=self.end)).isoformat(),
            "sort": self.sort,
            "limit": self.limit,
        } | ({} if self.q is None else {"q": self.q})


cases = st.builds(
    Case,
    orders=st.lists(
        st.tuples(st.sampled_from(OrderStatus), st.none() | st.sampled_from(["PO-1", "po-2", "x"])), max_size=40
    ),
    statuses=st.lists(st.sampled_from(OrderStatus), max_size=2),
    q=st.none() | st.sampled_from(["po", "PO-2", "X", "t", "nothing"]),
    start=st.integers(0, 10),
    end=st.integers(10, 45),
    sort=st.sampled_from(["created_at", "-created_at"]),
    limit=st.integers(1, 12),
    most=st.sampled_from([1, 3, 1000]),
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_the_pages_together_are_what_the_filters_leave_each_once_and_in_order(case: Case) -> None:
    async def check() -> None:
        async with open_api(lambda store: MeteredOrders(store, case.most)) as api:
            ids = [
                stored(api, number, status, reference).order_id
                for number, (status, reference) in enumerate(case.orders)
            ]
            pages = await walk(api, **case.params())
            assert isinstance(api.orders, MeteredOrders)
            assert ids_of(*pages) == case.expected(ids)
            assert all(len(page["items"]) <= case.limit for page in pages)
            assert len(api.orders.reads) <= MAX_READS * len(pages)

    asyncio.run(check())


class WithUnreadable(MemoryOrderRepository):
    """Every third order is one that this release cannot read."""

    async def list_orders(self, customer: Customer, window: Window, *, limit: int, descending: bool) -> OrderSlice:
        read = await super().list_orders(customer, window, limit=limit, descending=descending)
        return OrderSlice([each if _is_readable(each) else _unreadable(each) for each in read.orders], read.more)


def _is_readable(order: Order | UnreadableOrder) -> bool:
    return int((order.created_at - NOON).total_seconds()) % 3 != 0


def _unreadable(order: Order | UnreadableOrder) -> UnreadableOrder:
    return UnreadableOrder(customer=ADA, created_at=order.created_at, error="of a newer release")


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
@pytest.mark.parametrize("filters", [{}, {"status": "confirmed"}])
async def test_orders_that_cannot_be_read_are_left_out_counted_and_logged(
    limit: int, sort: str, filters: dict[str, str]
) -> None:
    with capture_logs() as logs:
        async with open_api(WithUnreadable) as api:
            orders = [stored(api, number) for number in range(10)]
            pages = await walk(api, limit=limit, sort=sort, **filters)
            metrics = (await api.http.get("/metrics")).text
    listed = [item["id"] for page in pages for item in page["items"]]
    expected = [order.order_id for order in orders if _is_readable(order)]
    assert listed == (expected if sort == "created_at" else expected[::-1])
    counted = [line for line in metrics.splitlines() if line.startswith("order_unreadable_items_total{")]
    lines = [line for line in logs if line["event"] == "item_unreadable"]
    assert counted == [f'order_unreadable_items_total{{kind="order"}} {len(lines)}.0']
    assert {line["error"] for line in lines} == {"of a newer release"}
    assert len({line["created_at"] for line in lines}) == len(orders) - len(expected)


async def test_a_search_ignores_the_unicode_form(api: Api) -> None:
    order = stored(api, 1, reference="caf\u00e9")
    assert [item["id"] for item in (await page_of(api, q="CAFE\u0301"))["items"]] == [order.order_id]
