"""Stored form of webhook endpoints and deliveries. Table `webhooks`: hash `endpoint`, range `sequence`.

    endpoint       sequence  holds
    tenant#acme    0         directory of the tenant's endpoints: `ids`, `revision`
    acme/we_01…    0         the endpoint: settings, state, position, lease
    acme/we_01…    n         delivery of event n that waits
    acme/we_01…    -n        delivery of event n that has ended: delivered or given up; expires after seven days
    #check         0         the check for endpoints that lag: `checked_at`

Attributes of an endpoint that only the storage uses:

    fence        raised whenever the lease is taken, and by each change of the settings, which ends the lease
    lease_until  end of the lease in milliseconds; absent if nobody holds it
    lease_owner  token of the call that took the lease
    woken        number of wake-ups that arrived during a lease; the lease is released only if it has not changed
    due_shard    key of the index `due_endpoints`: a number, or `off` if the endpoint receives nothing
    due_at       time of the next attempt in milliseconds, or 0 if no delivery waits
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import from_text, to_text
from order_shared.domain.idempotency import to_seconds
from order_shared.domain.order.events import OrderEvent
from order_shared.domain.order.history import OrderChange
from order_shared.domain.order.ids import OrderId
from order_shared.domain.order.models import Customer
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.health import DisabledReason, EndpointState, Health
from order_shared.domain.webhook.models import (
    DELIVERY_RETENTION,
    Delivery,
    DeliveryState,
    Endpoint,
    Gap,
    Replay,
    SealedSecret,
    endpoint_key,
)
from order_shared.domain.webhook.secret_box import Sealed
from order_shared.storage.event_log.items import RETENTION
from order_shared.tables import WEBHOOK_SHARDS

IDLE: Final = 0
"""`due_at` of an endpoint without a waiting delivery."""
OFF: Final = "off"
"""`due_shard` of endpoints that receive nothing."""
MAX_SEQUENCE = 10**15
CHECK_KEY: Mapping[str, str | int] = {"endpoint": "#check", "sequence": 0}


def directory_key(tenant: str) -> Item:
    return {"endpoint": f"tenant#{tenant}", "sequence": 0}


def item_key(tenant: str, endpoint_id: str, sequence: int = 0) -> Item:
    return {"endpoint": endpoint_key(tenant, endpoint_id), "sequence": sequence}


def shard_of(endpoint: Endpoint) -> str:
    return str(zlib.crc32(endpoint.key.encode()) % WEBHOOK_SHARDS) if endpoint.health.delivers else OFF


def settings_of(endpoint: Endpoint) -> Item:
    """Return the attributes that the owner changes. None means that the attribute is absent."""
    return {
        "url": endpoint.url,
        "types": sorted(endpoint.types),
        "description": endpoint.description or None,
        "secrets": [
            {"sealed": secret.sealed} | ({"expires_at": to_text(secret.expires_at)} if secret.expires_at else {})
            for secret in endpoint.secrets
        ],
        "version": endpoint.version,
        "updated_at": to_text(endpoint.updated_at),
    }


def progress_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return the attributes that deliveries change. None means that the attribute is absent."""
    health, replay, gap = endpoint.health, endpoint.replay, endpoint.gap
    return {
        "epoch": endpoint.position.epoch,
        "position": endpoint.position.sequence,
        "state": str(health.state),
        "disabled_reason": health.disabled_reason and str(health.disabled_reason),
        "failing_since": health.failing_since and to_text(health.failing_since),
        "failures": health.failures,
        "probes": health.probes,
        "probe_at": health.probe_at and to_text(health.probe_at),
        "replay": replay and {"epoch": replay.epoch, "next": replay.next, "until": replay.until},
        "gap": gap and _gap_item(gap),
        "delivered_at": endpoint.delivered_at and to_text(endpoint.delivered_at),
    }


def endpoint_item(endpoint: Endpoint, due_at: int) -> Item:
    """Return the item of a new endpoint."""
    values = {**settings_of(endpoint), **progress_of(endpoint)}
    return {
        **item_key(endpoint.tenant, endpoint.endpoint_id),
        "created_at": to_text(endpoint.created_at),
        **{name: value for name, value in values.items() if value is not None},
        "waiting": endpoint.waiting,
        "fence": 0,
        "woken": 0,
        "due_shard": shard_of(endpoint),
        "due_at": due_at,
    }


