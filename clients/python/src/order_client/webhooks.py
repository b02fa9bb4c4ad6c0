"""Verification of webhooks in a receiver. Signatures are those of Standard Webhooks."""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from order_client.exceptions import OrderClientError
from order_client.models import TenantEvent

CHALLENGE_TYPE = "webhook_endpoint.verify.v1"
TOLERANCE_SECONDS = 300
"""Difference between the clocks of sender and receiver, at most. An older request may be a recorded one."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - of every secret


class InvalidWebhook(OrderClientError):
    """A request that was not sent by the API, or long ago. Respond with 400."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A verified request. `id` is the same in each repetition: ignore one that you have handled.

    `event` is None and `challenge` is set for the request that asks whether this receiver wants the events. `event` is
    None too for a type that this release does not know.
    """

    id: str
    type: str
    event: TenantEvent | None = None
    challenge: str | None = None

    @property
    def response(self) -> bytes:
        """Body to respond with, with status 200: it answers a challenge."""
        return json.dumps({} if self.challenge is None else {"challenge": self.challenge}).encode()


def verify_webhook(
    headers: Mapping[str, str], body: bytes | str, secrets: str | Iterable[str], *, now: float | None = None
) -> Webhook:
    """Return the webhook in a request if one of the secrets signed it. `body` is the body as it was received.

    Pass two secrets while one replaces the other. `now` is the time in seconds since 1970; by default the current time.
    Raises InvalidWebhook, and ValueError for a text that is not a secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body
    message_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    keys = [_key(each) for each in ([secrets] if isinstance(secrets, str) else secrets)]
    signed = f"{message_id}.{timestamp}.".encode() + content
    expected = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    signatures = given.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(one, other) for one in expected for other in signatures):
        raise InvalidWebhook("no signature of the request matches a secret")
    if not timestamp.isdecimal() or abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidWebhook(f"the request was not sent within the last {TOLERANCE_SECONDS} seconds")
    return _webhook(message_id, content)


def _webhook(message_id: str, body: bytes) -> Webhook:
    try:
        document: Any = json.loads(body)
        kind = str(document["type"])
        if kind == CHALLENGE_TYPE:
            return Webhook(id=message_id, type=kind, challenge=str(document["data"]["challenge"]))
        is_event = kind.startswith("order.")
        return Webhook(id=message_id, type=kind, event=TenantEvent.model_validate(document) if is_event else None)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise InvalidWebhook(f"the body is not an event: {error}") from error


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a secret is {SECRET_PREFIX} and base64, as the API returned it") from error
