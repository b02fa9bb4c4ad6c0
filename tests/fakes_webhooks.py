"""In-memory stand-in for the receivers of webhooks and for the network to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.webhook_http.challenge import CHALLENGE_TYPE
from order_shared.webhook_http.sender import KEPT_RESPONSE_BYTES


@dataclass(frozen=True)
class Received:
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class FakeReceivers:
    """Sender whose receivers accept everything and answer challenges. `status` and `errors` make them fail, by URL."""

    clock: Clock = utc_now
    status: dict[str, int] = field(default_factory=dict)
    errors: dict[str, AttemptError] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        at, error = self.clock(), self.errors.get(url)
        if error is not None:
            return Attempt(at=at, status=None, error=error, milliseconds=1, response="")
        request = Received(url, dict(headers), body)
        self.received.append(request)
        status = self.status.get(url, 200)
        answers = status == 200 and request.event["type"] == CHALLENGE_TYPE
        response = json.dumps(request.event["data"]) if answers else f"status {status}"
        return Attempt(at=at, status=status, error=None, milliseconds=1, response=response[:KEPT_RESPONSE_BYTES])
