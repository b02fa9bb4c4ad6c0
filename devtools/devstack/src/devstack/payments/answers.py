"""Answers of the sandbox, and those that are saved by idempotency key."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from devstack.payments.bank import Refusal
from devstack.payments.intents import Form, Json

Request = tuple[str, Form]
"""Path and form of a request."""


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

    request: Request
    answer: Answer | None = None


class Ledger:
    """Responses saved by idempotency key, as in https://docs.stripe.com/api/idempotent_requests."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def restore(self, key: str, request: Request, answer: Answer) -> None:
        self._uses[key] = _Use(request, answer)

    async def once(self, key: str, request: Request, work: Callable[[], Awaitable[Answer]]) -> web.Response:
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

    async def _first(self, key: str, request: Request, work: Callable[[], Awaitable[Answer]]) -> Answer:
        use = self._uses[key] = _Use(request)
        try:
            answer = use.answer = await work()
        finally:
            if use.answer is None or not use.answer.is_saved:
                del self._uses[key]
        return answer
