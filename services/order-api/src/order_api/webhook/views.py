"""Routes of webhook endpoints and their deliveries."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from order_api.cursors import InvalidCursor
from order_api.dependencies import ScopedRoute, identity_of, requires, services_of
from order_api.idempotency import HEADER, KEY_HEADER, IdempotencyKeyMissing, parse_idempotency_key
from order_api.order.exceptions import VersionMismatch
from order_api.order.headers import ETAG, LOCATION, IfMatch, etag, versions
from order_api.schemas import V1, PageQuery
from order_api.webhook.delivery_service import DeliveryService
from order_api.webhook.exceptions import UrlNotAllowed, VerifyFirst, WebhooksNotAvailable
from order_api.webhook.schemas import (
    ReplayIn,
    RotateSecretIn,
    WebhookDeliveryOut,
    WebhookDeliveryPage,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookEndpointPage,
)
from order_api.webhook.service import Changed, WebhookService
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.webhook.exceptions import (
    DeliveryNotFound,
    EndpointNotFound,
    TooManyDeliveries,
    TooManyEndpoints,
)

SCOPE = "webhooks:write"

router = APIRouter(prefix=f"{V1}/webhook-endpoints", tags=["webhooks"], route_class=ScopedRoute)

DeliveryId = Annotated[str, Path(pattern="^[1-9][0-9]{0,14}$", examples=["1042"])]


@router.post(
    "",
    status_code=201,
    summary="Create a webhook endpoint",
    responses={201: {"headers": LOCATION | ETAG}},
    openapi_extra=KEY_HEADER,
)
@requires(SCOPE, IdempotencyKeyMissing, IdempotencyKeyReused, UrlNotAllowed, TooManyEndpoints, WebhooksNotAvailable)
async def create_webhook_endpoint(body: WebhookEndpointIn, request: Request, response: Response) -> WebhookEndpointOut:
    """Create an endpoint that receives the events of all orders of your tenant from now on.

    The receiver gets a signed request of the type `webhook_endpoint.verify.v1` at once, and must respond within 10
    seconds with `{"challenge": …}`, the value in `data.challenge`. The endpoint is then `active`; otherwise it is
    `unverified`, and `verification` says why: correct the receiver and verify the endpoint. Store `secret`: it is not
    shown again, except to a repetition of this request.
    """
    key = parse_idempotency_key(*request.headers.getlist(HEADER))
    changed = await _webhooks(request).create(identity_of(request).customer, body, key)
    response.headers["Location"] = f"{router.prefix}/{changed.endpoint.endpoint_id}"
    return _shown(changed, response)


@router.get("", summary="List your webhook endpoints, oldest first")
@requires(SCOPE, InvalidCursor, WebhooksNotAvailable, reads=True)
async def list_webhook_endpoints(query: Annotated[PageQuery, Query()], request: Request) -> WebhookEndpointPage:
    page = await _webhooks(request).list(_tenant(request), limit=query.limit, cursor=query.cursor)
    return WebhookEndpointPage(
        items=[WebhookEndpointOut.of(endpoint) for endpoint in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get("/{endpoint_id}", summary="Get a webhook endpoint", responses={200: {"headers": ETAG}})
@requires(SCOPE, EndpointNotFound, WebhooksNotAvailable, reads=True)
async def get_webhook_endpoint(endpoint_id: str, request: Request, response: Response) -> WebhookEndpointOut:
    """Return the endpoint with its state, in a strongly consistent read."""
    endpoint = await _webhooks(request).get(_tenant(request), endpoint_id)
    return _shown(Changed(endpoint=endpoint), response)


@router.put("/{endpoint_id}", summary="Change a webhook endpoint", responses={200: {"headers": ETAG}})
@requires(SCOPE, EndpointNotFound, UrlNotAllowed, VersionMismatch, WebhooksNotAvailable)
async def put_webhook_endpoint(
    endpoint_id: str, body: WebhookEndpointIn, request: Request, response: Response, if_match: IfMatch = None
) -> WebhookEndpointOut:
    """Replace the settings of the endpoint. Secrets and the events that are still to be sent stay.

    A new `url`, or an endpoint that receives nothing and has `enabled`, is challenged as at its creation, and is
    `unverified` unless the receiver answers. Deliveries go on with the new settings within a second.
    """
    wanted = None if if_match is None else versions(if_match)
    return _shown(await _webhooks(request).replace(_tenant(request), endpoint_id, body, wanted), response)


@router.delete("/{endpoint_id}", summary="Delete a webhook endpoint")
@requires(SCOPE, EndpointNotFound, WebhooksNotAvailable)
async def delete_webhook_endpoint(endpoint_id: str, request: Request) -> WebhookEndpointOut:
    """Delete the endpoint and everything that is still to be sent to it. Return it as it was."""
    return WebhookEndpointOut.of(await _webhooks(request).delete(_tenant(request), endpoint_id))


@router.post("/{endpoint_id}/verify", summary="Verify a webhook endpoint", responses={200: {"headers": ETAG}})
@requires(SCOPE, EndpointNotFound, WebhooksNotAvailable)
async def verify_webhook_endpoint(endpoint_id: str, request: Request, response: Response) -> WebhookEndpointOut:
    """Send the challenge again. If the receiver returns it, the endpoint is `active`, whatever its state was.

    An endpoint that was disabled continues with the first event that it did not receive. The request needs no body.
    """
    return _shown(await _webhooks(request).verify(_tenant(request), endpoint_id), response)


@router.post(
    "/{endpoint_id}/rotate-secret",
    summary="Rotate the secret of a webhook endpoint",
    responses={200: {"headers": ETAG}},
)
@requires(SCOPE, EndpointNotFound, WebhooksNotAvailable)
async def rotate_webhook_secret(
    endpoint_id: str, body: RotateSecretIn, request: Request, response: Response
) -> WebhookEndpointOut:
    """Add a new secret. For 24 hours each delivery has a signature with the new and one with the previous secret.

    Store `secret`: it is not shown again, except to a repetition of this request within 24 hours. Send
    `{"end_previous": true}` once all receivers use the new secret.
    """
    return _shown(
        await _webhooks(request).rotate_secret(_tenant(request), endpoint_id, end_previous=body.end_previous), response
    )


@router.get("/{endpoint_id}/deliveries", summary="List the deliveries that failed at first, newest first")
@requires(SCOPE, EndpointNotFound, InvalidCursor, WebhooksNotAvailable, reads=True)
async def list_webhook_deliveries(
    endpoint_id: str, query: Annotated[PageQuery, Query()], request: Request
) -> WebhookDeliveryPage:
    """List the events whose first attempt failed, with their attempts, for seven days after their end.

    An event that was delivered at the first attempt is not listed, nor are events that wait in the log while the
    endpoint is `failing` or `disabled`.
    """
    page = await _deliveries(request).list(_tenant(request), endpoint_id, limit=query.limit, cursor=query.cursor)
    return WebhookDeliveryPage(
        items=[WebhookDeliveryOut.of(delivery) for delivery in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/redeliver", status_code=202, summary="Send a listed delivery again now"
)
@requires(SCOPE, EndpointNotFound, DeliveryNotFound, VerifyFirst, TooManyDeliveries, WebhooksNotAvailable)
async def redeliver_webhook(endpoint_id: str, delivery_id: DeliveryId, request: Request) -> WebhookDeliveryOut:
    """Attempt a delivery again within about a second, whatever its state. The request needs no body."""
    delivery = await _deliveries(request).redeliver(_tenant(request), endpoint_id, int(delivery_id))
    return WebhookDeliveryOut.of(delivery)


@router.post("/{endpoint_id}/replay", status_code=202, summary="Send a range of events again")
@requires(SCOPE, EndpointNotFound, VerifyFirst, WebhooksNotAvailable)
async def replay_webhook_events(endpoint_id: str, body: ReplayIn, request: Request) -> WebhookEndpointOut:
    """Send all events between two times again, with their ids, whether or not they were delivered.

    A replay replaces an earlier one that has not ended. `replaying` of the endpoint is the number of events to send.
    """
    endpoint = await _deliveries(request).replay(_tenant(request), endpoint_id, body.since, body.until)
    return WebhookEndpointOut.of(endpoint)


def _tenant(request: Request) -> str:
    return identity_of(request).customer.tenant


def _webhooks(request: Request) -> WebhookService:
    """Return the service. Raises WebhooksNotAvailable."""
    service = services_of(request).webhooks
    if service is None:
        raise WebhooksNotAvailable
    return service


def _deliveries(request: Request) -> DeliveryService:
    """Return the service. Raises WebhooksNotAvailable."""
    service = services_of(request).webhook_deliveries
    if service is None:
        raise WebhooksNotAvailable
    return service


def _shown(changed: Changed, response: Response) -> WebhookEndpointOut:
    """Return the body of a response, and set its headers."""
    response.headers["ETag"] = etag(changed.endpoint.version)
    if changed.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return WebhookEndpointOut.of(changed.endpoint, secret=changed.secret, attempt=changed.attempt)
