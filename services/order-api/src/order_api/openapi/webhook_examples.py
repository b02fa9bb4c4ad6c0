"""Examples of webhook endpoints and deliveries, created with the schemas of the service."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from order_api.cursors import CursorCodec
from order_api.openapi.samples import BodyExamples, Samples, link, to_json
from order_api.webhook.schemas import (
    ENDPOINT_ID_EXAMPLE,
    PREVIOUS_SECRET_LIFETIME,
    SECRET_EXAMPLE,
    URL_EXAMPLE,
    RotateSecretIn,
    WebhookDeliveryOut,
    WebhookDeliveryPage,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookEndpointPage,
)
from order_shared.documents.asyncapi import EXAMPLE_ORDER, PLACED_AT
from order_shared.domain.clock import to_text
from order_shared.domain.order.events import EventType, OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import DisabledReason, Health
from order_shared.domain.webhook.models import Delivery, Endpoint, Replay, SealedSecret
from order_shared.domain.webhook.secret_box import Sealed

_LATER = PLACED_AT + timedelta(hours=2)
_SECRET = SealedSecret(sealed=Sealed("sealed"))
_ANSWERED = Attempt(at=PLACED_AT, status=200, error=None, milliseconds=84, response='{"challenge":"5f0c8a3e9d7b4c1f"}')
_REFUSED = Attempt(at=PLACED_AT, status=503, error=None, milliseconds=61, response="Service Unavailable")
_NEW = Endpoint(
    tenant=EXAMPLE_ORDER.customer.tenant,
    endpoint_id=ENDPOINT_ID_EXAMPLE,
    url=URL_EXAMPLE,
    types=frozenset({OrderChange.CONFIRMED, OrderChange.REJECTED}),
    description="ERP",
    secrets=(_SECRET,),
    position=Position(epoch=1, sequence=1),
    created_at=PLACED_AT,
    updated_at=PLACED_AT,
)
_ACTIVE = replace(_NEW, health=Health().activated(), delivered_at=_LATER)
_FAILING = replace(_ACTIVE, health=replace(_ACTIVE.health.overwhelmed(_LATER), failures=12), waiting=10)
_DISABLED = replace(_ACTIVE, health=_ACTIVE.health.disabled(DisabledReason.REQUESTED), version=2)
_ROTATED = replace(
    _ACTIVE, secrets=(_SECRET, replace(_SECRET, expires_at=_LATER + PREVIOUS_SECRET_LIFETIME)), version=2
)
_REPLAYED = replace(_ACTIVE, replay=Replay(epoch=1, next=980, until=1043))
_EVENT = OrderEvent(
    customer=EXAMPLE_ORDER.customer,
    order_id=EXAMPLE_ORDER.order_id,
    version=2,
    change=OrderChange.CONFIRMED,
    at=PLACED_AT,
)
_WAITING = Delivery(sequence=1042, event=_EVENT, created_at=PLACED_AT, due_at=_LATER).after(_REFUSED)
_CURSOR = CursorCodec(["the document's"]).encode("1042", {})

_CHALLENGED = {
    "verified": to_json(WebhookEndpointOut.of(_ACTIVE, attempt=_ANSWERED)),
    "unverified": to_json(WebhookEndpointOut.of(_NEW, attempt=_REFUSED)),
}
_SETTINGS = WebhookEndpointIn(
    url=URL_EXAMPLE, types=[EventType.CONFIRMED, EventType.REJECTED], description="ERP", enabled=True
)
_DELIVERY = WebhookDeliveryOut.of(_WAITING)

WEBHOOK_SAMPLES: Mapping[str, Samples] = {
    "createWebhookEndpoint": Samples(
        {
            "201": BodyExamples(
                "The endpoint, its secret and the result of the challenge.",
                {
                    "verified": to_json(WebhookEndpointOut.of(_ACTIVE, secret=SECRET_EXAMPLE, attempt=_ANSWERED)),
                    "unverified": to_json(WebhookEndpointOut.of(_NEW, secret=SECRET_EXAMPLE, attempt=_REFUSED)),
                },
            )
        },
        BodyExamples("The settings.", {"settings": _SETTINGS.model_dump(mode="json")}),
        {name: link(name, "endpoint_id", "id") for name in ("getWebhookEndpoint", "verifyWebhookEndpoint")},
    ),
    "listWebhookEndpoints": Samples(
        {
            "200": BodyExamples(
                "A page of the endpoints of your tenant.",
                {
                    "page": to_json(
                        WebhookEndpointPage(
                            items=[WebhookEndpointOut.of(_ACTIVE), WebhookEndpointOut.of(_FAILING)],
                            next_cursor=None,
                            has_more=False,
                        )
                    )
                },
            )
        }
    ),
    "getWebhookEndpoint": Samples(
        {
            "200": BodyExamples(
                "The endpoint with its state.",
                {
                    "active": to_json(WebhookEndpointOut.of(_ACTIVE)),
                    "failing": to_json(WebhookEndpointOut.of(_FAILING)),
                },
            )
        }
    ),
    "putWebhookEndpoint": Samples(
        {
            "200": BodyExamples(
                "The changed endpoint.", {**_CHALLENGED, "disabled": to_json(WebhookEndpointOut.of(_DISABLED))}
            )
        },
        BodyExamples(
            "The settings.",
            {
                "settings": _SETTINGS.model_dump(mode="json"),
                "disabled": _SETTINGS.model_copy(update={"enabled": False}).model_dump(mode="json"),
            },
        ),
    ),
    "deleteWebhookEndpoint": Samples(
        {"200": BodyExamples("The endpoint as it was.", {"deleted": to_json(WebhookEndpointOut.of(_ACTIVE))})}
    ),
    "verifyWebhookEndpoint": Samples(
        {"200": BodyExamples("The endpoint, and the result of the challenge.", _CHALLENGED)}
    ),
    "rotateWebhookSecret": Samples(
        {
            "200": BodyExamples(
                "The endpoint with its new secret.",
                {"rotated": to_json(WebhookEndpointOut.of(_ROTATED, secret=SECRET_EXAMPLE))},
            )
        },
        BodyExamples(
            "What to do with the previous secret.",
            {
                "rotate": RotateSecretIn().model_dump(mode="json"),
                "endPrevious": RotateSecretIn(end_previous=True).model_dump(mode="json"),
            },
        ),
    ),
    "listWebhookDeliveries": Samples(
        {
            "200": BodyExamples(
                "A page of the deliveries.",
                {"page": to_json(WebhookDeliveryPage(items=[_DELIVERY], next_cursor=_CURSOR, has_more=True))},
            )
        }
    ),
    "redeliverWebhook": Samples({"202": BodyExamples("The delivery, which is due now.", {"due": to_json(_DELIVERY)})}),
    "replayWebhookEvents": Samples(
        {
            "202": BodyExamples(
                "The endpoint, with the number of events to send.",
                {"replaying": to_json(WebhookEndpointOut.of(_REPLAYED))},
            )
        },
        BodyExamples("The range of times.", {"range": {"since": to_text(PLACED_AT), "until": to_text(_LATER)}}),
    ),
}
"""Samples by operationId."""
