"""Signatures of webhooks, as Standard Webhooks defines them (https://www.standardwebhooks.com).

A signature covers the id of the message, the time of the request and the exact bytes of the body. While a secret is
rotated, a request has one signature for each valid secret.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime

from order_shared.domain.clock import to_micros
from order_shared.domain.errors import DomainError
from order_shared.entropy import random_bits

PREFIX = "whsec_"
SECRET_BYTES = 32
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # of the specification

CONTENT_TYPE = "application/cloudevents+json"
USER_AGENT = "order-platform-webhooks/1"


class InvalidWebhookSecret(DomainError):
    def __init__(self) -> None:
        super().__init__(f"a secret is {PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")


def new_secret() -> str:
    """Return a new random secret, such as `whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD`."""
    return PREFIX + base64.b64encode(random_bits(SECRET_BYTES * 8).to_bytes(SECRET_BYTES, "big")).decode()


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> str:
    """Return the value of `webhook-signature`, with one signature for each secret. Raises InvalidWebhookSecret."""
    signed = b"%s.%d.%s" % (message_id.encode(), _seconds(at), body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(_key(each), signed, 'sha256')).decode()}" for each in secrets)


def signed_headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a request with this body. Raises InvalidWebhookSecret."""
    return {
        "content-type": CONTENT_TYPE,
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(_seconds(at)),
        "webhook-signature": sign(secrets, message_id, at, body),
    }


def _seconds(at: datetime) -> int:
    return to_micros(at) // 1_000_000


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidWebhookSecret from error
    if not secret.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise InvalidWebhookSecret
    return key
