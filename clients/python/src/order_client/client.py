"""Client for customers: place, read, list, watch and cancel orders, and read a product."""

import re
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from copy import copy
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from order_client.calls import Call, Caller, Token
from order_client.exceptions import OrderClientError, StillOpen, UnexpectedAnswer
from order_client.models import END_STATES, Order, OrderPage, OrderStatus, PlacedOrder, Product
from order_client.retries import RetryPolicy, Time

ORDERS = "/v1/orders"
LONGEST_WAIT = 20.0
"""Maximum seconds for which the API waits before it responds."""
POLLING = RetryPolicy(base=0.1, cap=2.0)
"""Pauses between reads of an order, used if the API responds without waiting."""
HEADER_PATTERN = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
"""Values of the headers Idempotency-Key and Order-Customer."""

T = TypeVar("T", bound=BaseModel)


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
        self._caller = Caller(base_url, token, policy=retries or RetryPolicy(), time=self._time, transport=transport)

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
        idempotency_key: str | None = None,
    ) -> PlacedOrder:
        """Place an order. The returned order is durable and will be processed soon. `lines` are quantities by SKU.

        Without an idempotency key each call creates a new one: the retries of a call place one order, and two calls
        place two. Pass your own key to repeat the call after a restart of the program. If the API cannot be reached or
        returns an error, the raised error has the key in `idempotency_key`.
        Raises Unprocessable, Conflict, and ValueError for an invalid key.
        """
        key = idempotency_key if idempotency_key is not None else str(uuid.uuid4())
        if not HEADER_PATTERN.fullmatch(key):
            raise ValueError("the idempotency key must have 1 to 255 printable ASCII characters")
        fields = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()],
            "reference": reference,
            "payment_token": payment_token,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        call = Call(method="POST", path=ORDERS, headers={"Idempotency-Key": key}, body=body)
        try:
            response = await self._caller.send(call)
            placed = _read(PlacedOrder, response)
        except OrderClientError as error:
            error.idempotency_key = key
            raise
        return placed.model_copy(update={"replayed": response.headers.get("Idempotent-Replayed") == "true"})

    async def get_order(self, order_id: str) -> Order:
        """Return the current state of the order. Raises NotFound."""
        return _read(Order, await self._caller.send(Call(method="GET", path=_path(order_id))))

    async def cancel_order(self, order_id: str, *, version: int | None = None) -> Order:
        """Cancel the order at once if it is pending; otherwise request its cancellation. Return the order.

        After a request, stock and payment are returned soon. Repeating the call has no effect.

        If `version` is given, the order is cancelled only if it still has this version.
        Raises NotFound, VersionMismatch, and Conflict if the order can no longer be cancelled.
        """
        headers = {} if version is None else {"If-Match": _etag(version)}
        return _read(
            Order, await self._caller.send(Call(method="POST", path=f"{_path(order_id)}/cancel", headers=headers))
        )

    async def wait_for_end(
        self,
        order_id: str,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - it raises StillOpen, with the order
        until: Collection[OrderStatus | str] = END_STATES,
    ) -> Order:
        """Wait until the order is in a state of `until`, such as `{"cancelled"}` after a cancellation, and return it.

        Raises NotFound, and StillOpen after `timeout` seconds.
        """
        seen = [order async for order in self._versions(order_id, timeout, until, look_first=False)]
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
        async for order in self._versions(order_id, timeout, until, look_first=True):
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
        single = {
            "created_at[gte]": None if created_from is None else _instant(created_from),
            "created_at[lt]": None if created_before is None else _instant(created_before),
            "q": q,
            "sort": sort,
            "limit": None if page_size is None else str(page_size),
        }
        filters = [("status", str(each)) for each in status]
        filters += [(name, value) for name, value in single.items() if value is not None]
        cursor: str | None = None
        while True:
            params = (*filters, *([] if cursor is None else [("cursor", cursor)]))
            page = _read(OrderPage, await self._caller.send(Call(method="GET", path=ORDERS, params=params)))
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get_product(self, sku: str) -> Product:
        """Return a product with its available stock. Raises NotFound."""
        return _read(Product, await self._caller.send(Call(method="GET", path=f"/v1/products/{quote(sku, safe='')}")))

    async def _versions(
        self, order_id: str, patience: float, until: Collection[OrderStatus | str], *, look_first: bool
    ) -> AsyncIterator[Order]:
        """Yield each new version of the order. The last one is in a state of `until`.

        Each request asks the API to respond only after a change. The first request asks it to respond after the end of
        the order or, with `look_first`, at once. If the API does not wait, requests are repeated with growing pauses.
        """
        end = self._time.clock() + patience
        order: Order | None = None
        attempt = 0
        while True:
            sent_at = self._time.clock()
            wait = 0.0 if order is None and look_first else max(0.0, min(LONGEST_WAIT, end - sent_at))
            response = await self._caller.send(_get_request(order_id, wait, order))
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                seen = _read(Order, response)
                if order is None or seen.version != order.version:
                    order, attempt = seen, 0
                    yield order
            if order is None:
                raise UnexpectedAnswer(f"{response.url} returned 304 to a request without If-None-Match")
            if order.status in until and not order.is_being_cancelled:
                return
            pause = POLLING.pause(attempt, self._time.jitter) - (self._time.clock() - sent_at)
            attempt += 1
            if self._time.clock() + max(0.0, pause) >= end:
                raise StillOpen(order)
            if pause > 0:
                await self._time.sleep(pause)


def _get_request(order_id: str, wait: float, known: Order | None) -> Call:
    headers: dict[str, str] = {}
    if wait >= 1:
        headers["Prefer"] = f"wait={int(wait)}"
    if known is not None:
        headers["If-None-Match"] = _etag(known.version)
    return Call(method="GET", path=_path(order_id), headers=headers, held=wait)


def _read(model: type[T], response: httpx2.Response) -> T:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedAnswer(f"the response of {response.url} is not a valid {model.__name__}: {error}") from error


def _path(order_id: str) -> str:
    return f"{ORDERS}/{quote(order_id, safe='')}"


def _etag(version: int) -> str:
    return f'"{version}"'


def _instant(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat()
