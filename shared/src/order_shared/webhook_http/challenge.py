"""Challenge of a new endpoint: its receiver must answer that it wants the events.

The receiver gets a signed request with a random text, and returns the text. Nobody can therefore direct events to a
server whose owner does not take part.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from order_shared.domain.clock import Clock, to_text
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.signing import signed_headers
from order_shared.entropy import random_bits
from order_shared.webhook_http.sender import WebhookSender

CHALLENGE_TYPE = "webhook_endpoint.verify.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeResult:
    attempt: Attempt
    answered: bool
    """True if the receiver returned the challenge with a status of 200 to 299."""


async def challenge(
    sender: WebhookSender, *, url: str, endpoint_id: str, tenant: str, secrets: Sequence[str], clock: Clock
) -> ChallengeResult:
    """Ask the receiver of an endpoint to return a random text, `{"challenge": …}`."""
    at, expected = clock(), f"{random_bits(128):032x}"
    message_id = f"msg_{random_bits(128):032x}"
    body = orjson.dumps(
        {
            "specversion": "1.0",
            "id": message_id,
            "source": "/v1/webhook-endpoints",
            "type": CHALLENGE_TYPE,
            "time": to_text(at),
            "subject": endpoint_id,
            "tenantid": tenant,
            "datacontenttype": "application/json",
            "data": {"challenge": expected},
        }
    )
    attempt = await sender.post(url, signed_headers(secrets, message_id, at, body), body)
    return ChallengeResult(attempt=attempt, answered=attempt.succeeded and _answer(attempt.response) == expected)


def _answer(response: str) -> object:
    try:
        document = json.loads(response)
    except (ValueError, RecursionError):
        return None
    return document.get("challenge") if isinstance(document, dict) else None
