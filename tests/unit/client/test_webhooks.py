"""Verification of webhooks by the client, and calls that manage endpoints."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import httpx2
import pytest

from order_api.openapi.webhook_examples import WEBHOOK_SAMPLES
from order_client import InvalidWebhook, WebhookEndpoint, verify_webhook
from order_client.webhooks import TOLERANCE_SECONDS
from order_shared.documents.asyncapi import EXAMPLE_ORDER
from order_shared.domain.clock import utc_now
from order_shared.domain.order.events import OrderEvents
from order_shared.domain.webhook.body import webhook_body
from order_shared.domain.webhook.signing import new_secret, signed_headers
from tests.unit.client.api import FakeApi

EVENT = next(iter(OrderEvents.of(EXAMPLE_ORDER)))
BODY = webhook_body(EVENT, EXAMPLE_ORDER)
SECRET = new_secret()


def signed(body: bytes = BODY, *secrets: str, at: datetime | None = None) -> dict[str, str]:
    return signed_headers(secrets or (SECRET,), EVENT.id, at or utc_now(), body)


def test_a_signed_event_is_returned_with_its_order() -> None:
    webhook = verify_webhook(signed(), BODY, SECRET)
    assert (webhook.id, webhook.type, webhook.challenge) == (EVENT.id, "order.placed.v1", None)
    assert webhook.event is not None
    assert webhook.event.order is not None
    assert webhook.event.order.id == EXAMPLE_ORDER.order_id
    assert webhook.event.order.customer == EXAMPLE_ORDER.customer.id
    assert webhook.response == b"{}"


@pytest.mark.parametrize("spelling", [str.upper, str.title, str.lower])
def test_names_of_headers_may_be_written_in_any_way(spelling: Any) -> None:
    assert verify_webhook({spelling(name): value for name, value in signed().items()}, BODY.decode(), SECRET).event


def test_headers_of_the_standard_library() -> None:
    message: Mapping[str, str] = _message(signed())
    assert verify_webhook(message, BODY, SECRET).event


def _message(headers: Mapping[str, str]) -> Any:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


def test_either_of_two_secrets_verifies() -> None:
    old, new = new_secret(), new_secret()
    for known in ([old], [new], [new, old], [new_secret(), old]):
        assert verify_webhook(signed(BODY, new, old), BODY, known).event
        assert verify_webhook(signed(BODY, known[-1]), BODY, known).event


def test_a_challenge_has_its_answer() -> None:
    body = json.dumps({"type": "webhook_endpoint.verify.v1", "data": {"challenge": "c-1"}}).encode()
    webhook = verify_webhook(signed(body), body, SECRET)
    assert (webhook.challenge, webhook.event) == ("c-1", None)
    assert json.loads(webhook.response) == {"challenge": "c-1"}


def test_a_type_of_a_newer_release_is_accepted() -> None:
    body = BODY.replace(b"order.placed.v1", b"stock.low.v1")
    webhook = verify_webhook(signed(body), body, SECRET)
    assert (webhook.type, webhook.event) == ("stock.low.v1", None)
    body = BODY.replace(b"order.placed.v1", b"order.praised.v1")
    event = verify_webhook(signed(body), body, SECRET).event
    assert event is not None
    assert event.type == "order.praised.v1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "another"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "x"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,ä"},
    ],
)
def test_changed_headers_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook):
        verify_webhook(signed() | change, BODY, SECRET)


def test_no_headers_another_secret_and_another_body_are_refused() -> None:
    for headers, body, secret in (({}, BODY, SECRET), (signed(), BODY, new_secret()), (signed(), BODY + b" ", SECRET)):
        with pytest.raises(InvalidWebhook):
            verify_webhook(headers, body, secret)
    with pytest.raises(InvalidWebhook):
        verify_webhook(signed(), BODY, [])


@pytest.mark.parametrize("age", [-TOLERANCE_SECONDS - 2, TOLERANCE_SECONDS + 2])
def test_a_recorded_request_is_refused(age: int) -> None:
    with pytest.raises(InvalidWebhook, match="300 seconds"):
        verify_webhook(signed(at=utc_now() - timedelta(seconds=age)), BODY, SECRET)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff", b'{"type":"order.placed.v1"}'])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidWebhook):
        verify_webhook(signed(body), body, SECRET)


def test_a_text_that_is_no_secret_is_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(signed(), BODY, "not a secret")


async def test_calls_send_what_the_api_documents() -> None:
    api = FakeApi()
    example = WEBHOOK_SAMPLES["createWebhookEndpoint"].responses["201"].examples["verified"]
    api.instead = [httpx2.Response(200, json=example) for _ in range(5)]
    async with api.client() as client:
        created = await client.create_webhook_endpoint("https://shop.example.com/", types=["order.confirmed.v1"])
        await client.put_webhook_endpoint(created.id, created.url, version=created.version)
        await client.verify_webhook_endpoint("we_1/..")
        await client.rotate_webhook_secret(created.id)
        await client.replay_webhook_events(created.id, datetime(2026, 1, 31, tzinfo=UTC))
        with pytest.raises(ValueError, match="zone"):
            await client.replay_webhook_events(created.id, datetime(2026, 1, 31))  # noqa: DTZ001
    assert created == WebhookEndpoint.model_validate(example)
    assert str(created.secret) not in repr(created)
    create, put, verify, rotate, replay = api.requests
    assert json.loads(create.content) == {
        "url": "https://shop.example.com/",
        "types": ["order.confirmed.v1"],
        "description": "",
        "enabled": True,
    }
    assert "Idempotency-Key" in create.headers
    assert put.headers["If-Match"] == f'"{created.version}"'
    assert verify.url.raw_path == b"/v1/webhook-endpoints/we_1%2F../verify"
    assert json.loads(rotate.content) == {"end_previous": False}
    assert json.loads(replay.content) == {"since": "2026-01-31T00:00:00+00:00"}
