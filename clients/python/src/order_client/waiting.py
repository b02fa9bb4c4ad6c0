"""Waiting for changes of an order."""

from collections.abc import AsyncIterator, Collection
from http import HTTPStatus
from urllib.parse import quote

from order_client.calls import Call, Caller
from order_client.exceptions import EndedOtherwise, StillOpen, UnexpectedAnswer
from order_client.models import UNREACHABLE, Order, OrderStatus
from order_client.responses import read
from order_client.retries import RetryPolicy, Time

ORDERS = "/v1/orders"
LONGEST_WAIT = 20.0
"""Maximum seconds for which the API waits before it responds."""
POLLING = RetryPolicy(base=0.1, cap=2.0)
"""Pauses between reads of an order, used if the API responds without waiting."""


def order_path(order_id: str) -> str:
    return f"{ORDERS}/{quote(order_id, safe='')}"


def etag(version: int) -> str:
    return f'"{version}"'


def known_states(until: Collection[OrderStatus | str]) -> frozenset[OrderStatus]:
    """Return the states. Raises ValueError for a text that is none, or if there are no states."""
    states = frozenset(map(OrderStatus, until))
    if not states:
        raise ValueError("until has no states")
    return states


async def versions(
    caller: Caller, time: Time, order_id: str, patience: float, until: frozenset[OrderStatus], *, look_first: bool
) -> AsyncIterator[Order]:
    """Yield each new version of the order. The last one is in a state of `until`.

    Each request asks the API to respond only after a change. The first request asks it to respond after the end of
    the order or, with `look_first`, at once. If the API does not wait, requests are repeated with growing pauses.
    Raises StillOpen and EndedOtherwise.
    """
    end = time.clock() + patience
    order: Order | None = None
    attempt = 0
    while True:
        sent_at = time.clock()
        wait = 0.0 if order is None and look_first else max(0.0, min(LONGEST_WAIT, end - sent_at))
        response = await caller.send(_get_request(order_id, wait, order))
        if response.status_code != HTTPStatus.NOT_MODIFIED:
            seen = read(Order, response)
            if order is None or seen.version != order.version:
                order, attempt = seen, 0
                yield order
        if order is None:
            raise UnexpectedAnswer(f"{response.url} returned 304 to a request without If-None-Match")
        if not order.is_being_cancelled:
            if order.status in until:
                return
            if isinstance(order.status, OrderStatus) and until <= UNREACHABLE.get(order.status, frozenset()):
                raise EndedOtherwise(order)
        pause = POLLING.pause(attempt, time.jitter) - (time.clock() - sent_at)
        attempt += 1
        if time.clock() + max(0.0, pause) >= end:
            raise StillOpen(order)
        if pause > 0:
            await time.sleep(pause)


def _get_request(order_id: str, wait: float, known: Order | None) -> Call:
    headers: dict[str, str] = {}
    if wait >= 1:
        headers["Prefer"] = f"wait={int(wait)}"
    if known is not None:
        headers["If-None-Match"] = etag(known.version)
    return Call(method="GET", path=order_path(order_id), headers=headers, held=wait)
