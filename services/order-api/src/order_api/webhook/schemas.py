"""Query, request and response schemas of webhook endpoints."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field

from order_api.schemas import Instant, InstantIn, Int64, Request, Resource, typename
from order_api.webhook.limits import MAX_DESCRIPTION_LENGTH
from order_shared.domain.order.events import CHANGES, EVENT_TYPES, EventType
from order_shared.domain.order.history import OrderChange
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.health import DisabledReason, EndpointState
from order_shared.domain.webhook.models import Delivery, DeliveryState, Endpoint
from order_shared.runtime.validation import OPTIONAL_TEXT_PATTERN
from order_shared.webhook_http.addresses import MAX_URL_LENGTH

PREVIOUS_SECRET_LIFETIME = timedelta(hours=24)

URL_EXAMPLE = "https://shop.example.com/webhooks"
ENDPOINT_ID_EXAMPLE = "we_4kq2v7r0c9xj5m1tznb8h3wdfe"
SECRET_EXAMPLE = "whsec_bXVzdC1iZS1yYW5kb20tYnl0ZXMtb2YtMzItYnl0ZXM="  # noqa: S105 - shown in the documentation


class WebhookEndpointIn(Request):
    """Settings of a webhook endpoint. Settings that are left out get their default values."""

    url: str = Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="Address of the receiver: https, a public host, no user name, no fragment.",
        examples=[URL_EXAMPLE],
    )
    types: list[Annotated[EventType, Field(strict=False)]] = Field(
        default=[],
        max_length=len(EventType),
        description="Types of the events to send; empty for all types, new ones included.",
    )
    description: str = Field(
        default="",
        max_length=MAX_DESCRIPTION_LENGTH,
        pattern=OPTIONAL_TEXT_PATTERN,
        description="Text for people.",
        examples=["ERP"],
    )
    enabled: bool = Field(default=True, description="Whether events are sent, once the endpoint is verified.")

    @property
    def changes(self) -> frozenset[OrderChange]:
        return frozenset(CHANGES[each] for each in self.types)


class RotateSecretIn(Request):
    end_previous: bool = Field(
        default=False,
        description="Whether the previous secret ends now, and not 24 hours after the rotation. No new secret is made.",
    )


class ReplayIn(Request):
    """Range of events to send again, by the time at which they entered the log: soon after their own `time`."""

    since: Annotated[InstantIn, Field(strict=False)] = Field(
        description="Send the events from this time on, and some from up to a minute before it.",
        examples=["2026-01-31T09:05:00Z"],
    )
    until: Annotated[InstantIn, Field(strict=False)] | None = Field(
        default=None,
        description="Send the events before this time, and some from up to a minute after it; by default those up to "
        "now.",
    )


class AttemptOut(Resource):
    """One request to a receiver. It succeeded if `status` is 200 to 299 and `error` is null."""

    at: Instant
    status: int | None = Field(description="HTTP status of the response; null without one.", examples=[503])
    error: AttemptError | None = Field(description="Reason why there is no complete response; otherwise null.")
    milliseconds: int = Field(description="Duration of the request.", examples=[84])
    response: str = Field(description="First kilobyte of the response's body, as printable text.")

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        return cls.model_validate(attempt, from_attributes=True)


class WebhookEndpointOut(Resource):
    """Endpoint that receives the events of all orders of your tenant."""

    typename: Literal["WebhookEndpoint"] = typename("WebhookEndpoint")
    id: str = Field(examples=[ENDPOINT_ID_EXAMPLE])
    url: str = Field(examples=[URL_EXAMPLE])
    types: list[EventType] = Field(description="Types of the events that are sent; empty for all types.")
    description: str
    state: EndpointState = Field(
        description="`unverified` until the receiver answers the challenge; `active`; `failing` after ten failures in a"
        " row, with one attempt at a time; `disabled`."
    )
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: the receiver responded 410; `failing`: no attempt succeeded for three days; `requested`."
    )
    failing_since: Instant | None
    failures: int = Field(description="Failed attempts since the last success.")
    waiting: int = Field(description="Deliveries that failed and wait for their next attempt.")
    replaying: Int64 = Field(description="Events of a replay that are still to be sent.")
    delivered_at: Instant | None = Field(description="Time of the last successful attempt.")
    missed_at: Instant | None = Field(
        description="Time at which the endpoint skipped events that had expired: read the feed to see what is missing."
    )
    version: Int64 = Field(description="Version of the settings, for `If-Match`.")
    created_at: Instant
    updated_at: Instant
    previous_secret_expires_at: Instant | None = Field(
        description="Time until which deliveries are signed with the previous secret too."
    )
    secret: str | None = Field(
        description="Secret that signs the deliveries; only in the response that created it, otherwise null.",
        examples=[SECRET_EXAMPLE],
    )
    verification: AttemptOut | None = Field(
        description="Result of the challenge, if the request sent one; otherwise null. The endpoint is `active` if the "
        "receiver returned the challenge."
    )

    @classmethod
    def of(cls, endpoint: Endpoint, *, secret: str | None = None, attempt: Attempt | None = None) -> Self:
        health, replay = endpoint.health, endpoint.replay
        return cls(
            id=endpoint.endpoint_id,
            url=endpoint.url,
            types=sorted(EVENT_TYPES[change] for change in endpoint.types),
            description=endpoint.description,
            state=health.state,
            disabled_reason=health.disabled_reason,
            failing_since=health.failing_since,
            failures=health.failures,
            waiting=endpoint.waiting,
            replaying=0 if replay is None else replay.until - replay.next,
            delivered_at=endpoint.delivered_at,
            missed_at=None if endpoint.gap is None else endpoint.gap.at,
            version=endpoint.version,
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
            previous_secret_expires_at=next((each.expires_at for each in endpoint.secrets if each.expires_at), None),
            secret=secret,
            verification=None if attempt is None else AttemptOut.of(attempt),
        )


class WebhookEndpointPage(Resource):
    typename: Literal["WebhookEndpointPage"] = typename("WebhookEndpointPage")
    items: list[WebhookEndpointOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
    has_more: bool = Field(description="Whether there is a next page.")


class WebhookDeliveryOut(Resource):
    """Delivery of one event that was not delivered at the first attempt."""

    typename: Literal["WebhookDelivery"] = typename("WebhookDelivery")
    id: str = Field(examples=["1042"])
    event_id: str = Field(
        description="Id of the event, and value of `webhook-id`.",
        examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345.2.confirmed"],
    )
    type: EventType
    order_id: str = Field(examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345"])
    state: DeliveryState = Field(
        description="`waiting` for the next attempt; `delivered`; `failed`: given up after three days."
    )
    created_at: Instant = Field(description="Time of the first failure.")
    next_attempt_at: Instant | None = Field(
        description="Time of the next attempt; null if there is none, or if an earlier event of the order comes first."
    )
    attempted: int = Field(description="Number of attempts.")
    attempts: list[AttemptOut] = Field(description="The last ten attempts, oldest first.")

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        waits = delivery.state is DeliveryState.WAITING
        return cls(
            id=str(delivery.sequence),
            event_id=delivery.event.id,
            type=delivery.event.type,
            order_id=delivery.event.order_id,
            state=delivery.state,
            created_at=delivery.created_at,
            next_attempt_at=delivery.due_at if waits else None,
            attempted=delivery.attempted,
            attempts=[AttemptOut.of(each) for each in delivery.attempts],
        )


class WebhookDeliveryPage(Resource):
    typename: Literal["WebhookDeliveryPage"] = typename("WebhookDeliveryPage")
    items: list[WebhookDeliveryOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
    has_more: bool = Field(description="Whether there is a next page.")
