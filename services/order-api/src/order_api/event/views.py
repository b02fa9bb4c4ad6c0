"""Routes of events: feed and stream, of one customer and of a tenant."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from order_api.dependencies import ScopedRoute, identity_of, requires, services_of
from order_api.event.exceptions import InvalidPosition, PositionGone
from order_api.event.response import EventStreamResponse
from order_api.event.schemas import EventPage, EventQuery, EventStreamQuery, TenantEventPage
from order_api.event.service import MAX_SLICE, EventSlice, Feed
from order_api.limits import TooManyStreams
from order_api.problems import error_response
from order_api.schemas import V1

router = APIRouter(prefix=V1, tags=["events"], route_class=ScopedRoute)

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="`id` of the last message that you received, instead of `after`. Browsers send it when they "
        "connect again.",
    ),
]


@router.get("/events", summary="Read the events of your orders, oldest first")
@requires("orders:read", InvalidPosition, PositionGone)
async def list_events(query: Annotated[EventQuery, Query()], request: Request) -> EventPage:
    """Read what has changed since a position. Every change of an order is one event, in order for each order.

    Store `next` with what you have done, and send it as `after` of the next request, also after days: a position is
    valid for 30 days, and for any `type`. After a failure of yours you may read an event again, so ignore an `id` that
    you have handled. Events are kept for 30 days; an older position is `410` `position_expired`. Every 100 events that
    are examined take one request from the rate limit.
    """
    feed = _own(request, query)
    events = services_of(request).events
    part = await _first(request, feed, query.after, limit=query.limit)
    return EventPage(items=[event for event, _ in part.events], next=events.token(feed, part.next), has_more=part.more)


@router.get(
    "/events/stream",
    status_code=200,
    summary="Receive the events of your orders as they happen",
    response_class=EventStreamResponse,
)
@requires("orders:read", InvalidPosition, PositionGone, TooManyStreams)
async def stream_events(
    query: Annotated[EventStreamQuery, Query()], request: Request, last_event_id: LastEventId = None
) -> EventStreamResponse:
    """Receive events as server-sent events, from a position on and then within about a second of each change.

    `id` of a message is the position after it, `event` its type, and `data` the event as in the feed. A message with
    only an `id` moves the position on. After 15 seconds without a message there is a comment. The stream ends when the
    token expires, when the service is deployed, and when you read too slowly: connect again with the last `id` as
    `Last-Event-ID`. If the position expires meanwhile, the last message is an `error` with a problem document.
    """
    return await _stream(request, _own(request, query), query.after, last_event_id)


@router.get("/tenant/events", summary="Read the events of all your tenant's orders, oldest first")
@requires("orders:admin", InvalidPosition, PositionGone)
async def list_tenant_events(query: Annotated[EventQuery, Query()], request: Request) -> TenantEventPage:
    """Read what has changed in the orders of every customer of your tenant. `customer` in `data` is the customer.

    Otherwise as `GET /v1/events`. A position of one feed is not valid for the other.
    """
    feed = _of_tenant(request, query)
    events = services_of(request).events
    part = await _first(request, feed, query.after, limit=query.limit)
    return TenantEventPage(
        items=[event for event, _ in part.events], next=events.token(feed, part.next), has_more=part.more
    )


@router.get(
    "/tenant/events/stream",
    status_code=200,
    summary="Receive the events of all your tenant's orders as they happen",
    response_class=EventStreamResponse,
)
@requires("orders:admin", InvalidPosition, PositionGone, TooManyStreams)
async def stream_tenant_events(
    query: Annotated[EventStreamQuery, Query()], request: Request, last_event_id: LastEventId = None
) -> EventStreamResponse:
    """Receive the events of every customer of your tenant as they happen.

    Otherwise as `GET /v1/events/stream`. A position of one feed is not valid for the other.
    """
    return await _stream(request, _of_tenant(request, query), query.after, last_event_id)


def _own(request: Request, query: EventStreamQuery) -> Feed:
    customer = identity_of(request).customer
    return Feed(tenant=customer.tenant, customer=customer, types=query.type)


def _of_tenant(request: Request, query: EventStreamQuery) -> Feed:
    return Feed(tenant=identity_of(request).customer.tenant, types=query.type)


async def _first(request: Request, feed: Feed, after: str | None, *, limit: int) -> EventSlice:
    """Return the events after the position in a request, whose first token is paid already."""
    events = services_of(request).events
    return await events.read(feed, await events.position(feed, after), limit=limit, paid=1)


async def _stream(request: Request, feed: Feed, after: str | None, last_event_id: str | None) -> EventStreamResponse:
    services = services_of(request)
    if last_event_id:
        position = await services.events.position(feed, last_event_id, "header:last-event-id")
    else:
        position = await services.events.position(feed, after)
    first = await services.events.read(feed, position, limit=MAX_SLICE, paid=1)
    stream = services.event_streams.open(feed, position, expires_at=identity_of(request).expires_at)
    scope: dict[str, Any] = {"path": request.scope["path"], "state": request.scope["state"]}

    def problem(error: PositionGone) -> bytes:
        return bytes(error_response(scope, error).body)

    return EventStreamResponse(services.event_streams, stream, services.event_streams.messages(stream, first, problem))
