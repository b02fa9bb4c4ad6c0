"""Challenges that the API sends. Each holds its request for some seconds, so their number is limited."""

from collections import Counter
from collections.abc import Sequence

from order_api.limits import RateLimited
from order_shared.domain.clock import Clock
from order_shared.webhook_http.challenge import ChallengeResult, challenge
from order_shared.webhook_http.sender import WebhookSender

CHALLENGE_SECONDS = 10.0
"""Time limit of a challenge: half of that of a delivery, because a caller waits for the result."""
MAX_CHALLENGES = 50
"""Maximum challenges in one process at the same time."""
MAX_CHALLENGES_PER_TENANT = 4


class Challenges:
    def __init__(self, sender: WebhookSender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        self._running: Counter[str] = Counter()

    async def ask(self, *, tenant: str, endpoint_id: str, url: str, secrets: Sequence[str]) -> ChallengeResult:
        """Send a challenge and return its result. Raises RateLimited."""
        if self._running.total() >= MAX_CHALLENGES or self._running[tenant] >= MAX_CHALLENGES_PER_TENANT:
            raise RateLimited(int(CHALLENGE_SECONDS))
        self._running[tenant] += 1
        try:
            return await challenge(
                self._sender, url=url, endpoint_id=endpoint_id, tenant=tenant, secrets=secrets, clock=self._clock
            )
        finally:
            self._running[tenant] -= 1
            self._running += Counter()  # removes the tenants without a challenge
