"""Client of the API: place, read, list, watch and cancel orders; follow their events; products and webhooks."""

import re
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import aclosing
from copy import copy
from datetime import UTC, datetime
from typing import Self, TypeVar
from urllib.parse import quote

import httpx2

from order_client.calls import Call, Caller, Token
from order_client.exceptions import OrderClientError
from order_client.following import follow
from order_client.models import (
    END_STATES,
    Event,
    EventPage,
    EventType,
    ListedProduct,
    Order,
    OrderPage,
    OrderStatus,
    PlacedOrder,
    Product,
    ProductPage,
    TenantEvent,
    TenantEventPage,
    TenantOrder,
    TenantOrderPage,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookEndpoint,
    WebhookEndpointPage,
)
from order_client.responses import read
from order_client.retries import RetryPolicy, Time
from order_client.waiting import ORDERS, etag, known_states, order_path, versions

PRODUCTS = "/v1/products"
TENANT_ORDERS = "/v1/tenant/orders"
EVENTS = "/v1/events"
TENANT_EVENTS = "/v1/tenant/events"
WEBHOOKS = "/v1/webhook-endpoints"
CHALLENGE_SECONDS = 10.0
"""Time for which the API waits for the answer of a receiver, at most."""
PAGE_SIZE = 100
P = TypeVar("P", OrderPage, ProductPage, TenantOrderPage, WebhookEndpointPage, WebhookDeliveryPage)
EP = TypeVar("EP", EventPage, TenantEventPage)
HEADER_PATTERN = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
"""Values of the headers Idempotency-Key and Order-Customer."""


