"""The client: one method per thing that a customer can do."""

import re
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
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
"""Seconds for which the API holds an answer back at most."""
POLLING = RetryPolicy(base=0.1, cap=2.0)
"""How often to look at an order where the API does not hold the answer back."""
KEY_PATTERN = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")

T = TypeVar("T", bound=BaseModel)


class OrderClient:
    """A customer of one API; who that is, the token says. One client serves any number of calls at once.

    Every call is repeated, within the policy's deadline, while the network or the API is in trouble. Beside
    what a method names, it raises Unreachable, Unavailable, RateLimited, Unauthenticated, Forbidden,
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
        """`token` is a bearer token, or an async function that gives a fresh one. Raises ValueError for a bad URL."""
        self._time = time or Time()
        self._caller = Caller(base_url, token, policy=retries or RetryPolicy(), time=self._time, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes its connections; `async with` does so by itself."""
        await self._caller.aclose()

    async def place_order(
        self,
        lines: Mapping[str, int],
        *,
        reference: str | None = None,
        payment_token: str | None = None,
        idempotency_key: str | None = None,
    ) -> PlacedOrder:
        """The order, which is durable by now, and will be carried out soon. `lines` are quantities by SKU.

        Without an idempotency key each call makes one of its own: its attempts place one order, two calls
        place two. Bring a key to make the call again after the program has ended; any error carries it.
        Raises Unprocessable, Conflict, and ValueError for a key that no header can carry.
        """
        key = idempotency_key if idempotency_key is not None else str(uuid.uuid4())
        if not KEY_PATTERN.fullmatch(key):
            raise ValueError("an idempotency key has 1 to 255 printable ASCII characters")
        wanted = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()],
            "reference": reference,
            "payment_token": payment_token,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        call = Call(method="POST", path=ORDERS, headers={"Idempotency-Key": key}, body=body)
        try:
            response = await self._caller.send(call)
            placed = _read(PlacedOrder, response)
        except OrderClientError as error:
            error.idempotency_key = key
            raise
        return placed.model_copy(update={"replayed": response.headers.get("Idempotent-Replayed") == "true"})

    async def get_order(self, order_id: str) -> Order:
        """The order as it is now. Raises NotFound."""
        return _read(Order, await self._caller.send(Call(method="GET", path=_path(order_id))))

    async def cancel_order(self, order_id: str, *, version: int | None = None) -> Order:
        """The order, cancelled or about to be: stock and payment are undone soon. Asking again changes nothing.

        With a version, only if the order is still at it: what you saw is what you cancel.
        Raises NotFound, VersionMismatch, and Conflict if it can no longer be cancelled.
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
        """The order in an end state, or in one of the states named: after a cancellation, say, in `{"cancelled"}`.

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
        """The order as it is now, and after each change that is seen, up to its end. Raises as `wait_for_end`.

        Changes in quick succession may show as one; the timeline has them all.
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
        """Your orders, page by page, newest first unless `sort="created_at"`.

        `q` searches references and SKUs. Times need a zone; `created_from` is included, `created_before` not.
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
        """Raises NotFound."""
        return _read(Product, await self._caller.send(Call(method="GET", path=f"/v1/products/{quote(sku, safe='')}")))

    async def _versions(
        self, order_id: str, patience: float, until: Collection[OrderStatus | str], *, look_first: bool
    ) -> AsyncIterator[Order]:
        """Each version that is seen; the last one is in one of the states that are waited for.

        The API is asked to hold its answer back until there is news: a first answer until the end, unless
        `look_first`. Where it does not, it is asked again after a pause that grows.
        """
        end = self._time.clock() + patience
        order: Order | None = None
        attempt = 0
        while True:
            asked = self._time.clock()
            wait = 0.0 if order is None and look_first else max(0.0, min(LONGEST_WAIT, end - asked))
            response = await self._caller.send(_look(order_id, wait, order))
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                seen = _read(Order, response)
                if order is None or seen.version != order.version:
                    order, attempt = seen, 0
                    yield order
            if order is None:
                raise UnexpectedAnswer(f"{response.url} answered 304 to a first question")
            if order.status in until and not order.is_being_cancelled:
                return
            pause = POLLING.pause(attempt, self._time.jitter) - (self._time.clock() - asked)
            attempt += 1
            if self._time.clock() + max(0.0, pause) >= end:
                raise StillOpen(order)
            if pause > 0:
                await self._time.sleep(pause)


def _look(order_id: str, wait: float, known: Order | None) -> Call:
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
        raise UnexpectedAnswer(f"{response.url} did not answer with a {model.__name__}: {error}") from error


def _path(order_id: str) -> str:
    return f"{ORDERS}/{quote(order_id, safe='')}"


def _etag(version: int) -> str:
    return f'"{version}"'


def _instant(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat()
