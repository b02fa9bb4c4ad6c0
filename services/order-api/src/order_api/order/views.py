"""Routes of orders."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from structlog.contextvars import bind_contextvars

from order_api.cursors import InvalidCursor
from order_api.dependencies import ScopedRoute, identity_of, requires, services_of
from order_api.idempotency import HEADER, KEY_HEADER, IdempotencyKeyMissing, parse_idempotency_key
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
from order_api.order.service import PlaceOrder
from order_api.schemas import V1
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.inventory.exceptions import UnknownSku
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.order.exceptions import CurrencyMismatch, OrderNotFound, ReferenceTaken

router = APIRouter(prefix=f"{V1}/orders", tags=["orders"], route_class=ScopedRoute)


@router.post(
    "",
    status_code=202,
    summary="Place an order",
    response_model=OrderOut,
    responses={202: {"headers": LOCATION | ETAG}},
    openapi_extra=KEY_HEADER,
)
@requires(
    "orders:write",
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    UnknownSku,
    CurrencyMismatch,
    AmountNotChargeable,
    ReferenceTaken,
)
async def place_order(body: OrderIn, request: Request) -> Response:
    """Store the order durably before the response. It is processed soon after; `GET` its `Location` to track it.

    After a time-out or a 503, send the request again with the same `Idempotency-Key`: no second order is created.
    """
    key = parse_idempotency_key(*request.headers.getlist(HEADER))
    identity = identity_of(request)
    command = PlaceOrder(
        customer=identity.customer,
        quantities=body.quantities,
        reference=body.reference,
        metadata=body.metadata or {},
        placed_by=identity.actor,
        payment_token=body.payment_token,
        traceparent=request.state.traceparent,
    )
    placed = await services_of(request).orders.place(command, key)
    bind_contextvars(order_id=placed.order.order_id)
    headers = {"Location": f"{router.prefix}/{placed.order.order_id}", "ETag": etag(placed.order.version)}
    if placed.replayed:
        headers["Idempotent-Replayed"] = "true"
    content = OrderOut.of(
        placed.order
    ).model_dump_json()  # equal to the framework's serialization, at half the CPU time
    return Response(content, HTTPStatus.ACCEPTED, headers, media_type="application/json")


@router.get("", summary="List your orders, newest first")
@requires("orders:read", InvalidCursor, UnsupportedSort)
async def list_orders(query: Annotated[OrderQuery, Query()], request: Request) -> OrderPage:
    """List your own orders, also with `orders:admin`: `GET /v1/tenant/orders` lists those of all customers.

    `status` may be repeated. The number of orders examined per page is limited, so with `status` or `q` a page may have
    fewer than `limit` orders, or none, while `has_more` is true: continue with `next_cursor` until it is null. A cursor
    is valid only for the same customer, filters and sort.
    """
    listing = Listing(
        customer=identity_of(request).customer,
        start=query.created_at_gte,
        end=query.created_at_lt,
        statuses=query.status,
        q=query.q,
        sort=query.sort,
    )
    page = await services_of(request).orders.list_orders(listing, limit=query.limit, cursor=query.cursor)
    return OrderPage(
        items=[OrderOut.of(order) for order in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get(
    "/{order_id}",
    summary="Get an order",
    response_model=OrderOut,
    responses={
        200: {"headers": ETAG | APPLIED},
        304: {"description": "The order still has an ETag of `If-None-Match`; no body.", "headers": ETAG | APPLIED},
    },
)
@requires("orders:read", OrderNotFound)
async def get_order(
    order_id: str,
    request: Request,
    response: Response,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> OrderOut | Response:
    """Return the order with a strongly consistent read. `orders:admin` allows to read every order of the tenant.

    With `Prefer: wait=N` the server waits up to N seconds for the order to finish (with `If-None-Match`: to change),
    then returns its current state.
    """
    seen = if_none_match or ()
    wait = wait_of(prefer or ())
    order, waited = await services_of(request).orders.get_when(
        lambda order: bool(seen) and not is_among(order.version, seen),
        identity_of(request),
        order_id,
        seconds=wait or 0,
        is_gone=request.is_disconnected,
    )
    bind_contextvars(order_id=order.order_id)
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
    responses={202: {"headers": ETAG}},
)
@requires("orders:write", OrderNotFound, NotCancellable, VersionMismatch)
async def cancel_order(
    order_id: str,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> OrderOut:
    """Cancel a pending order at once. Otherwise stock and payment are returned soon. Repeating changes nothing."""
    wanted = None if if_match is None else versions(if_match)
    order = await services_of(request).orders.cancel(
        identity_of(request), order_id, wanted, traceparent=request.state.traceparent
    )
    bind_contextvars(order_id=order.order_id)
    response.headers["ETag"] = etag(order.version)
    return OrderOut.of(order)
