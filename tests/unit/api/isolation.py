"""Examples of each route for the isolation suite, and two shops in one store with the same customers and products.

The cases are derived from the routes of the app. A route without an example fails the suite, so that no new route is
left out.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum
from string import Formatter
from typing import Any

import httpx2
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from order_api.config import ApiSettings
from order_api.main import create_app
from order_shared.domain.clock import UniqueClock
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.ids import OrderId, created_at_of, new_order_id
from order_shared.domain.order.models import Customer
from order_shared.domain.webhook.models import Delivery
from order_shared.runtime.adapters import Adapters
from tests.factories import NOON, make_tenant
from tests.fakes import (
    MemoryStore,
    memory_adapters,
)
from tests.fakes_webhooks import FakeReceivers
from tests.unit.api.conftest import SETTINGS, KnownKeys, issuer

ADMIN, ACT = "orders:admin", "orders:act"
WEBHOOKS = "webhooks:write"
SCOPES = ("orders:write", "orders:read", "products:read", "products:write", WEBHOOKS, ADMIN, ACT)
ACTOR = "backend"
"""Subject of the callers that act for customers."""

PUBLIC = frozenset(
    {
        "/docs",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/pages/api",
        "/pages/api/openapi.json",
        "/pages/errors",
        "/pages/errors/{code}",
        "/pages/static/{name}",
        "/readyz",
        "/serving",
    }
)
"""Public routes, whose responses contain no customer data."""

COMMON, OWN, MORE, NOBODYS = "TEA", "POT", "CUP", "PAN"
"""SKUs: in both shops, in the first only, in the second only, in none."""

NOBODYS_ENDPOINT = f"we_{'0' * 26}"
NOBODYS_DELIVERY = "535353535353"
DELIVERY = 424242424242
"""Number of the delivery that waits for the owner's first endpoint."""

TELLS_NOTHING = frozenset({"date", "ratelimit", "x-request-id"})
"""Headers that differ between responses."""

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

Snapshot = Mapping[str, str]
"""All stored items, by key."""


