"""HTTP API of the sandbox, with Stripe's idempotency keys."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from devstack.payments import parameters
from devstack.payments.answers import Answer, Ledger, Request
from devstack.payments.bank import Bank, Refusal, invalid
from devstack.payments.books import Books, NoBooks
from devstack.payments.intents import Form, Json
from devstack.payments.options import API_KEY_PREFIX

Work = Callable[[web.Request, Form], Awaitable[Json]]
"""Operation of the API. Its parameters are those of the query, or of the form of a POST."""


def make_app(bank: Bank, books: Books | None = None) -> web.Application:
    """Return the HTTP application of the bank, which continues with the payments in the books."""
    keeper = _Keeper.opened(bank, books or NoBooks())

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
            web.post("/v1/payment_intents", _serve(create, keeper, parameters.CREATE)),
            web.get("/v1/payment_intents", _serve(list_intents, keeper, parameters.LIST)),
            web.get("/v1/payment_intents/{id}", _serve(retrieve, keeper, parameters.RETRIEVE)),
            web.post("/v1/payment_intents/{id}/confirm", _serve(confirm, keeper, parameters.CONFIRM)),
            web.post("/v1/payment_intents/{id}/cancel", _serve(cancel, keeper, parameters.CANCEL)),
            web.post("/v1/refunds", _serve(refund, keeper, parameters.REFUND)),
            web.get("/v1/refunds", _serve(list_refunds, keeper, parameters.LIST_REFUNDS)),
            web.get("/_sandbox/intents", show_books),
            web.get("/healthz", healthz),
        ]
    )
    return app


@dataclass(frozen=True)
class _Keeper:
    """Keeper of the answers and of the changes that they report."""

    bank: Bank
    ledger: Ledger
    books: Books

    @classmethod
    def opened(cls, bank: Bank, books: Books) -> "_Keeper":
        """Return the keeper of a bank and a ledger that have the content of the books."""
        ledger = Ledger()
        for intent in books.intents():
            bank.intents[intent.id] = intent
        for key, request, answer in books.answers():
            ledger.restore(key, request, answer)
        return cls(bank, ledger, books)

    async def respond(self, key: str | None, request: Request, work: Callable[[], Awaitable[Answer]]) -> web.Response:
        async def kept() -> Answer:
            answer = await work()
            saved = (key, request, answer) if key is not None and answer.is_saved else None
            self.books.save(self.bank.take_changed(), saved)
            return answer

        return (await kept()).response() if key is None else await self.ledger.once(key, request, kept)


def _serve(work: Work, keeper: _Keeper, supported: frozenset[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            _authenticate(request)
            form = await _form(request)
            _check_parameters(form, supported)  # before the key is used: Stripe does not save such a refusal
            if request.method != "POST":
                return (await _answer(work, request, form)).response()
            key = request.headers.get("Idempotency-Key")
            return await keeper.respond(key, (request.path, form), lambda: _answer(work, request, form))
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