class OrderClient:
    """Client of one customer: that of the token, or of `acting_for`. Any number of calls may run at once.

    Calls are retried within the deadline of the policy if the network or the API fails. In addition to the errors
    in their docstrings, all methods raise Unreachable, Unavailable, RateLimited, Unauthenticated, Forbidden,
    InvalidRequest and UnexpectedAnswer.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        retries: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        time: Time | None = None,
    ) -> None:
        """Create a client. `token` is a bearer token or an async function that returns one.

        Raises ValueError for an invalid base URL, and if the environment names a proxy that cannot be used.
        """
        self._time = time or Time()
        self._policy = retries or RetryPolicy()
        self._caller = Caller(base_url, token, policy=self._policy, time=self._time, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. `async with` does this automatically."""
        await self._caller.aclose()

    def acting_for(self, customer: str) -> Self:
        """Return a client that acts for another customer of the token's tenant, over the same connections.

        The token needs the scope `orders:act`. Close only one of the clients. Raises ValueError for a customer whose
        subject a header cannot contain.
        """
        if not HEADER_PATTERN.fullmatch(customer):
            raise ValueError("the customer must have 1 to 255 printable ASCII characters, and no blanks at the ends")
        acting = copy(self)
        acting._caller = self._caller.with_headers({"Order-Customer": customer})  # noqa: SLF001 - of a copy of this
        return acting

    async def place_order(
        self,
        lines: Mapping[str, int],
        *,
        reference: str | None = None,
        payment_token: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> PlacedOrder:
        """Place an order. The returned order is durable and will be processed soon. `lines` are quantities by SKU.

        `metadata` is your own data, which is returned with the order: at most 20 keys, and 4,096 bytes in all.

        Without an idempotency key each call creates a new one: the retries of a call place one order, and two calls
        place two. Pass your own key to repeat the call after a restart of the program. If the API cannot be reached or
        returns an error, the raised error has the key in `idempotency_key`.
        Raises Unprocessable, Conflict, and ValueError for an invalid key.
        """
        key = _new_key(idempotency_key)
        fields = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()],
            "reference": reference,
            "payment_token": payment_token,
            "metadata": None if metadata is None else dict(metadata),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        call = Call(method="POST", path=ORDERS, headers={"Idempotency-Key": key}, body=body)
        try:
            response = await self._caller.send(call)
            placed = read(PlacedOrder, response)
        except OrderClientError as error:
            error.idempotency_key = key
            raise
        return placed.model_copy(update={"replayed": response.headers.get("Idempotent-Replayed") == "true"})

    async def get_order(self, order_id: str) -> Order:
        """Return the current state of the order. Raises NotFound."""
        return read(Order, await self._caller.send(Call(method="GET", path=order_path(order_id))))

    async def cancel_order(self, order_id: str, *, version: int | None = None) -> Order:
        """Cancel the order at once if it is pending; otherwise request its cancellation. Return the order.

        After a request, stock and payment are returned soon. Repeating the call has no effect.

        If `version` is given, the order is cancelled only if it still has this version.
        Raises NotFound, VersionMismatch, and Conflict if the order can no longer be cancelled.
        """
        headers = {} if version is None else {"If-Match": etag(version)}
        return read(
            Order, await self._caller.send(Call(method="POST", path=f"{order_path(order_id)}/cancel", headers=headers))
        )

    async def wait_for_end(
        self,
        order_id: str,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - it raises StillOpen, with the order
        until: Collection[OrderStatus | str] = END_STATES,
    ) -> Order:
        """Wait until the order is in a state of `until`, such as `{"cancelled"}` after a cancellation, and return it.

        Raises NotFound, StillOpen after `timeout` seconds, EndedOtherwise as soon as the order can no longer reach
        such a state, and ValueError for an unknown state.
        """
        states = known_states(until)
        seen = [
            order async for order in versions(self._caller, self._time, order_id, timeout, states, look_first=False)
        ]
        return seen[-1]

    async def watch_order(
        self,
        order_id: str,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - it raises StillOpen, with the order
        until: Collection[OrderStatus | str] = END_STATES,
    ) -> AsyncIterator[Order]:
        """Yield the order now and after each change, until it is in a state of `until`.

        Several quick changes may be yielded as one; the timeline of the order contains all of them. Raises the same
        errors as `wait_for_end`.
        """
        states = known_states(until)
        async for order in versions(self._caller, self._time, order_id, timeout, states, look_first=True):
            yield order

    async def orders(
        self,
        *,
        status: Collection[OrderStatus | str] = (),
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        q: str | None = None,
        sort: str | None = None,
    ) -> AsyncIterator[Order]:
        """Yield the customer's orders, newest first unless `sort="created_at"`, and read pages as needed.

        The arguments are those of `order_pages`.
        """
        pages = self.order_pages(
            status=status, created_from=created_from, created_before=created_before, q=q, sort=sort, page_size=PAGE_SIZE
        )
        async for page in pages:
            for order in page.items:
                yield order

    async def order_pages(
        self,
        *,
        status: Collection[OrderStatus | str] = (),
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        q: str | None = None,
        sort: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[OrderPage]:
        """Yield the customer's orders page by page, newest first unless `sort="created_at"`.

        `q` searches references and SKUs. Times need a time zone. `created_from` is inclusive, `created_before` is not.
        Raises ValueError for a time without a zone.
        """
        filters = _filters(status, created_from, created_before, sort, page_size, q=q)
        async for page in self._pages(OrderPage, ORDERS, filters):
            yield page

    async def tenant_orders(
        self,
        *,
        status: Collection[OrderStatus | str] = (),
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        customer: str | None = None,
        reference: str | None = None,
        sort: str | None = None,
    ) -> AsyncIterator[TenantOrder]:
        """Yield the orders of all customers of the token's tenant, and read pages as needed.

        The token needs the scope `orders:admin`. The arguments are those of `tenant_order_pages`.
        """
        pages = self.tenant_order_pages(
            status=status,
            created_from=created_from,
            created_before=created_before,
            customer=customer,
            reference=reference,
            sort=sort,
            page_size=PAGE_SIZE,
        )
        async for page in pages:
            for order in page.items:
                yield order

    async def tenant_order_pages(
        self,
        *,
        status: Collection[OrderStatus | str] = (),
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        customer: str | None = None,
        reference: str | None = None,
        sort: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[TenantOrderPage]:
        """Yield the orders of all customers of the token's tenant, newest first unless `sort="created_at"`.

        The token needs the scope `orders:admin`. `customer` is a customer's subject, and `reference` a whole reference.
        Times are as in `order_pages`. With filters a page may be empty, although others follow. Raises ValueError for a
        time without a zone.
        """
        filters = _filters(
            status, created_from, created_before, sort, page_size, customer=customer, reference=reference
        )
        async for page in self._pages(TenantOrderPage, TENANT_ORDERS, filters):
            yield page

    async def events(
        self, *, after: str | None = None, types: Collection[EventType | str] = ()
    ) -> AsyncIterator[Event]:
        """Yield the events of the customer's orders, oldest first, up to the newest, and read pages as needed.

        `after` is a stored `position`, or `"latest"` for the end; without it the events begin with the oldest one kept.
        Store `position` of each event that you have handled: after a restart, reading from it repeats at most the
        events of one page. With `types`, use `event_pages`, which moves on even if no event matches. Raises
        PositionExpired.
        """
        async for page in self.event_pages(after=after, types=types, page_size=PAGE_SIZE):
            for number, event in enumerate(page.items, 1):
                yield event.model_copy(update={"position": page.next if number == len(page.items) else after})
            after = page.next

    async def event_pages(
        self,
        *,
        after: str | None = None,
        types: Collection[EventType | str] = (),
        page_size: int | None = None,
    ) -> AsyncIterator[EventPage]:
        """Yield the events of the customer's orders page by page, oldest first, up to the newest.

        Store `next` of each page whose events you have handled, and pass it as `after` the next time, also if the page
        is empty. The arguments and errors are those of `events`.
        """
        async for page in self._event_pages(EventPage, EVENTS, after, types, page_size):
            yield page

    async def stream_events(
        self, *, after: str | None = None, types: Collection[EventType | str] = ()
    ) -> AsyncIterator[Event]:
        """Yield the events of the customer's orders as they happen, without end, from a position on.

        A lost connection is resumed with the next event. Store `position` of each event that you have handled; `after`
        is as in `events`. Raises PositionExpired, and Unreachable or Unavailable if no connection is possible within
        the deadline: call it again later with the stored position.
        """
        call = _stream(EVENTS, after, types)
        async with aclosing(follow(self._caller, self._time, self._policy, call, Event)) as events:
            async for event in events:
                yield event

    async def tenant_events(
        self, *, after: str | None = None, types: Collection[EventType | str] = ()
    ) -> AsyncIterator[TenantEvent]:
        """Yield the events of the orders of all customers of the token's tenant, oldest first, up to the newest.

        The token needs the scope `orders:admin`. The arguments and errors are those of `events`. Its positions are not
        valid for `events`.
        """
        async for page in self.tenant_event_pages(after=after, types=types, page_size=PAGE_SIZE):
            for number, event in enumerate(page.items, 1):
                yield event.model_copy(update={"position": page.next if number == len(page.items) else after})
            after = page.next

    async def tenant_event_pages(
        self,
        *,
        after: str | None = None,
        types: Collection[EventType | str] = (),
        page_size: int | None = None,
    ) -> AsyncIterator[TenantEventPage]:
        """Yield the events of the orders of all customers of the token's tenant page by page, oldest first.

        The token needs the scope `orders:admin`. The arguments and errors are those of `event_pages`.
        """
        async for page in self._event_pages(TenantEventPage, TENANT_EVENTS, after, types, page_size):
            yield page

    async def stream_tenant_events(
        self, *, after: str | None = None, types: Collection[EventType | str] = ()
    ) -> AsyncIterator[TenantEvent]:
        """Yield the events of the orders of all customers of the token's tenant as they happen, without end.

        The token needs the scope `orders:admin`. The arguments and errors are those of `stream_events`.
        """
        call = _stream(TENANT_EVENTS, after, types)
        async with aclosing(follow(self._caller, self._time, self._policy, call, TenantEvent)) as events:
            async for event in events:
                yield event

    async def get_product(self, sku: str) -> Product:
        """Return a product with its available stock. Raises NotFound."""
        return read(Product, await self._caller.send(Call(method="GET", path=_product_path(sku))))

    async def products(self) -> AsyncIterator[ListedProduct]:
        """Yield the products of the token's tenant, sorted by SKU, and read pages as needed."""
        async for page in self._pages(ProductPage, PRODUCTS, [("limit", str(PAGE_SIZE))]):
            for product in page.items:
                yield product

    async def put_product(
        self, sku: str, *, name: str, unit_price: int, currency: str, stock_shards: int | None = None
    ) -> Product:
        """Create or replace a product. `unit_price` is in minor units of `currency`. Its stock does not change.

        Without `stock_shards` an existing product keeps its number. Raises Conflict if the number would decrease.
        """
        body = {"name": name, "unit_price": unit_price, "currency": currency}
        if stock_shards is not None:
            body["stock_shards"] = stock_shards
        return read(Product, await self._caller.send(Call(method="PUT", path=_product_path(sku), body=body)))

    async def adjust_stock(self, sku: str, delta: int, *, idempotency_key: str | None = None) -> Product:
        """Add `delta` units to the stock, or remove units if it is negative. Return the product.

        Idempotency keys are as in `place_order`. Raises NotFound, Conflict if the stock is insufficient, and ValueError
        for an invalid key.
        """
        key = _new_key(idempotency_key)
        headers = {"Idempotency-Key": key}
        call = Call(method="POST", path=f"{_product_path(sku)}/stock", headers=headers, body={"delta": delta})
        try:
            return read(Product, await self._caller.send(call))
        except OrderClientError as error:
            error.idempotency_key = key
            raise

    async def create_webhook_endpoint(
        self,
        url: str,
        *,
        types: Collection[EventType | str] = (),
        description: str = "",
        enabled: bool = True,
        idempotency_key: str | None = None,
    ) -> WebhookEndpoint:
        """Create an endpoint that receives the events of all the tenant's orders, or those of `types`.

        The receiver at `url` is challenged at once; `state` and `verification` of the result show whether it answered.
        Store `secret` of the result. The token needs the scope `webhooks:write`, as for all methods of webhooks.
        Idempotency keys are as in `place_order`. Raises Conflict for too many endpoints, Unprocessable for a URL that
        cannot be sent to, and ValueError for an invalid key.
        """
        key = _new_key(idempotency_key)
        call = Call(
            method="POST",
            path=WEBHOOKS,
            headers={"Idempotency-Key": key},
            body=_endpoint(url, types, description, enabled=enabled),
            held=CHALLENGE_SECONDS,
        )
        try:
            return read(WebhookEndpoint, await self._caller.send(call))
        except OrderClientError as error:
            error.idempotency_key = key
            raise

    async def webhook_endpoints(self) -> AsyncIterator[WebhookEndpoint]:
        """Yield the webhook endpoints of the tenant, oldest first."""
        async for page in self._pages(WebhookEndpointPage, WEBHOOKS, [("limit", str(PAGE_SIZE))]):
            for endpoint in page.items:
                yield endpoint

    async def get_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        """Return a webhook endpoint with its state. Raises NotFound."""
        return read(WebhookEndpoint, await self._caller.send(Call(method="GET", path=_webhook_path(endpoint_id))))

    async def put_webhook_endpoint(
        self,
        endpoint_id: str,
        url: str,
        *,
        types: Collection[EventType | str] = (),
        description: str = "",
        enabled: bool = True,
        version: int | None = None,
    ) -> WebhookEndpoint:
        """Replace the settings of a webhook endpoint. A new URL, or an endpoint that is enabled, is challenged.

        If `version` is given, the endpoint is changed only if it still has this version. Raises NotFound,
        VersionMismatch and Unprocessable.
        """
        call = Call(
            method="PUT",
            path=_webhook_path(endpoint_id),
            headers={} if version is None else {"If-Match": etag(version)},
            body=_endpoint(url, types, description, enabled=enabled),
            held=CHALLENGE_SECONDS,
        )
        return read(WebhookEndpoint, await self._caller.send(call))

    async def delete_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        """Delete a webhook endpoint, and return it as it was. Raises NotFound, also if it is deleted already."""
        return read(WebhookEndpoint, await self._caller.send(Call(method="DELETE", path=_webhook_path(endpoint_id))))

    async def verify_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        """Challenge the receiver again; the endpoint is active if it answers. Raises NotFound."""
        path = f"{_webhook_path(endpoint_id)}/verify"
        return read(WebhookEndpoint, await self._caller.send(Call(method="POST", path=path, held=CHALLENGE_SECONDS)))

    async def rotate_webhook_secret(self, endpoint_id: str, *, end_previous: bool = False) -> WebhookEndpoint:
        """Add a secret, and return it in `secret`. The previous one stays valid for 24 hours.

        A repetition within 24 hours returns the same secret. With `end_previous`, the previous secret ends now, and no
        secret is added. Raises NotFound.
        """
        path = f"{_webhook_path(endpoint_id)}/rotate-secret"
        call = Call(method="POST", path=path, body={"end_previous": end_previous})
        return read(WebhookEndpoint, await self._caller.send(call))

    async def webhook_deliveries(self, endpoint_id: str) -> AsyncIterator[WebhookDelivery]:
        """Yield the deliveries whose first attempt failed, the newest events first. Raises NotFound."""
        path = f"{_webhook_path(endpoint_id)}/deliveries"
        async for page in self._pages(WebhookDeliveryPage, path, [("limit", str(PAGE_SIZE))]):
            for delivery in page.items:
                yield delivery

    async def redeliver_webhook(self, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
        """Attempt a delivery again now. Raises NotFound, and Conflict if the endpoint receives nothing."""
        path = f"{_webhook_path(endpoint_id)}/deliveries/{quote(delivery_id, safe='')}/redeliver"
        return read(WebhookDelivery, await self._caller.send(Call(method="POST", path=path)))

    async def replay_webhook_events(
        self, endpoint_id: str, since: datetime, *, until: datetime | None = None
    ) -> WebhookEndpoint:
        """Send the events between two times again, by default those up to now. `replaying` is their number.

        Raises NotFound, Conflict if the endpoint receives nothing, and ValueError for a time without a zone.
        """
        body = {"since": _instant(since)} | ({} if until is None else {"until": _instant(until)})
        call = Call(method="POST", path=f"{_webhook_path(endpoint_id)}/replay", body=body)
        return read(WebhookEndpoint, await self._caller.send(call))

    async def _pages(self, model: type[P], path: str, filters: Iterable[tuple[str, str]]) -> AsyncIterator[P]:
        """Yield the pages of a list, each with the cursor of the one before."""
        params: tuple[tuple[str, str], ...] = tuple(filters)
        cursor: str | None = None
        while True:
            query = params if cursor is None else (*params, ("cursor", cursor))
            page = read(model, await self._caller.send(Call(method="GET", path=path, params=query)))
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _event_pages(
        self,
        model: type[EP],
        path: str,
        after: str | None,
        types: Collection[EventType | str],
        page_size: int | None,
    ) -> AsyncIterator[EP]:
        limit: list[tuple[str, str]] = [] if page_size is None else [("limit", str(page_size))]
        while True:
            query = (*limit, *_event_query(after, types))
            page = read(model, await self._caller.send(Call(method="GET", path=path, params=query)))
            yield page
            after = page.next
            if not page.has_more:
                return


def _event_query(after: str | None, types: Collection[EventType | str]) -> list[tuple[str, str]]:
    return [("type", str(each)) for each in types] + ([] if after is None else [("after", after)])


def _stream(path: str, after: str | None, types: Collection[EventType | str]) -> Call:
    return Call(method="GET", path=f"{path}/stream", params=tuple(_event_query(after, types)))


def _filters(
    status: Collection[OrderStatus | str],
    created_from: datetime | None,
    created_before: datetime | None,
    sort: str | None,
    page_size: int | None,
    **texts: str | None,
) -> list[tuple[str, str]]:
    """Return the query of a list of orders. `texts` are filters of one list only."""
    single = {
        "created_at[gte]": None if created_from is None else _instant(created_from),
        "created_at[lt]": None if created_before is None else _instant(created_before),
        **texts,
        "sort": sort,
        "limit": None if page_size is None else str(page_size),
    }
    filters = [("status", str(each)) for each in status]
    return filters + [(name, value) for name, value in single.items() if value is not None]


def _instant(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat()


def _webhook_path(endpoint_id: str) -> str:
    return f"{WEBHOOKS}/{quote(endpoint_id, safe='')}"


def _endpoint(url: str, types: Collection[EventType | str], description: str, *, enabled: bool) -> dict[str, object]:
    """Return the settings of a webhook endpoint."""
    return {"url": url, "types": [str(each) for each in types], "description": description, "enabled": enabled}


def _product_path(sku: str) -> str:
    return f"{PRODUCTS}/{quote(sku, safe='')}"


def _new_key(given: str | None) -> str:
    """Return the given idempotency key, or a new one. Raises ValueError for an invalid key."""
    key = given if given is not None else str(uuid.uuid4())
    if not HEADER_PATTERN.fullmatch(key):
        raise ValueError("the idempotency key must have 1 to 255 printable ASCII characters")
    return key
