"""Responses match the examples and schemas of the OpenAPI document."""

import re
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from devstack.issuer import ALL_SCOPES
from order_api.openapi.texts import SCOPES
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer, Order
from tests.fakes import MemoryOrderRepository
from tests.unit.api.conftest import Api, open_api
from tests.unit.api.described import (
    BELOW_V1,
    DOCUMENT,
    OPERATIONS,
    assert_documented,
    example_request,
    operation_of,
    problem_example,
)


async def test_it_is_served_to_anyone(api: Api) -> None:
    assert (await api.http.get("/openapi.json")).json() == DOCUMENT


@pytest.mark.parametrize("name", BELOW_V1)
async def test_an_operation_names_the_scope_that_it_really_asks_for(api: Api, name: str) -> None:
    operation = operation_of(name)
    ((scope,), *_) = [scopes for requirement in operation["security"] for scopes in requirement.values()]
    assert f"`{scope}`" in operation["description"]
    assert scope in SCOPES
    others = " ".join(set(ALL_SCOPES.split()) - {scope})
    response = await api.http.send(example_request(name, headers=api.headers(scope=others)))
    assert response.status_code == 403
    expected = problem_example(name, "403", "insufficient_scope")
    assert response.json() == expected | {
        "instance": response.request.url.path,
        "request_id": response.headers["X-Request-Id"],
    }


def _name_of(response: httpx2.Response) -> str:
    """Return the operation of the response."""
    (name,) = {
        name
        for name, (method, path, _) in OPERATIONS.items()
        if method == response.request.method
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), response.request.url.path)
    }
    return name


async def test_the_example_requests_return_the_documented_responses(api: Api) -> None:
    headers = api.headers()
    pot = {"name": "Glass pot, 1 l", "unit_price": 2450, "currency": "EUR"}
    assert (await api.http.put("/v1/products/POT-GLASS", json=pot, headers=headers)).status_code == 200
    answers = [
        await api.http.send(example_request(name, headers=headers))
        for name in ("putProduct", "adjustStock", "adjustStock", "getProduct", "listProducts", "placeOrder")
    ]
    again = await api.http.send(example_request("placeOrder", headers=headers))
    assert again.headers["Idempotent-Replayed"] == "true"
    order_id = again.json()["id"]
    answers += [again] + [
        await api.http.send(example_request(name, headers=headers, order_id=order_id))
        for name in ("getOrder", "listOrders", "cancelOrder")
    ]
    for response in answers:
        assert response.is_success, response.text
        assert_documented(_name_of(response), response)


async def test_an_order_that_is_as_you_know_it_is_answered_as_documented(api: Api) -> None:
    await api.put_product("TEA", units=5)
    placed = await api.post_order({"lines": [{"sku": "TEA", "quantity": 1}]})
    headers = api.headers() | {"If-None-Match": placed.headers["ETag"], "Prefer": "wait=0"}
    response = await api.http.send(example_request("getOrder", headers=headers, order_id=placed.json()["id"]))
    assert response.status_code == 304
    assert_documented("getOrder", response)


@pytest.mark.parametrize("name", ["healthz", "serving", "readyz", "metrics"])
async def test_health_answers_as_documented(api: Api, name: str) -> None:
    response = await api.http.send(example_request(name))
    assert response.is_success
    assert_documented(name, response)


MISTAKES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("placeOrder", "401", "unauthenticated", {"headers": {}}),
    ("placeOrder", "400", "idempotency_key_missing", {"headers": {"Idempotency-Key": ""}}),
    ("placeOrder", "400", "validation_failed", {"body": {}}),
    ("placeOrder", "422", "unknown_sku", {"body": {"lines": [{"sku": "TEA-GREEN-100", "quantity": 1}]}}),
    ("placeOrder", "413", "payload_too_large", {"body": {"reference": "x" * 65536}}),
    ("listOrders", "400", "validation_failed", {"query": {"limit": 101}}),
    ("listOrders", "400", "invalid_cursor", {"query": {"cursor": "made-up"}}),
    ("listOrders", "400", "unsupported_sort", {"query": {"sort": "total"}}),
    ("getOrder", "400", "validation_failed", {"headers": {"If-None-Match": "1"}}),
    ("getOrder", "404", "order_not_found", {}),
    ("cancelOrder", "404", "order_not_found", {}),
    ("listProducts", "400", "validation_failed", {"query": {"limit": 101}}),
    ("getProduct", "400", "validation_failed", {"sku": "-"}),
    ("getProduct", "404", "product_not_found", {}),
    ("putProduct", "400", "validation_failed", {"body": {"unit_price": 1, "currency": "EUR"}}),
    ("adjustStock", "400", "validation_failed", {"body": {}}),
    ("adjustStock", "404", "product_not_found", {}),
]


@pytest.mark.parametrize(("name", "status", "code", "mistake"), MISTAKES)
async def test_an_error_is_answered_as_the_document_shows_it(
    api: Api, name: str, status: str, code: str, mistake: dict[str, Any]
) -> None:
    headers = {} if code == "unauthenticated" else api.headers() | mistake.get("headers", {})
    response = await api.http.send(example_request(name, **mistake | {"headers": headers}))
    assert_documented(name, response)
    expected = problem_example(name, status, code)
    assert response.json() == expected | {
        "instance": response.request.url.path,
        "request_id": response.headers["X-Request-Id"],
    }


class FailingOrders(MemoryOrderRepository):
    error: Exception = ZeroDivisionError()

    async def get(self, customer: Customer, order_id: str) -> Order:  # noqa: ARG002 - the protocol's
        raise self.error


class UnavailableOrders(FailingOrders):
    error = StorageUnavailable("DynamoDB: timeout")


@pytest.mark.parametrize(
    ("orders", "status", "code"),
    [(FailingOrders, "500", "internal_error"), (UnavailableOrders, "503", "temporarily_unavailable")],
)
async def test_a_failure_of_ours_is_answered_as_the_document_shows_it(
    orders: type[FailingOrders], status: str, code: str
) -> None:
    async with open_api(orders) as api:
        with capture_logs():  # a traceback is for people, and takes long to draw
            response = await api.http.send(example_request("getOrder", headers=api.headers()))
    assert_documented("getOrder", response)
    expected = problem_example("getOrder", status, code)
    assert response.json() == expected | {
        "instance": response.request.url.path,
        "request_id": response.headers["X-Request-Id"],
    }