@dataclass(frozen=True, order=True)
class Route:
    """Route of the app. `path` is a template; `method` is `*` if the route does not serve HTTP requests."""

    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names(self) -> frozenset[str]:
        """Return the parameters of the path."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.path) if name)

    @property
    def is_stream(self) -> bool:
        return self.path.endswith("/stream")

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and not self.names and not self.is_stream


class Owner(StrEnum):
    """Owner of the resources of a route: one customer or a whole shop."""

    CUSTOMER = "customer"
    TENANT = "tenant"


@dataclass(frozen=True, kw_only=True)
class Example:
    """Valid request of a route.

    `scope` is the required scope. `absent` is the code of the 404 for a missing resource, or None if the route looks up
    none. With a second body `another`, the route requires an `Idempotency-Key`. With `of_each`, the list of a tenant
    contains the two resources of each of its customers, otherwise two of its own. With `has_query`, a route with
    names in its path has query parameters, so that it refuses unknown ones. `paging` are the parameter of the
    next page, the field that has its value, and the code of an invalid one.
    """

    scope: str
    owner: Owner
    absent: str | None = None
    body: Mapping[str, object] | None = None
    another: Mapping[str, object] | None = None
    of_each: bool = False
    has_query: bool = False
    paging: tuple[str, str, str] = ("cursor", "next_cursor", "invalid_cursor")

    @property
    def is_keyed(self) -> bool:
        return self.another is not None


BY_POSITION = ("after", "next", "invalid_position")
ENDPOINTS = "/v1/webhook-endpoints"
ENDPOINT = f"{ENDPOINTS}/{{endpoint_id}}"
NO_ENDPOINT = "webhook_endpoint_not_found"
URL = "https://shop.example.com/webhooks"
ORDER = {"lines": [{"sku": COMMON, "quantity": 1}]}
EXAMPLES: Mapping[Route, Example] = {
    Route("/v1/orders", "POST"): Example(
        scope="orders:write",
        owner=Owner.CUSTOMER,
        body=ORDER,
        another={"lines": [{"sku": COMMON, "quantity": 2}]},
    ),
    Route("/v1/orders", "GET"): Example(scope="orders:read", owner=Owner.CUSTOMER),
    Route("/v1/orders/{order_id}", "GET"): Example(scope="orders:read", owner=Owner.CUSTOMER, absent="order_not_found"),
    Route("/v1/orders/{order_id}/cancel", "POST"): Example(
        scope="orders:write", owner=Owner.CUSTOMER, absent="order_not_found"
    ),
    Route("/v1/tenant/orders", "GET"): Example(scope=ADMIN, owner=Owner.TENANT, of_each=True),
    Route("/v1/events", "GET"): Example(scope="orders:read", owner=Owner.CUSTOMER, paging=BY_POSITION),
    Route("/v1/events/stream", "GET"): Example(scope="orders:read", owner=Owner.CUSTOMER),
    Route("/v1/tenant/events", "GET"): Example(scope=ADMIN, owner=Owner.TENANT, of_each=True, paging=BY_POSITION),
    Route("/v1/tenant/events/stream", "GET"): Example(scope=ADMIN, owner=Owner.TENANT, of_each=True),
    Route(ENDPOINTS, "POST"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, body={"url": URL}, another={"url": f"{URL}/other"}
    ),
    Route(ENDPOINTS, "GET"): Example(scope=WEBHOOKS, owner=Owner.TENANT),
    Route(ENDPOINT, "GET"): Example(scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT),
    Route(ENDPOINT, "PUT"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT, body={"url": f"{URL}/changed"}
    ),
    Route(ENDPOINT, "DELETE"): Example(scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT),
    Route(f"{ENDPOINT}/verify", "POST"): Example(scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT),
    Route(f"{ENDPOINT}/rotate-secret", "POST"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT, body={"end_previous": False}
    ),
    Route(f"{ENDPOINT}/deliveries", "GET"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT, has_query=True
    ),
    Route(f"{ENDPOINT}/deliveries/{{delivery_id}}/redeliver", "POST"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT
    ),
    Route(f"{ENDPOINT}/replay", "POST"): Example(
        scope=WEBHOOKS, owner=Owner.TENANT, absent=NO_ENDPOINT, body={"since": "2026-01-31T09:05:00Z"}
    ),
    Route("/v1/products", "GET"): Example(scope="products:read", owner=Owner.TENANT),
    Route("/v1/products/{sku}", "GET"): Example(scope="products:read", owner=Owner.TENANT, absent="product_not_found"),
    Route("/v1/products/{sku}", "PUT"): Example(
        scope="products:write", owner=Owner.TENANT, body={"name": "By example", "unit_price": 7, "currency": "EUR"}
    ),
    Route("/v1/products/{sku}/stock", "POST"): Example(
        scope="products:write",
        owner=Owner.TENANT,
        absent="product_not_found",
        body={"delta": 1},
        another={"delta": 2},
    ),
}


def routes_of(app: FastAPI) -> list[Route]:
    """Return all routes except the public ones, each with one method."""
    return sorted(
        Route(str(context.path), method)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or {"*"}
        if context.path not in PUBLIC or method not in {"GET", "HEAD"}
    )


PROTECTED = routes_of(create_app(SETTINGS))


def example_of(route: Route) -> Example:
    example = EXAMPLES.get(route)
    assert example, f"{route} is new: give it an entry in EXAMPLES of {__name__}, or, if it is for everybody, in PUBLIC"
    return example


@dataclass(frozen=True)
class Caller:
    """A customer of a tenant. `actor` is the subject of a backend that acts for the customer."""

    tenant: str
    customer: str
    scope: str = " ".join(scope for scope in SCOPES if scope not in {ADMIN, ACT})
    actor: str | None = None

    @property
    def mark(self) -> str:
        """Return the text in the references of the caller's initial orders."""
        return f"{self.tenant}:{self.customer}"

    @property
    def headers(self) -> dict[str, str]:
        token = issuer().token(self.tenant, self.actor or self.customer, self.scope)
        acting = {"Order-Customer": self.customer} if self.actor else {}
        return {"Authorization": f"Bearer {token}", **acting}

    @property
    def by_backend(self) -> "Caller":
        """Return the backend of the shop that acts for this customer."""
        return replace(self, scope=f"{self.scope} {ACT}", actor=ACTOR)

    def entitled_to(self, route: "Route") -> "Caller":
        """Return the caller with the scope of the route too, if it does not have it."""
        scope = example_of(route).scope
        return self if scope in self.scope.split() else replace(self, scope=f"{self.scope} {scope}")

    @property
    def as_staff(self) -> "Caller":
        return replace(self, scope=f"{self.scope} {ADMIN}")


