"""Every error is a problem response: those of the API, of the framework, and unexpected ones."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from order_api.auth import KeysUnavailable, SigningKey
from order_api.dependencies import ScopedRoute, declared_access, requires
from order_api.main import create_app
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer, Order
from tests.documents import resolved
from tests.fakes import (
    MemoryOrderRepository,
    MemoryStore,
    memory_adapters,
)
from tests.unit.api.conftest import SETTINGS, Api, KnownKeys, issuer, make_app, problem_of

ROUTES = [
    ("POST", "/v1/orders", "orders:write"),
    ("GET", "/v1/orders", "orders:read"),
    ("GET", "/v1/orders/ord_x", "orders:read"),
    ("POST", "/v1/orders/ord_x/cancel", "orders:write"),
    ("GET", "/v1/tenant/orders", "orders:admin"),
    ("GET", "/v1/events", "orders:read"),
    ("GET", "/v1/events/stream", "orders:read"),
    ("GET", "/v1/tenant/events", "orders:admin"),
    ("GET", "/v1/tenant/events/stream", "orders:admin"),
    ("POST", "/v1/webhook-endpoints", "webhooks:write"),
    ("GET", "/v1/webhook-endpoints", "webhooks:write"),
    ("GET", "/v1/webhook-endpoints/we_x", "webhooks:write"),
    ("PUT", "/v1/webhook-endpoints/we_x", "webhooks:write"),
    ("DELETE", "/v1/webhook-endpoints/we_x", "webhooks:write"),
    ("POST", "/v1/webhook-endpoints/we_x/verify", "webhooks:write"),
    ("POST", "/v1/webhook-endpoints/we_x/rotate-secret", "webhooks:write"),
    ("GET", "/v1/webhook-endpoints/we_x/deliveries", "webhooks:write"),
    ("POST", "/v1/webhook-endpoints/we_x/deliveries/1/redeliver", "webhooks:write"),
    ("POST", "/v1/webhook-endpoints/we_x/replay", "webhooks:write"),
    ("GET", "/v1/products", "products:read"),
    ("GET", "/v1/products/TEA", "products:read"),
    ("PUT", "/v1/products/TEA", "products:write"),
    ("POST", "/v1/products/TEA/stock", "products:write"),
]
ALL = {scope for _, _, scope in ROUTES} | {"orders:admin"}


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
async def test_every_route_asks_for_a_token(api: Api, method: str, path: str, _: str) -> None:
    response = await api.http.request(method, path)
    problem_of(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "_"), ROUTES)
async def test_every_route_refuses_two_tokens(api: Api, method: str, path: str, _: str) -> None:
    token = api.headers()["Authorization"]
    response = await api.http.request(method, path, headers=[("Authorization", token), ("Authorization", token)])
    problem = problem_of(response, 401, "unauthenticated")
    assert problem["detail"].startswith("send one header Authorization")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
async def test_every_route_asks_for_its_scope(api: Api, method: str, path: str, scope: str) -> None:
    headers = api.headers(scope=" ".join(ALL - {scope}))
    response = await api.http.request(method, path, headers=headers)
    problem = problem_of(response, 403, "insufficient_scope")
    assert scope in problem["detail"]
    assert response.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


def app_with(route: type[APIRoute], path: str, endpoint: Callable[..., Any]) -> FastAPI:
    router = APIRouter(route_class=route)
    router.add_api_route(path, endpoint)
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(router)
    return app


async def test_a_route_without_a_scope_is_no_route() -> None:
    async def careless() -> None:
        """Endpoint that declares no scope and is not public."""

    @requires("orders:read")
    async def scoped() -> None:
        """Endpoint that declares a scope."""

    for path, endpoint, route in (
        ("/v1/careless", careless, APIRoute),
        ("/v1/unasked", scoped, APIRoute),  # says a scope, and nobody asks for it
        ("/v1/careless", careless, ScopedRoute),
        ("/careless", careless, APIRoute),
        ("/healthz", scoped, ScopedRoute),  # nobody is known there
    ):
        with pytest.raises(TypeError, match=path):
            _ = declared_access(app_with(route, path, endpoint))


async def test_every_route_below_v1_is_among_those_tried_here() -> None:
    paths = {
        re.sub("ord_x|TEA|we_x|/1/", lambda part: "/{}/" if part[0] == "/1/" else "{}", path) for _, path, _ in ROUTES
    }
    contexts = list(iter_route_contexts(create_app(SETTINGS).routes))
    assert paths == {re.sub(r"{\w+}", "{}", path) for route in contexts if "/v1" in (path := str(route.path))}


class NoKeys:
    """Issuer that does not respond."""

    async def get(self, key_id: str) -> SigningKey | None:
        raise KeysUnavailable(f"asked for {key_id}")


async def test_without_the_issuer_s_keys_a_token_may_be_sent_again() -> None:
    app = make_app(keys=NoKeys())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api.test") as http,
    ):
        headers = {"Authorization": f"Bearer {issuer().token('acme', 'ada')}"}
        response = await http.get("/v1/orders", headers=headers)
        assert problem_of(response, 503, "temporarily_unavailable")["retryable"] is True
        assert int(response.headers["Retry-After"]) >= 1
        problem_of(await http.get("/v1/orders"), 401, "unauthenticated")
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer rubbish", "Basic YTpi", "Bearer a.b.c"])
async def test_a_token_that_does_not_hold_is_no_token(api: Api, header: str) -> None:
    response = await api.http.get("/v1/orders", headers={"Authorization": header})
    problem_of(response, 401, "unauthenticated")
    is_token = header.startswith("Bearer ") and header != "Bearer "
    assert response.headers["WWW-Authenticate"] == ('Bearer error="invalid_token"' if is_token else "Bearer")


async def test_nothing_is_parsed_for_a_stranger(api: Api) -> None:
    response = await api.http.post("/v1/orders", content=b"{", headers={"Content-Type": "application/json"})
    problem_of(response, 401, "unauthenticated")
    problem_of(await api.http.get("/v1/nowhere"), 401, "unauthenticated")


async def test_an_unknown_path_is_a_problem(api: Api) -> None:
    problem_of(await api.http.get("/v1/nowhere", headers=api.headers()), 404, "not_found")


async def test_a_wrong_method_is_a_problem(api: Api) -> None:
    response = await api.http.delete("/v1/orders", headers=api.headers())
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"lines": NaN}', b"[" * 30_000, b'"\\ud800"'])
async def test_a_body_that_is_no_json_is_a_problem(api: Api, content: bytes) -> None:
    headers = {**api.headers(), "Content-Type": "application/json", "Idempotency-Key": "k"}
    response = await api.http.post("/v1/orders", content=content, headers=headers)
    problem_of(response, 400, "validation_failed")


async def test_a_body_that_is_too_large_is_refused_by_its_declared_length(api: Api) -> None:
    headers = {**api.headers(), "Idempotency-Key": "k"}
    response = await api.http.post("/v1/orders", content=b"x" * (64 * 1024 + 1), headers=headers)
    problem_of(response, 413, "payload_too_large")


async def test_a_body_that_is_too_large_is_refused_while_it_comes(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    headers = {**api.headers(), "Idempotency-Key": "k", "Content-Type": "application/json"}
    response = await api.http.post("/v1/orders", content=endless(), headers=headers)
    problem_of(response, 413, "payload_too_large")


async def test_a_sane_request_id_is_kept_and_another_is_made(api: Api) -> None:
    kept = await api.http.get("/healthz", headers={"X-Request-Id": "trace-me.1"})
    assert kept.headers["X-Request-Id"] == "trace-me.1"
    for bad in ("x" * 129, "with space", "a\tb"):
        made = await api.http.get("/healthz", headers={"X-Request-Id": bad})
        assert made.headers["X-Request-Id"] != bad
        assert len(made.headers["X-Request-Id"]) == 32


class BrokenOrders(MemoryOrderRepository):
    """Raises the given error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(MemoryStore())
        self._error = error

    async def get(self, customer: Customer, order_id: str) -> Order:  # noqa: ARG002 - the protocol's
        raise self._error

    async def ping(self) -> None:
        raise self._error


