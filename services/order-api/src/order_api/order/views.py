"""Routes of orders."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from order_api.cursors import InvalidCursor
from order_api.dependencies import OrderReader, OrderServiceDep, OrderWriter
from order_api.idempotency import IdempotencyKey, IdempotencyKeyMissing
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.order.schemas import OrderIn, OrderOut, OrderPage, OrderQuery
from order_api.order.service import Wanted
from order_api.problems import answers
from order_api.schemas import V1
from order_shared.idempotency import IdempotencyKeyReused
from order_shared.inventory.exceptions import UnknownSku
from order_shared.order.exceptions import CurrencyMismatch, OrderNotFound, ReferenceTaken
from order_shared.telemetry import TRACEPARENT

router = APIRouter(prefix=f"{V1}/orders", tags=["orders"])


@router.post(
    "",
    status_code=202,
    summary="Place an order",
    responses=answers(IdempotencyKeyMissing, IdempotencyKeyReused, UnknownSku, CurrencyMismatch, ReferenceTaken),
)
async def place_order(
    identity: OrderWriter,
    key: IdempotencyKey,
    body: OrderIn,
    orders: OrderServiceDep,
    response: Response,
    traceparent: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> OrderOut:
    """Durable before the answer, and carried out soon after; `GET` the `Location` to see how it goes.

    Send the same `Idempotency-Key` again after a time-out or a 503: there will be one order.
    """
    trace = traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else None
    wanted = Wanted(identity.customer, body.quantities, body.reference, body.payment_token)
    placed = await orders.place(wanted, key, trace)
    response.headers["Location"] = f"{router.prefix}/{placed.order.order_id}"
    response.headers["ETag"] = _etag(placed.order.version)
    if placed.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return OrderOut.of(placed.order)


@router.get("", summary="List your orders, newest first", responses=answers(InvalidCursor, UnsupportedSort))
async def list_orders(
    identity: OrderReader, query: Annotated[OrderQuery, Query()], orders: OrderServiceDep
) -> OrderPage:
    page = await orders.list_orders(
        identity.customer,
        start=query.created_at_gte,
        end=query.created_at_lt,
        sort=query.sort,
        limit=query.limit,
        cursor=query.cursor,
    )
    return OrderPage(
        items=[OrderOut.of(order) for order in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get("/{order_id}", summary="Look at an order", responses=answers(OrderNotFound))
async def get_order(identity: OrderReader, order_id: str, orders: OrderServiceDep, response: Response) -> OrderOut:
    """Strongly consistent. `orders:admin` may read every order of its tenant."""
    order = await orders.get(identity, order_id)
    response.headers["ETag"] = _etag(order.version)
    return OrderOut.of(order)


@router.post(
    "/{order_id}/cancel",
    status_code=202,
    summary="Cancel an order",
    responses=answers(OrderNotFound, NotCancellable, VersionMismatch),
)
async def cancel_order(
    identity: OrderWriter,
    order_id: str,
    orders: OrderServiceDep,
    response: Response,
    if_match: Annotated[
        str | None, Header(description="Only if the order still has this ETag: what you saw is what you cancel.")
    ] = None,
) -> OrderOut:
    """At once while nothing was done; otherwise stock and payment are undone soon. Asking again changes nothing."""
    order = await orders.cancel(identity, order_id, None if if_match is None else _versions(if_match))
    response.headers["ETag"] = _etag(order.version)
    return OrderOut.of(order)


def _versions(if_match: str) -> set[int] | None:
    """The versions of strong ETags; None for `*`, which any version matches."""
    if if_match.strip() == "*":
        return None
    return {int(version) for version in re.findall(r'(?<!W/)"(\d{1,18})"', if_match)}


def _etag(version: int) -> str:
    return f'"{version}"'
