"""Listing the orders of all customers of a tenant over HTTP: filters, pages, cursors and refusals."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from order_shared.aws.encoding import attributes
from order_shared.domain.order.models import Customer, Order, OrderStatus
from order_shared.storage.order_items import to_item
from tests.factories import NOON, make_order, make_product
from tests.fakes import TABLES
from tests.unit.api.conftest import SETTINGS, Api, open_api, problem_of

PATH = "/v1/tenant/orders"
FUTURE = 99
"""Item version of a newer release."""


def staff(api: Api, tenant: str = "acme", scope: str = "orders:admin") -> dict[str, str]:
    return api.headers(tenant, "staff", scope)


def stored(
    api: Api,
    number: int,
    customer: str = "ada",
    status: OrderStatus = OrderStatus.CONFIRMED,
    *,
    tenant: str = "acme",
    reference: str | None = None,
    **attributes_of_item: Any,
) -> Order:
    """Add an order of the `number`th second after noon."""
    order = make_order(
        at=NOON + timedelta(seconds=number),
        customer=Customer(tenant=tenant, id=customer),
        lines=[(make_product(tenant=tenant), 1)],
        reference=reference,
    )
    order = replace(order, status=status)
    api.store.tables.put(TABLES.orders, attributes(to_item(order) | attributes_of_item))
    return order


async def page_of(api: Api, headers: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
    response = await api.http.get(PATH, params=params, headers=headers or staff(api))
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    assert page["has_more"] == (page["next_cursor"] is not None)
    return page


async def walk(api: Api, **params: Any) -> list[str]:
    """Return the ids on all pages by following the cursors."""
    page = await page_of(api, **params)
    found = [order["id"] for order in page["items"]]
    while page["has_more"]:
        page = await page_of(api, **params, cursor=page["next_cursor"])
        found += [order["id"] for order in page["items"]]
    return found


async def test_an_order_is_shown_with_its_customer(api: Api) -> None:
    order = stored(api, 1, "user+tag@example.com", reference="PO-7")
    page = await page_of(api)
    (item,) = page["items"]
    own = await api.http.get("/v1/orders", headers=api.headers(customer="user+tag@example.com"))
    (plain,) = own.json()["items"]
    assert page["__typename"] == "TenantOrderPage"
    assert item == plain | {"__typename": "TenantOrder", "customer": "user+tag@example.com"}
    assert (item["id"], item["reference"]) == (order.order_id, "PO-7")
    assert "customer" not in plain, "only the list of a tenant tells whose an order is"


async def test_both_sorts_page_by_page(api: Api) -> None:
    orders = [stored(api, number // 2, f"customer-{number}") for number in range(9)]
    expected = sorted(order.order_id for order in orders)
    assert await walk(api, limit=2) == expected[::-1]
    assert await walk(api, limit=2, sort="-created_at") == expected[::-1]
    assert await walk(api, limit=4, sort="created_at") == expected


async def test_filters_are_combined(api: Api) -> None:
    ada = stored(api, 1, reference="PO-7")
    bob = stored(api, 2, "bob", OrderStatus.REJECTED, reference="PO-7")
    late = stored(api, 60, "bob", OrderStatus.CANCELLED)
    stored(api, 3, tenant="globex", reference="PO-7")
    cases: list[tuple[dict[str, Any], list[Order]]] = [
        ({}, [late, bob, ada]),
        ({"status": "rejected"}, [bob]),
        ({"status": ["rejected", "confirmed"]}, [bob, ada]),
        ({"customer": "bob"}, [late, bob]),
        ({"customer": "nobody"}, []),
        ({"reference": "PO-7"}, [bob, ada]),
        ({"reference": " PO-7 "}, [bob, ada]),
        ({"reference": "PO"}, []),
        ({"reference": "PO-7", "customer": "ada"}, [ada]),
        ({"reference": "PO-7", "status": "rejected"}, [bob]),
        ({"customer": "bob", "status": "cancelled"}, [late]),
        ({"created_at[gte]": "2026-03-14T12:00:02Z"}, [late, bob]),
        ({"created_at[lt]": "2026-03-14T12:00:02Z"}, [ada]),
        ({"created_at[gte]": "2026-03-14T13:00:30+01:00", "customer": "bob"}, [late]),
        ({"created_at[gte]": "2026-03-14T12:00:02Z", "created_at[lt]": "2026-03-14T12:00:02Z"}, []),
    ]
    for params, expected in cases:
        assert await walk(api, **params) == [order.order_id for order in expected], params


async def test_a_cursor_holds_for_its_tenant_filters_and_sort_only(api: Api) -> None:
    for number in range(4):
        stored(api, number, reference="PO-7")
        stored(api, number, tenant="globex")
    cursor = (await page_of(api, limit=2))["next_cursor"]
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, staff(api, "globex")),
        ({"sort": "created_at"}, staff(api)),
        ({"created_at[gte]": "2020-01-01T00:00:00Z"}, staff(api)),
        ({"created_at[lt]": "2099-01-01T00:00:00Z"}, staff(api)),
        ({"status": "confirmed"}, staff(api)),
        ({"customer": "ada"}, staff(api)),
        ({"reference": "PO-7"}, staff(api)),
    ]
    for more, headers in attempts:
        response = await api.http.get(PATH, params={"limit": "2", **more, "cursor": cursor}, headers=headers)
        problem_of(response, 400, "invalid_cursor")
    other = await api.http.get("/v1/orders", params={"cursor": cursor}, headers=api.headers())
    problem_of(other, 400, "invalid_cursor")
    assert len((await page_of(api, limit=3, cursor=cursor))["items"]) == 2, "another limit and another caller are fine"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"cursor": "forged"}, "invalid_cursor"),
        ({"sort": "total"}, "unsupported_sort"),
        ({"limit": "101"}, "validation_failed"),
        ({"status": "lost"}, "validation_failed"),
        ({"customer": ""}, "validation_failed"),
        ({"customer": "x" * 256}, "validation_failed"),
        ({"customer": "Zo\u00eb"}, "validation_failed"),
        ({"reference": ""}, "validation_failed"),
        ({"reference": "x" * 101}, "validation_failed"),
        ({"reference": "a\nb"}, "validation_failed"),
        ({"q": "tea"}, "validation_failed"),
        ({"tenant": "globex"}, "validation_failed"),
        ({"created_at[gte]": "2026-01-02T00:00:00Z", "created_at[lt]": "2026-01-01T00:00:00Z"}, "validation_failed"),
    ],
)
async def test_an_invalid_query_is_refused(api: Api, params: dict[str, str], code: str) -> None:
    problem_of(await api.http.get(PATH, params=params, headers=staff(api)), 400, code)


@pytest.mark.parametrize("scope", ["orders:read", "orders:read orders:write orders:act products:read", ""])
async def test_another_scope_sees_nothing(api: Api, scope: str) -> None:
    stored(api, 1)
    answer = await api.http.get(PATH, headers=staff(api, scope=scope))
    assert problem_of(answer, 403, "insufficient_scope")["detail"] == "the token lacks the scope orders:admin"


async def test_a_customer_is_found_by_any_subject(api: Api) -> None:
    subjects = ("a#b", "a%23b", "a b", "a/b?c", "~")
    orders = {subject: stored(api, number, subject) for number, subject in enumerate(subjects)}
    for subject, order in orders.items():
        (item,) = (await page_of(api, customer=subject))["items"]
        assert (item["id"], item["customer"]) == (order.order_id, subject)


@pytest.mark.parametrize("params", [{}, {"customer": "ada"}, {"reference": "PO-7"}], ids=str)
async def test_an_order_of_a_newer_release_is_left_out_counted_and_logged(params: dict[str, str]) -> None:
    with capture_logs() as logs:
        async with open_api() as api:
            readable = [stored(api, number, reference="PO-7") for number in (1, 3)]
            newer = stored(api, 2, reference="PO-7", item_version=FUTURE)
            listed = await walk(api, limit=1, **params)
            metrics = (await api.http.get("/metrics")).text
    assert listed == [order.order_id for order in readable[::-1]]
    lines = [line for line in logs if line["event"] == "item_unreadable"]
    assert {(line["kind"], line["created_at"][:19]) for line in lines} == {
        ("order", f"{newer.created_at:%Y-%m-%dT%H:%M:%S}")
    }
    assert f'order_unreadable_items_total{{kind="order"}} {len(lines)}.0' in metrics


async def test_a_page_takes_one_request_of_the_tenants_limit() -> None:
    frugal = SETTINGS.model_copy(update={"rate_limit_per_second": 0.001, "rate_limit_burst": 2})
    async with open_api(settings=frugal) as api:
        for remaining in ("1", "0"):
            answer = await api.http.get(PATH, headers=staff(api))
            assert f"r={remaining};" in answer.headers["RateLimit"]
        problem_of(await api.http.get(PATH, headers=staff(api)), 429, "rate_limited")
        assert (await api.http.get(PATH, headers=staff(api, "globex"))).status_code == 200