async def ask(error: Exception, path: str) -> httpx2.Response:
    adapters = memory_adapters(MemoryStore(), orders=BrokenOrders(error))
    app = create_app(SETTINGS, adapters=adapters, keys=KnownKeys())
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http,
    ):
        return await http.get(path, headers={"Authorization": f"Bearer {issuer().token('acme', 'ada')}"})


async def test_storage_that_does_not_answer_is_a_503_that_may_be_repeated() -> None:
    response = await ask(StorageUnavailable("DynamoDB: timeout"), "/v1/orders/ord_x")
    problem = problem_of(response, 503, "temporarily_unavailable")
    assert problem["retryable"] is True
    assert int(response.headers["Retry-After"]) >= 1


async def test_an_unexpected_error_reveals_only_its_request_id() -> None:
    response = await ask(ZeroDivisionError("a secret"), "/v1/orders/ord_x")
    problem_of(response, 500, "internal_error")
    assert "secret" not in response.text


async def test_without_dynamodb_it_is_not_ready_but_alive() -> None:
    response = await ask(ConnectionError(), "/readyz")
    assert (response.status_code, response.json()["dynamodb"]) == (503, "unavailable")
    assert (await ask(ConnectionError(), "/healthz")).status_code == 200


async def test_requests_are_counted_by_route_and_not_by_path(api: Api) -> None:
    await api.http.get("/v1/orders/ord_x", headers=api.headers())
    await api.http.get("/nowhere")
    text = (await api.http.get("/metrics")).text
    assert 'order_http_requests_total{method="GET",route="/v1/orders/{order_id}",status="404"} 1.0' in text
    assert 'order_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text


async def test_the_documentation_names_problems_and_no_other_errors(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, stated in operation["responses"].items():
                if status.startswith(("4", "5", "d")) and path.startswith("/v1"):
                    answer = resolved(document, stated)
                    (media_type,) = answer["content"]
                    assert media_type == "application/problem+json", (path, status)
                    assert answer["content"][media_type]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
