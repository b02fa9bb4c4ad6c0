"""Idempotency records: items that make a key or a reference unique.

A record is written in the same transaction as the order or the stock adjustment that it protects. The orders table
itself cannot enforce uniqueness: its range key is a time, so `attribute_not_exists` protects one microsecond only. A
request reads the record only after its attempt to store it has failed:

    first request        put record ─────── accepted
    same request again   put record ─ taken ─ read ─ same fingerprint  → the order as it is now
    other body           put record ─ taken ─ read ─ other fingerprint → rejected
    24 h later           put record ─────── accepted (expired; DynamoDB's deletion may lag two days,
                                            so the condition also checks the time)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from order_shared.domain.clock import to_micros
from order_shared.domain.errors import DomainError
from order_shared.domain.order.models import Customer

KEY_LIFETIME = timedelta(hours=24)


class RecordKind(StrEnum):
    ORDER = "order"
    STOCK = "stock"
    ENDPOINT = "endpoint"
    REFERENCE = "reference"


class RecordTaken(DomainError):
    """A record with this key already exists. Read the record to find what owns it."""


class IdempotencyKeyReused(DomainError):
    def __init__(self) -> None:
        super().__init__("this idempotency key was already used for a request with a different body")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """Idempotency record. `key` is the item's hash key; `subject` is the id of the order or of the webhook
    endpoint, or the SKU, that owns it.

    `fingerprint` distinguishes requests with the same key; it is None for a reference. `expires_at` is in epoch
    seconds; None means that the record never expires.
    """

    key: str
    subject: str
    fingerprint: str | None
    expires_at: int | None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at >= to_seconds(now)


def to_seconds(at: datetime) -> int:
    return to_micros(at) // 1_000_000


def expiry(now: datetime) -> int:
    return to_seconds(now + KEY_LIFETIME)


def record_key(customer: Customer, kind: RecordKind, value: str) -> str:
    return f"{customer.key}#{kind}#{hashlib.sha256(value.encode()).hexdigest()}"


def fingerprint(payload: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a validated request as canonical JSON, prefixed with the version of the canonical form."""
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"v1:{hashlib.sha256(canonical.encode()).hexdigest()}"
