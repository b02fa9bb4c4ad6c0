"""State of the sandbox: payments, refunds and payment methods."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from devstack.payments.amounts import AmountRefused, read_amount
from devstack.payments.intents import Form, Intent, Json, Status
from devstack.payments.options import SLOW_SECONDS

MAX_PAGE = 100
DEFAULT_PAGE = 10


class Token(StrEnum):
    """Payment methods of the sandbox. Those without `sandbox` in their name are Stripe's own test methods."""

    WORKS = "pm_card_visa"
    DECLINED = "pm_card_chargeDeclined"
    AUTHENTICATION = "pm_card_authenticationRequired"
    BANK_DEBIT = "pm_usBankAccount_success"
    """Bank debit. If the payment allows it, the payment stays `processing`."""
    SLOW = "pm_sandbox_slow"
    FAILS_ONCE = "pm_sandbox_fails_once"
    SAVES_500 = "pm_sandbox_saves_500"
    """Fails once, with a 500 that is saved: the same idempotency key replays it, and another key succeeds."""
    REFUND_SAVES_500 = "pm_sandbox_refund_saves_500"
    """Succeeds, but its refund fails as a payment with SAVES_500 does."""


class Refusal(Exception):
    """Error response of the API. Like Stripe's, it omits fields without a value."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        decline_code: str | None = None,
        is_saved: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.is_saved = is_saved
        fields = {"type": kind, "code": code, "decline_code": decline_code, "message": message, "param": param}
        self.error: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
        if code is not None:
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"

    @property
    def body(self) -> Json:
        return {"error": self.error}


def invalid(code: str | None, message: str, param: str | None = None, status: int = 400, **options: Any) -> Refusal:
    return Refusal(status, "invalid_request_error", code, message, param, **options)


@dataclass
class Bank:
    """Payments by id, oldest first. Changes of one payment run one after another; reads do not wait for them.

    `now` returns the time in seconds since the epoch.
    """

    slow_seconds: float = SLOW_SECONDS
    now: Callable[[], float] = time.time
    intents: dict[str, Intent] = field(default_factory=dict)
    _changed: dict[str, Intent] = field(default_factory=dict, kw_only=True)

    def take_changed(self) -> list[Intent]:
        """Return the payments that have changed since the last call."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    @asynccontextmanager
    async def _changing(self, intent_id: str) -> AsyncIterator[Intent]:
        """Yield a payment that only the block changes. Raises Refusal if there is none."""
        intent = self.find(intent_id)
        async with intent.lock:
            try:
                yield intent
            finally:
                self._changed[intent.id] = intent

    def create(self, form: Form) -> Json:
        currency = form.get("currency")
        if not currency:
            raise invalid("parameter_missing", "Missing required param: currency.", "currency")
        amount = _amount(form, currency)
        types = tuple(value for name, value in form.items() if name.startswith("allowed_payment_method_types["))
        intent = Intent(
            id=f"pi_{uuid.uuid4().hex}",
            created=int(self.now()),
            amount=amount,
            currency=currency,
            metadata=_metadata(form),
            method_types=types or None,
        )
        self.intents[intent.id] = self._changed[intent.id] = intent
        return intent.to_json()

    def find(self, intent_id: str) -> Intent:
        intent = self.intents.get(intent_id)
        if intent is None:
            raise invalid("resource_missing", f"No such payment_intent: {intent_id!r}", "intent", 404)
        return intent

    def page(self, query: Form) -> Json:
        """Return a page of payments, the newest first."""
        limit = min(_integer(query, "limit", DEFAULT_PAGE), MAX_PAGE)
        start, end = _integer(query, "created[gte]", 0), _integer(query, "created[lt]", int(self.now()) + 1)
        after = query.get("starting_after")
        if after is not None and after not in self.intents:
            raise invalid("resource_missing", f"No such payment_intent: {after!r}", "starting_after")
        found = list(reversed(self.intents.values()))
        if after is not None:
            found = found[found.index(self.intents[after]) + 1 :]
        found = [intent for intent in found if start <= intent.created < end]
        return {
            "object": "list",
            "data": [intent.to_json() for intent in found[:limit]],
            "has_more": len(found) > limit,
            "url": "/v1/payment_intents",
        }

    async def confirm(self, intent_id: str, form: Form) -> Json:
        async with self._changing(intent_id) as intent:
            _ensure_open(intent)
            try:
                intent.status = await self._charge(intent, form.get("payment_method", ""))
            except Refusal as refusal:
                if refusal.status < web.HTTPInternalServerError.status_code:
                    intent.last_error = dict(refusal.error)
                    refusal.error["payment_intent"] = intent.to_json()
                raise
            intent.last_error = None
        return intent.to_json()

    async def cancel(self, intent_id: str, form: Form) -> Json:
        async with self._changing(intent_id) as intent:
            _ensure_open(intent)
            intent.status = Status.CANCELED
            intent.cancellation_reason = form.get("cancellation_reason")
        return intent.to_json()

    async def refund(self, form: Form) -> Json:
        async with self._changing(form.get("payment_intent", "")) as intent:
            if intent.fails_refund:
                intent.fails_refund = False
                raise _server_error(is_saved=True)
            left = intent.amount_received - intent.amount_refunded
            amount = _amount(form, intent.currency) if "amount" in form else left
            if intent.status is not Status.SUCCEEDED:
                raise _unexpected_state(intent)
            if amount > left or not left:
                raise invalid("charge_already_refunded", f"The charge of {intent.id} has been refunded.")
            intent.amount_refunded += amount
            refund: Json = {
                "id": f"re_{uuid.uuid4().hex}",
                "object": "refund",
                "amount": amount,
                "created": int(self.now()),
                "currency": intent.currency,
                "payment_intent": intent.id,
                "status": "succeeded",
            }
            intent.refunds.append(refund)
        return refund

    async def _charge(self, intent: Intent, token: str) -> Status:
        """Return the status of a payment after its confirmation with a payment method."""
        method = "us_bank_account" if token == Token.BANK_DEBIT else "card"
        if intent.method_types is not None and method not in intent.method_types:
            message = f"The PaymentMethod provided ({method}) is not allowed for this PaymentIntent."
            raise invalid("payment_intent_invalid_parameter", message, "payment_method")
        match token:
            case Token.WORKS:
                pass
            case Token.SLOW:
                await asyncio.sleep(self.slow_seconds)
            case Token.BANK_DEBIT:
                return Status.PROCESSING
            case Token.DECLINED:
                raise _card_error("card_declined", "Your card was declined.", "generic_decline")
            case Token.AUTHENTICATION:
                code = "authentication_required"
                raise _card_error(code, "Your card was declined. It requires authentication.", code)
            case Token.FAILS_ONCE | Token.SAVES_500:
                if not intent.has_failed:
                    intent.has_failed = True
                    raise _server_error(is_saved=token == Token.SAVES_500)
            case Token.REFUND_SAVES_500:
                intent.fails_refund = True
            case _:
                raise invalid("resource_missing", f"No such PaymentMethod: {token!r}", "payment_method")
        return Status.SUCCEEDED


def _card_error(code: str, message: str, decline_code: str) -> Refusal:
    return Refusal(402, "card_error", code, message, decline_code=decline_code)


def _server_error(*, is_saved: bool) -> Refusal:
    return Refusal(500, "api_error", None, "The sandbox fails once.", is_saved=is_saved)


def _ensure_open(intent: Intent) -> None:
    if intent.status is not Status.REQUIRES_PAYMENT_METHOD:
        raise _unexpected_state(intent)


def _unexpected_state(intent: Intent) -> Refusal:
    return invalid("payment_intent_unexpected_state", f"This PaymentIntent's status is {intent.status}.")


def _metadata(form: Form) -> dict[str, str]:
    start = "metadata["
    return {name.removeprefix(start).removesuffix("]"): text for name, text in form.items() if name.startswith(start)}


def _integer(query: Form, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise invalid("parameter_invalid_integer", f"Invalid integer: {text}", name)
    return int(text)


def _amount(form: Form, currency: str) -> int:
    try:
        return read_amount(form.get("amount", ""), currency)
    except AmountRefused as refused:
        raise invalid(refused.code, str(refused), refused.param) from refused
