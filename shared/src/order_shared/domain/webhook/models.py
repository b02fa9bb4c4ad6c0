"""Webhook endpoints and deliveries.

An endpoint is a reader of its tenant's log with a stored position. Every event before the position was delivered, was
not wanted, or has a `Delivery`, which is stored from the first failed attempt on.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import EndpointState, Health
from order_shared.domain.webhook.secret_box import Sealed
from order_shared.entropy import random_bits

MAX_ENDPOINTS = 20
"""Maximum endpoints of a tenant."""
MAX_WAITING = 100
"""Maximum deliveries that wait for one endpoint. Events after them wait in the log."""
MAX_ATTEMPTS_KEPT = 10
"""Attempts of a delivery that are kept: the newest."""
MAX_RESPONSES_KEPT = 3
"""Attempts of a delivery whose response is kept."""
DELIVERY_RETENTION = timedelta(days=7)
"""Time for which a finished delivery can be read."""

ID_PREFIX = "we_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_ID = re.compile(rf"{ID_PREFIX}[{_ALPHABET}]{{26}}", re.ASCII)


def new_endpoint_id() -> str:
    """Return a random id: `we_` and 26 characters."""
    bits = random_bits(130)
    return ID_PREFIX + "".join(_ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))


def is_endpoint_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """Encrypted signing secret. It signs until `expires_at`, or without an end."""

    sealed: Sealed = field(repr=False)
    expires_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Events to send again, from `next` to before `until`. They are sent before the events at the position."""

    epoch: int
    next: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events that expired before they were read. `events` is their number, or None if it is unknown."""

    at: datetime
    reason: str
    events: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Webhook endpoint of a tenant. It receives the events of all the tenant's orders.

    `types` are the wanted changes; empty for all. `secrets` are sealed, newest first, at most two. `version` is that
    of the settings. `waiting` is the number of deliveries that wait.
    """

    tenant: str
    endpoint_id: str
    url: str
    types: frozenset[OrderChange]
    description: str
    secrets: tuple[SealedSecret, ...]
    position: Position
    created_at: datetime
    updated_at: datetime
    version: int = 1
    health: Health = field(default_factory=Health)
    waiting: int = 0
    replay: Replay | None = None
    gap: Gap | None = None
    delivered_at: datetime | None = None
    """Time of the last successful attempt."""

    @property
    def state(self) -> EndpointState:
        return self.health.state

    @property
    def key(self) -> str:
        return endpoint_key(self.tenant, self.endpoint_id)

    def wants(self, event: OrderEvent) -> bool:
        return not self.types or event.change in self.types

    def valid_secrets(self, now: datetime) -> tuple[SealedSecret, ...]:
        return tuple(secret for secret in self.secrets if secret.is_valid(now))


def endpoint_key(tenant: str, endpoint_id: str) -> str:
    """Return the stored key of an endpoint. Neither part contains a slash."""
    return f"{tenant}/{endpoint_id}"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up after `GIVE_UP_AFTER`. It can be sent again on request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivery of one event that was not delivered at once.

    `created_at` is the time since which it waits. `due_at` is the time of its next attempt; None if it waits behind an
    earlier delivery of its order. `attempts` are the last ones of `attempted`.
    """

    sequence: int
    event: OrderEvent
    created_at: datetime
    state: DeliveryState = DeliveryState.WAITING
    due_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    attempted: int = 0

    def after(self, attempt: Attempt) -> "Delivery":
        """Return the delivery with an attempt added."""
        kept = (*self.attempts, attempt)[-MAX_ATTEMPTS_KEPT:]
        older = tuple(replace(each, response="") for each in kept[:-MAX_RESPONSES_KEPT])
        return replace(self, attempts=(*older, *kept[-MAX_RESPONSES_KEPT:]), attempted=self.attempted + 1)
