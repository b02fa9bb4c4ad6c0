"""Routes of orders."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from order_api.cursors import InvalidCursor
from order_api.dependencies import OrderReader, OrderServiceDep, OrderWriter
from order_api.idempotency import IdempotencyKey, IdempotencyKeyMissing
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.order.headers import (
    APPLIED,
    ETAG,
    LOCATION,
    IfMatch,
    IfNoneMatch,
    Prefer,
    etag,
    is_among,
    versions,
    wait_of,
)
from order_api.order.listing import Listing
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
    responses={
        202: {"headers": LOCATION | ETAG},
        **answers(IdempotencyKeyMissing, IdempotencyKeyReused, UnknownSku, CurrencyMismatch, ReferenceTaken),
    },
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
    response.headers["ETag"] = etag(placed.order.version)
    if placed.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return OrderOut.of(placed.order)


@router.get("", summary="List your orders, newest first", responses=answers(InvalidCursor, UnsupportedSort))
async def list_orders(
    identity: OrderReader, query: Annotated[OrderQuery, Query()], orders: OrderServiceDep
) -> OrderPage:
    """Your own, whatever your scopes: `orders:admin` opens the orders of others by id only.

    `status` may be repeated: any of them. What a page may look through is bounded, so with `status` or `q` it may hold
    fewer than `limit`, even none, while `has_more` is true: go on with `next_cursor` until it is null. A cursor holds
    for the same customer, filters and sort only.
    """
    listing = Listing(
        identity.customer,
        start=query.created_at_gte,
        end=query.created_at_lt,
        statuses=query.status,
        q=query.q,
        sort=query.sort,
    )
    page = await orders.list_orders(listing, limit=query.limit, cursor=query.cursor)
    return OrderPage(
        items=[OrderOut.of(order) for order in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get(
    "/{order_id}",
    summary="Look at an order",
    response_model=OrderOut,
    responses={
        200: {"headers": ETAG | APPLIED},
        304: {"description": "It is still as `If-None-Match` says; no body.", "headers": ETAG | APPLIED},
        **answers(OrderNotFound),
    },
)
async def get_order(
    identity: OrderReader,
    order_id: str,
    orders: OrderServiceDep,
    request: Request,
    response: Response,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> OrderOut | Response:
    """Strongly consistent. `orders:admin` may read every order of its tenant.

    With `Prefer: wait=N` the answer comes when the order has ended (with `If-None-Match`: when it is another than you
    know), or after N seconds with the order as it is then.
    """
    seen = if_none_match or ()
    wait = wait_of(prefer or ())
    order, waited = await orders.get_when(
        lambda order: bool(seen) and not is_among(order.version, seen),
        identity,
        order_id,
        seconds=wait or 0,
        is_gone=request.is_disconnected,
    )
    headers = {"ETag": etag(order.version)} | (
        {"Preference-Applied": f"wait={wait}"} if wait is not None and waited else {}
    )
    if is_among(order.version, seen):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return OrderOut.of(order)


@router.post(
    "/{order_id}/cancel",
    status_code=202,
    summary="Cancel an order",
    responses={202: {"headers": ETAG}, **answers(OrderNotFound, NotCancellable, VersionMismatch)},
)
async def cancel_order(
    identity: OrderWriter,
    order_id: str,
    orders: OrderServiceDep,
    response: Response,
    if_match: IfMatch = None,
) -> OrderOut:
    """At once while nothing was done; otherwise stock and payment are undone soon. Asking again changes nothing."""
    order = await orders.cancel(identity, order_id, None if if_match is None else versions(if_match))
    response.headers["ETag"] = etag(order.version)
    return OrderOut.of(order)