def to_endpoint(item: Item) -> Endpoint:
    tenant, _, endpoint_id = item["endpoint"].rpartition("/")
    replay, gap = item.get("replay"), item.get("gap")
    return Endpoint(
        tenant=tenant,
        endpoint_id=endpoint_id,
        url=item["url"],
        types=frozenset(map(OrderChange, item["types"])),
        description=item.get("description", ""),
        secrets=tuple(
            SealedSecret(sealed=Sealed(each["sealed"]), expires_at=_time(each, "expires_at"))
            for each in item["secrets"]
        ),
        position=Position(epoch=item["epoch"], sequence=item["position"]),
        created_at=from_text(item["created_at"]),
        updated_at=from_text(item["updated_at"]),
        version=item["version"],
        health=_health(item),
        waiting=item["waiting"],
        replay=None if replay is None else Replay(**replay),
        gap=None if gap is None else Gap(at=from_text(gap["at"]), reason=gap["reason"], events=gap.get("events")),
        delivered_at=_time(item, "delivered_at"),
    )


def delivery_item(tenant: str, endpoint_id: str, delivery: Delivery, now: datetime) -> Item:
    """Return the item of a delivery. One that has ended has a negative number, and expires earlier."""
    waits = delivery.state is DeliveryState.WAITING
    event = delivery.event
    item = {
        **item_key(tenant, endpoint_id, delivery.sequence if waits else -delivery.sequence),
        "customer": event.customer.stored_id,
        "order_id": event.order_id,
        "version": event.version,
        "change": str(event.change),
        "at": to_text(event.at),
        "created_at": to_text(delivery.created_at),
        "state": str(delivery.state),
        "attempted": delivery.attempted,
        "attempts": list(map(_attempt_item, delivery.attempts)),
        "expires_at": to_seconds(now + (RETENTION if waits else DELIVERY_RETENTION)),
    }
    if delivery.due_at is not None:
        item["retry_at"] = to_text(delivery.due_at)
    return item


def to_delivery(item: Item) -> Delivery:
    tenant = item["endpoint"].rpartition("/")[0]
    return Delivery(
        sequence=abs(item["sequence"]),
        event=OrderEvent(
            customer=Customer.of_stored(tenant, item["customer"]),
            order_id=OrderId(item["order_id"]),
            version=item["version"],
            change=OrderChange(item["change"]),
            at=from_text(item["at"]),
        ),
        created_at=from_text(item["created_at"]),
        state=DeliveryState(item["state"]),
        due_at=_time(item, "retry_at"),
        attempts=tuple(map(_to_attempt, item["attempts"])),
        attempted=item["attempted"],
    )


def _health(item: Item) -> Health:
    reason = item.get("disabled_reason")
    return Health(
        state=EndpointState(item["state"]),
        disabled_reason=None if reason is None else DisabledReason(reason),
        failing_since=_time(item, "failing_since"),
        failures=item["failures"],
        probes=item["probes"],
        probe_at=_time(item, "probe_at"),
    )


def _gap_item(gap: Gap) -> Item:
    return {"at": to_text(gap.at), "reason": gap.reason} | ({} if gap.events is None else {"events": gap.events})


def _attempt_item(attempt: Attempt) -> Item:
    item: Item = {"at": to_text(attempt.at), "milliseconds": attempt.milliseconds}
    if attempt.response:
        item["response"] = attempt.response
    if attempt.status is not None:
        item["status"] = attempt.status
    if attempt.error is not None:
        item["error"] = str(attempt.error)
    return item


def _to_attempt(item: Item) -> Attempt:
    error = item.get("error")
    return Attempt(
        at=from_text(item["at"]),
        status=item.get("status"),
        error=None if error is None else AttemptError(error),
        milliseconds=item["milliseconds"],
        response=item.get("response", ""),
    )


def _time(item: Item, name: str) -> datetime | None:
    text = item.get(name)
    return None if text is None else from_text(text)
