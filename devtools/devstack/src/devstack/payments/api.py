"""HTTP API of the sandbox, with Stripe's idempotency keys."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from devstack.payments import parameters
from devstack.payments.bank import Bank, Form, Json, Refusal, invalid
from devstack.payments.options import API_KEY_PREFIX


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    is_saved: bool = True

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        request_id = {"Request-Id": f"req_{uuid.uuid4().hex[:14]}"}
        response = web.json_response(self.body, status=self.status, headers={**request_id, **(headers or {})})
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
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
            )
            raise Refusal(400, "idempotency_error", None, message)
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


Work = Callable[[web.Request, Form], Awaitable[Json]]
"""Operation of the API. Its parameters are those of the query, or of the form of a POST."""


def make_app(bank: Bank) -> web.Application:
    """Return the HTTP application of the bank."""
    ledger = Ledger()

    async def create(_: web.Request, form: Form) -> Json:
        return bank.create(form)

    async def retrieve(request: web.Request, _: Form) -> Json:
        return bank.find(request.match_info["id"]).to_json()

    async def list_intents(_: web.Request, form: Form) -> Json:
        return bank.page(form)

    async def confirm(request: web.Request, form: Form) -> Json:
        return await bank.confirm(request.match_info["id"], form)

    async def cancel(request: web.Request, form: Form) -> Json:
        return await bank.cancel(request.match_info["id"], form)

    async def refund(_: web.Request, form: Form) -> Json:
        return await bank.refund(form)

    async def list_refunds(_: web.Request, form: Form) -> Json:
        intent = bank.find(form.get("payment_intent", ""))
        return {"object": "list", "data": intent.refunds, "has_more": False, "url": "/v1/refunds"}

    async def show_books(_: web.Request) -> web.Response:
        return web.json_response([intent.to_row() for intent in bank.intents.values()])

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/payment_intents", _serve(create, ledger, parameters.CREATE)),
            web.get("/v1/payment_intents", _serve(list_intents, ledger, parameters.LIST)),
            web.get("/v1/payment_intents/{id}", _serve(retrieve, ledger, parameters.RETRIEVE)),
            web.post("/v1/payment_intents/{id}/confirm", _serve(confirm, ledger, parameters.CONFIRM)),
            web.post("/v1/payment_intents/{id}/cancel", _serve(cancel, ledger, parameters.CANCEL)),
            web.post("/v1/refunds", _serve(refund, ledger, parameters.REFUND)),
            web.get("/v1/refunds", _serve(list_refunds, ledger, parameters.LIST_REFUNDS)),
            web.get("/_sandbox/intents", show_books),
            web.get("/healthz", healthz),
        ]
    )
    return app


def _serve(work: Work, ledger: Ledger, supported: frozenset[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            _authenticate(request)
            form = await _form(request)
            _check_parameters(form, supported)  # before the key is used: Stripe does not save such a refusal
            key = request.headers.get("Idempotency-Key")
            if request.method != "POST" or key is None:
                return (await _answer(work, request, form)).response()
            return await ledger.once(key, (request.path, form), lambda: _answer(work, request, form))
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body).response()

    return handle


def _check_parameters(form: Form, supported: frozenset[str]) -> None:
    name = parameters.unsupported(form, supported)
    if name is None:
        return
    if parameters.general_name(name) == parameters.REMOVED:
        message = "payment_method_types is no longer supported; use allowed_payment_method_types."
        raise invalid("payment_method_types_no_longer_supported", message, "payment_method_types")
    raise invalid("parameter_unknown", f"Received unknown parameter: {name}", name)


async def _answer(work: Work, request: web.Request, form: Form) -> Answer:
    try:
        return Answer(200, await work(request, form))
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body, refusal.is_saved)


def _authenticate(request: web.Request) -> None:
    if not request.headers.get("Authorization", "").startswith(f"Bearer {API_KEY_PREFIX}"):
        raise Refusal(401, "invalid_request_error", None, "Invalid API Key provided.")


async def _form(request: web.Request) -> Form:
    return dict(request.query) if request.method == "GET" else dict(parse_qsl(await request.text()))