@dataclass(frozen=True)
class Names:
    """Values of the path parameters."""

    order_id: str
    sku: str
    endpoint_id: str = NOBODYS_ENDPOINT
    delivery_id: str = NOBODYS_DELIVERY

    def fill(self, path: str) -> str:
        return path.format(
            order_id=self.order_id, sku=self.sku, endpoint_id=self.endpoint_id, delivery_id=self.delivery_id
        )


@dataclass
class Patience:
    """Seconds without a message after which a client closes a stream."""

    seconds: float = 0.05


@dataclass(frozen=True)
class World:
    """`owner` has the resources; `neighbour` is in the same shop; `stranger` has the owner's name in another shop."""

    http: httpx2.AsyncClient
    snapshot: Callable[[], Awaitable[Snapshot]]
    owner: Caller
    neighbour: Caller
    stranger: Caller
    adapters: Adapters
    patience: Patience = field(default_factory=Patience)

    @property
    def callers(self) -> tuple[Caller, Caller, Caller]:
        return self.owner, self.neighbour, self.stranger

    def listed(self, route: Route, caller: Caller) -> int:
        """Return the number of items in the caller's list after `settle`."""
        return 2 * sum(each.tenant == caller.tenant for each in self.callers) if example_of(route).of_each else 2

    def others(self, whose: Owner) -> list[Caller]:
        """Return the callers that must not see the owner's data, including staff and the backend of the other shop."""
        outside = [self.stranger, self.stranger.as_staff, self.stranger.by_backend]
        inside = [self.neighbour, self.neighbour.by_backend, Caller(self.owner.tenant, ACTOR)]
        return [*inside, *outside] if whose is Owner.CUSTOMER else outside

    async def settle(self) -> Names:
        """Create products named after their shops and two orders of each caller; return the owner's resources.

        The log has one event of each order.
        """
        await self.adapters.event_writer.begin()
        for caller, own in ((self.owner, OWN), (self.stranger, MORE)):
            for sku in (COMMON, own):
                await self.put_product(caller, sku)
                await self.add_stock(caller, sku, 10)
        first, *_ = [await self.place(caller, caller.mark + turn) for caller in self.callers for turn in (".1", ".2")]
        ours, *_ = [
            await self.add_endpoint(each, turn) for each in (self.owner, self.stranger) for turn in (".1", ".2")
        ]
        await self.fail_delivery(ours, first)
        return Names(first, OWN, ours, str(DELIVERY))

    async def add_endpoint(self, caller: Caller, turn: str) -> str:
        """Create an endpoint, whose description names its shop, and return its id."""
        body = {"url": URL, "description": f"of {caller.tenant}{turn}"}
        headers = caller.headers | {"Idempotency-Key": f"endpoint{turn}"}
        return str(done(await self.http.post(ENDPOINTS, json=body, headers=headers)).json()["id"])

    async def fail_delivery(self, endpoint_id: str, order_id: str) -> None:
        """Store a delivery of the owner's order that waits for its next attempt, as the notifier does."""
        customer, at = Customer(tenant=self.owner.tenant, id=self.owner.customer), created_at_of(order_id)
        event = OrderEvent(customer=customer, order_id=OrderId(order_id), version=1, change=OrderChange.PLACED, at=at)
        delivery = Delivery(sequence=DELIVERY, event=event, created_at=at, due_at=at)
        await self.adapters.endpoints.redeliver(self.owner.tenant, endpoint_id, delivery)

    async def put_product(self, caller: Caller, sku: str, unit_price: int = 590) -> None:
        product = {"name": f"{sku} of {caller.tenant}", "unit_price": unit_price, "currency": "EUR"}
        done(await self.http.put(f"/v1/products/{sku}", json=product, headers=caller.headers))

    async def add_stock(self, caller: Caller, sku: str, delta: int) -> None:
        headers = caller.headers | {"Idempotency-Key": f"{sku}{delta}"}
        done(await self.http.post(f"/v1/products/{sku}/stock", json={"delta": delta}, headers=headers))

    async def product(self, caller: Caller, sku: str) -> dict[str, object]:
        answer: dict[str, object] = done(await self.http.get(f"/v1/products/{sku}", headers=caller.headers)).json()
        return answer

    async def place(self, caller: Caller, reference: str) -> str:
        """Place an order and return its id. The reference is also the idempotency key."""
        headers = caller.headers | {"Idempotency-Key": reference}
        response = await self.http.post("/v1/orders", json={**ORDER, "reference": reference}, headers=headers)
        order_id = str(done(response).json()["id"])
        order = await self.adapters.orders.get(Customer(tenant=caller.tenant, id=caller.customer), order_id)
        await self.adapters.event_writer.append(caller.tenant, [order])
        return order_id

    async def send(
        self,
        route: Route,
        who: Mapping[str, str],
        names: Names,
        *,
        key: str = "of the example",
        body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send the example request of the route with the headers `who`, which identify the caller."""
        example = example_of(route)
        keyed = {"Idempotency-Key": key} if example.is_keyed else {}
        return await self.http.request(
            route.method, names.fill(route.path), json=body or example.body, headers={**keyed, **who}, params=params
        )


def nobodys() -> Names:
    """Well-formed ids that no resource has."""
    return Names(new_order_id(NOON), NOBODYS)


def done(response: httpx2.Response) -> httpx2.Response:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    return response


def items_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """Return the items of a list, or the events of a stream."""
    if response.headers["Content-Type"] == "application/json":
        listed: list[dict[str, Any]] = done(response).json()["items"]
        return listed
    lines = done(response).text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def closing_streams(app: ASGIApp, patience: Patience) -> ASGIApp:
    """Return the app with a client that closes each stream after some time without a message."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        sent = asyncio.Event()
        is_read = False

        async def noting_send(message: Message) -> None:
            sent.set()
            await send(message)

        async def brief_receive() -> Message:
            nonlocal is_read
            if not is_read:
                is_read = True
                return await receive()
            await sent.wait()
            while sent.is_set():
                sent.clear()
                await asyncio.sleep(patience.seconds)
            return {"type": "http.disconnect"}

        is_stream = scope["type"] == "http" and scope["path"].endswith("/stream")
        await (app(scope, brief_receive, noting_send) if is_stream else app(scope, receive, send))

    return call


def told_by(response: httpx2.Response, names: Names) -> tuple[int, dict[str, str], str]:
    """Everything that a caller learns from a response, except their own values, the request id and the time."""
    text = INSTANT.sub("(time)", response.text)
    for known in (*astuple(names), response.headers["X-Request-Id"]):
        text = text.replace(known, "(known)")
    return (
        response.status_code,
        {name: value for name, value in response.headers.items() if name not in TELLS_NOTHING},
        text,
    )


@asynccontextmanager
async def open_world(
    adapters: Adapters, snapshot: Callable[[], Awaitable[Snapshot]], settings: ApiSettings = SETTINGS
) -> AsyncIterator[World]:
    app = create_app(settings, adapters=adapters, keys=KnownKeys(), sender=FakeReceivers())
    patience = Patience()
    transport = httpx2.ASGITransport(app=closing_streams(app, patience))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http,
    ):
        shop = make_tenant()
        owner, neighbour, stranger = Caller(shop, "ada"), Caller(shop, "bob"), Caller(make_tenant(), "ada")
        yield World(http, snapshot, owner, neighbour, stranger, adapters, patience)


@asynccontextmanager
async def open_memory_world(settings: ApiSettings = SETTINGS) -> AsyncIterator[World]:
    store = MemoryStore(UniqueClock())

    async def snapshot() -> Snapshot:
        return {"|".join(key): repr(item) for key, item in store.tables.items.items()}

    adapters = memory_adapters(store)
    async with open_world(adapters, snapshot, settings) as world:
        yield world
