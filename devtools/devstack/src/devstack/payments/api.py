"""HTTP API of the sandbox, with Stripe's idempotency keys."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from devstack.payments.bank import Bank, Form, Json, Refusal

API_KEY = "sk_test_local"
API_KEY_PREFIX = "Bearer sk_test_"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    is_saved: bool = True

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        response = web.json_response(self.body, status=self.status, headers=headers)
        if self.status >= web.HTTPInternalServerError.status_code:
            response.headers["Stripe-Should-Retry"] = "false"  # as Stripe does, so that the SDK does not retry
        return response


@dataclass
class _Use:
    """Use of an idempotency key. `answer` is None while the request is in progress."""

    request: object
    answer: Answer | None = None


class Ledger:
    """Responses saved by idempotency key, as in https://docs.stripe.com/api/idempotent_requests."""

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
            answer = use.answer = await work()
        finally:
            if use.answer is None or not use.answer.is_saved:
                del self._uses[key]
        return answer


Work = Callable[[web.Request], Awaitable[Json]]


def make_app(bank: Bank) -> web.Application:
    """Return the HTTP application of the bank."""
    ledger = Ledger()

    async def create(request: web.Request) -> Json:
        return bank.create(await _form(request))

    async def retrieve(request: web.Request) -> Json:
        return bank.find(request.match_info["id"]).to_json()

    async def confirm(request: web.Request) -> Json:
        return await bank.confirm(request.match_info["id"], await _form(request))

    async def cancel(request: web.Request) -> Json:
        return await bank.cancel(request.match_info["id"])

    async def refund(request: web.Request) -> Json:
        return await bank.refund(await _form(request))

    async def list_refunds(request: web.Request) -> Json:
        intent = bank.find(request.query.get("payment_intent", ""))
        return {"object": "list", "data": intent.refunds, "has_more": False}

    async def list_intents(_: web.Request) -> web.Response:
        return web.json_response([intent.to_row() for intent in bank.intents.values()])

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/payment_intents", _serve(create, ledger)),
            web.get("/v1/payment_intents/{id}", _serve(retrieve, ledger)),
            web.post("/v1/payment_intents/{id}/confirm", _serve(confirm, ledger)),
            web.post("/v1/payment_intents/{id}/cancel", _serve(cancel, ledger)),
            web.post("/v1/refunds", _serve(refund, ledger)),
            web.get("/v1/refunds", _serve(list_refunds, ledger)),
            web.get("/_sandbox/intents", list_intents),
            web.get("/healthz", healthz),
        ]
    )
    return app


def _serve(work: Work, ledger: Ledger) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            _authenticate(request)
            key = request.headers.get("Idempotency-Key")
            if request.method != "POST" or key is None:
                return (await _answer(work, request)).response()
            identity = (request.path, await _form(request))
            return await ledger.once(key, identity, lambda: _answer(work, request))
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body).response()

    return handle


async def _answer(work: Work, request: web.Request) -> Answer:
    try:
        return Answer(200, await work(request))
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body, refusal.is_saved)


def _authenticate(request: web.Request) -> None:
    if not request.headers.get("Authorization", "").startswith(API_KEY_PREFIX):
        raise Refusal(401, "invalid_request_error", None, "Invalid API Key provided.")


async def _form(request: web.Request) -> Form:
    return dict(parse_qsl(await request.text()))
