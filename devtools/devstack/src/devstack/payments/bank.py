"""State of the sandbox: payments, refunds and payment methods."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web

from devstack.payments.amounts import AmountRefused, read_amount, statement_text

SLOW_SECONDS = 3.0

Json = Mapping[str, object]
Form = Mapping[str, str]


class Token(StrEnum):
    """Payment methods of the sandbox."""

    WORKS = "pm_card_visa"
    DECLINED = "pm_card_chargeDeclined"
    SLOW = "pm_sandbox_slow"
    FAILS_ONCE = "pm_sandbox_fails_once"
    SAVES_500 = "pm_sandbox_saves_500"
    """Fails once, with a 500 that is saved: the same idempotency key replays it, and another key succeeds."""


class Status(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class Refusal(Exception):
    """Error response of the API."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        is_saved: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.is_saved = is_saved
        self.body = {"error": {"type": kind, "code": code, "message": message, "param": param}}


def _invalid(code: str, message: str, param: str | None = None, status: int = 400) -> Refusal:
    return Refusal(status, "invalid_request_error", code, message, param)


@dataclass
class Intent:
    id: str
    amount: int
    currency: str
    order_id: str | None
    status: Status = Status.REQUIRES_PAYMENT_METHOD
    amount_refunded: int = 0
    refunds: list[Json] = field(default_factory=list)
    has_failed: bool = False
    last_error: Json | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def amount_received(self) -> int:
        return self.amount if self.status is Status.SUCCEEDED else 0

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_received": self.amount_received,
            "currency": self.currency,
            "livemode": False,
            "last_payment_error": self.last_error,
            "metadata": {} if self.order_id is None else {"order_id": self.order_id},
            "status": self.status,
        }

    def to_row(self) -> Json:
        return {
            "id": self.id,
            "order_id": self.order_id,
            "amount": self.amount,
            "amount_received": self.amount_received,
            "amount_refunded": self.amount_refunded,
            "currency": self.currency,
            "charged": statement_text(self.amount_received, self.currency),
            "status": self.status,
        }


@dataclass
class Bank:
    """Payments by id. Changes of one payment run one after another; reads do not wait for them."""

    slow_seconds: float = SLOW_SECONDS
    intents: dict[str, Intent] = field(default_factory=dict)

    def create(self, form: Form) -> Json:
        currency = form.get("currency")
        if not currency:
            raise _invalid("parameter_missing", "Missing required param: currency.", "currency")
        amount = _amount(form, currency)
        intent = Intent(f"pi_{uuid.uuid4().hex}", amount, currency, form.get("metadata[order_id]"))
        self.intents[intent.id] = intent
        return intent.to_json()

    def find(self, intent_id: str) -> Intent:
        intent = self.intents.get(intent_id)
        if intent is None:
            raise _invalid("resource_missing", f"No such payment_intent: {intent_id!r}", "intent", 404)
        return intent

    async def confirm(self, intent_id: str, form: Form) -> Json:
        intent = self.find(intent_id)
        async with intent.lock:
            _ensure_open(intent)
            try:
                await self._charge(intent, form.get("payment_method", ""))
            except Refusal as refusal:
                if refusal.status < web.HTTPInternalServerError.status_code:
                    intent.last_error = refusal.body["error"]
                raise
            intent.status = Status.SUCCEEDED
            intent.last_error = None
        return intent.to_json()

    async def cancel(self, intent_id: str) -> Json:
        intent = self.find(intent_id)
        async with intent.lock:
            _ensure_open(intent)
            intent.status = Status.CANCELED
        return intent.to_json()

    async def refund(self, form: Form) -> Json:
        intent = self.find(form.get("payment_intent", ""))
        async with intent.lock:
            left = intent.amount_received - intent.amount_refunded
            amount = _amount(form, intent.currency) if "amount" in form else left
            if intent.status is not Status.SUCCEEDED:
                raise _unexpected_state(intent)
            if amount > left or not left:
                raise _invalid("charge_already_refunded", f"The charge of {intent.id} has been refunded.")
            intent.amount_refunded += amount
            refund: Json = {
                "id": f"re_{uuid.uuid4().hex}",
                "object": "refund",
                "amount": amount,
                "currency": intent.currency,
                "payment_intent": intent.id,
                "status": "succeeded",
            }
            intent.refunds.append(refund)
        return refund

    async def _charge(self, intent: Intent, token: str) -> None:
        match token:
            case Token.WORKS:
                return
            case Token.SLOW:
                await asyncio.sleep(self.slow_seconds)
            case Token.DECLINED:
                raise Refusal(402, "card_error", "card_declined", "Your card was declined.")
            case Token.FAILS_ONCE | Token.SAVES_500:
                if not intent.has_failed:
                    intent.has_failed = True
                    is_saved = token == Token.SAVES_500
                    raise Refusal(500, "api_error", None, "The sandbox fails once.", is_saved=is_saved)
            case _:
                raise _invalid("resource_missing", f"No such PaymentMethod: {token!r}", "payment_method")


def _ensure_open(intent: Intent) -> None:
    if intent.status is not Status.REQUIRES_PAYMENT_METHOD:
        raise _unexpected_state(intent)


def _unexpected_state(intent: Intent) -> Refusal:
    return _invalid("payment_intent_unexpected_state", f"This PaymentIntent's status is {intent.status}.")


def _amount(form: Form, currency: str) -> int:
    try:
        return read_amount(form.get("amount", ""), currency)
    except AmountRefused as refused:
        raise _invalid(refused.code, str(refused), refused.param) from refused
