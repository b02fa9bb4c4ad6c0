"""The local payment sandbox: the part of Stripe's HTTP API that the processor uses, in memory.

`python -m orderctl.local.payments --port 0` logs `listening` with its port; SIGTERM ends it. It forgets all then.
Unlike Stripe it never saves a 5xx under an idempotency key, so that the same call may pass the next time.
`GET /_sandbox/intents` lists every payment, for checkers.
"""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl

from aiohttp import web

from order_shared.logging import configure_logging
from order_shared.net import listen
from orderctl.local.address import LOOPBACK, part_options
from orderctl.local.processes import Child, ProcessGroup

HOST = LOOPBACK
API_KEY = "sk_test_local"
API_KEY_PREFIX = "Bearer sk_test_"
READY_SECONDS = 30.0
SLOW_SECONDS = 3.0
DRAIN_SECONDS = 5.0

Json = Mapping[str, object]
Form = Mapping[str, str]


class Token(StrEnum):
    """The payment methods that exist here."""

    WORKS = "pm_card_visa"
    DECLINED = "pm_card_chargeDeclined"
    SLOW = "pm_sandbox_slow"
    FAILS_ONCE = "pm_sandbox_fails_once"


class Status(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, kind: str, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"type": kind, "code": code, "message": message, "param": param}}


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
            "status": self.status,
        }


@dataclass
class Bank:
    """What Stripe knows. Changes of one payment wait for each other; reading waits for none."""

    slow_seconds: float = SLOW_SECONDS
    intents: dict[str, Intent] = field(default_factory=dict)

    def create(self, form: Form) -> Json:
        currency = form.get("currency")
        if not currency:
            raise _invalid("parameter_missing", "Missing required param: currency.", "currency")
        intent = Intent(f"pi_{uuid.uuid4().hex}", _amount(form), currency, form.get("metadata[order_id]"))
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
            await self._charge(intent, form.get("payment_method", ""))
            intent.status = Status.SUCCEEDED
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
            amount = _amount(form) if "amount" in form else left
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
            case Token.FAILS_ONCE:
                if not intent.has_failed:
                    intent.has_failed = True
                    raise Refusal(500, "api_error", None, "The sandbox fails once.")
            case _:
                raise _invalid("resource_missing", f"No such PaymentMethod: {token!r}", "payment_method")


def _ensure_open(intent: Intent) -> None:
    if intent.status is not Status.REQUIRES_PAYMENT_METHOD:
        raise _unexpected_state(intent)


def _unexpected_state(intent: Intent) -> Refusal:
    return _invalid("payment_intent_unexpected_state", f"This PaymentIntent's status is {intent.status}.")


def _amount(form: Form) -> int:
    text = form.get("amount", "")
    if not text.isdecimal() or int(text) < 1:
        raise _invalid("parameter_invalid_integer", "The amount must be an integer above 0.", "amount")
    return int(text)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        response = web.json_response(self.body, status=self.status, headers=headers)
        if self.status >= web.HTTPInternalServerError.status_code:
            response.headers["Stripe-Should-Retry"] = "false"  # as Stripe does: the SDK leaves it to the caller
        return response


@dataclass
class _Use:
    """Of an idempotency key. No answer yet: in flight."""

    request: object
    answer: Answer | None = None


class Ledger:
    """Stripe's idempotency: https://docs.stripe.com/api/idempotent_requests."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    async def once(self, key: str, request: object, work: Callable[[], Awaitable[Answer]]) -> web.Response:
        use = self._uses.get(key)
        if use is None:
            return (await self._first(key, request, work)).response()
        if use.request != request:
            raise Refusal(400, "idempotency_error", None, "The key was used with other parameters.")
        if use.answer is None:
            raise Refusal(409, "idempotency_error", "idempotency_key_in_use", "The key is in use by another request.")
        return use.answer.response({"Idempotent-Replayed": "true"})

    async def _first(self, key: str, request: object, work: Callable[[], Awaitable[Answer]]) -> Answer:
        use = self._uses[key] = _Use(request)
        try:
            use.answer = await work()
        finally:
            if use.answer is None or use.answer.status >= web.HTTPInternalServerError.status_code:
                del self._uses[key]
        return use.answer


Work = Callable[[web.Request], Awaitable[Json]]


class Api:
    """Bank and ledger over HTTP."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._ledger = Ledger()

    def make_app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/payment_intents", self._serve(self.create)),
                web.get("/v1/payment_intents/{id}", self._serve(self.retrieve)),
                web.post("/v1/payment_intents/{id}/confirm", self._serve(self.confirm)),
                web.post("/v1/payment_intents/{id}/cancel", self._serve(self.cancel)),
                web.post("/v1/refunds", self._serve(self.refund)),
                web.get("/v1/refunds", self._serve(self.list_refunds)),
                web.get("/_sandbox/intents", self.list_intents),
                web.get("/healthz", self.healthz),
            ]
        )
        return app

    async def create(self, request: web.Request) -> Json:
        return self._bank.create(await _form(request))

    async def retrieve(self, request: web.Request) -> Json:
        return self._bank.find(request.match_info["id"]).to_json()

    async def confirm(self, request: web.Request) -> Json:
        return await self._bank.confirm(request.match_info["id"], await _form(request))

    async def cancel(self, request: web.Request) -> Json:
        return await self._bank.cancel(request.match_info["id"])

    async def refund(self, request: web.Request) -> Json:
        return await self._bank.refund(await _form(request))

    async def list_refunds(self, request: web.Request) -> Json:
        intent = self._bank.find(request.query.get("payment_intent", ""))
        return {"object": "list", "data": intent.refunds, "has_more": False}

    async def list_intents(self, _: web.Request) -> web.Response:
        return web.json_response([intent.to_row() for intent in self._bank.intents.values()])

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    def _serve(self, work: Work) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                _authenticate(request)
                key = request.headers.get("Idempotency-Key")
                if request.method != "POST" or key is None:
                    return (await _answer(work, request)).response()
                identity = (request.path, await _form(request))
                return await self._ledger.once(key, identity, lambda: _answer(work, request))
            except Refusal as refusal:
                return Answer(refusal.status, refusal.body).response()

        return handle


async def _answer(work: Work, request: web.Request) -> Answer:
    try:
        return Answer(200, await work(request))
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body)


def _authenticate(request: web.Request) -> None:
    if not request.headers.get("Authorization", "").startswith(API_KEY_PREFIX):
        raise Refusal(401, "invalid_request_error", None, "Invalid API Key provided.")


async def _form(request: web.Request) -> Form:
    return dict(parse_qsl(await request.text()))


def start_payments(
    group: ProcessGroup, port: int = 0, *, slow_seconds: float = SLOW_SECONDS, name: str = "payments"
) -> tuple[Child, str]:
    """Starts the sandbox; the process and its base URL. Raises ChildFailed."""
    options = ["--host", HOST, "--port", str(port), "--slow-seconds", str(slow_seconds)]
    child = group.start(name, [sys.executable, "-m", "orderctl.local.payments", *options], dict(os.environ))
    child.wait_until(lambda: child.listening_port() is not None, "listening", READY_SECONDS)
    return child, f"http://{HOST}:{child.listening_port()}"


def main() -> None:
    parser = part_options("The local payment sandbox.")
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS, help=f"how long {Token.SLOW} takes")
    options = parser.parse_args()
    configure_logging("INFO")
    app = Api(Bank(options.slow_seconds)).make_app()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server listens to it
    with listen(options.host, options.port) as listener:
        web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=DRAIN_SECONDS)


if __name__ == "__main__":
    main()
