"""Payments of the sandbox and their states."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devstack.payments.amounts import statement_text

Json = Mapping[str, object]
Form = Mapping[str, str]


class Status(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(eq=False, kw_only=True)
class Intent:
    id: str
    created: int
    amount: int
    currency: str
    metadata: Mapping[str, str]
    method_types: tuple[str, ...] | None
    """Types of payment methods that the payment allows; None for all."""
    status: Status = Status.REQUIRES_PAYMENT_METHOD
    cancellation_reason: str | None = None
    amount_refunded: int = 0
    refunds: list[Json] = field(default_factory=list)
    has_failed: bool = False
    fails_refund: bool = False
    last_error: Json | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def amount_received(self) -> int:
        return self.amount if self.status is Status.SUCCEEDED else 0

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "object": "payment_intent",
            "allowed_payment_method_types": None if self.method_types is None else list(self.method_types),
            "amount": self.amount,
            "amount_received": self.amount_received,
            "cancellation_reason": self.cancellation_reason,
            "created": self.created,
            "currency": self.currency,
            "livemode": False,
            "last_payment_error": self.last_error,
            "metadata": dict(self.metadata),
            "payment_method_types": list(self.method_types or ("card", "us_bank_account")),
            "status": self.status,
        }

    def to_row(self) -> Json:
        return {
            "id": self.id,
            "order_id": self.metadata.get("order_id"),
            "environment": self.metadata.get("environment"),
            "created": self.created,
            "amount": self.amount,
            "amount_received": self.amount_received,
            "amount_refunded": self.amount_refunded,
            "currency": self.currency,
            "charged": statement_text(self.amount_received, self.currency),
            "status": self.status,
        }
