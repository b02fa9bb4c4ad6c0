"""The payment provider as a sweep of payments calls it: list payments, and cancel one.

The services use the provider's SDK. Two calls do not justify its import time in every command.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from aws_json_client.proxies import proxy_for
from order_operations.pace import Pace
from order_shared.backoff import full_jitter
from order_shared.domain.errors import PlatformError
from order_shared.runtime.config import PROVIDER, PaymentSettings

API_VERSION = "2026-10-28.endive"
"""Version of the provider's API: that of the SDK that the processor uses."""

TIMEOUT_SECONDS = 20.0
ATTEMPTS = 5
RETRY_BASE_SECONDS = 1.0
RETRY_CAP_SECONDS = 15.0
MAX_PAGE = 100
UNEXPECTED_STATE = "payment_intent_unexpected_state"
UNCONFIRMED = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


class PaymentProviderFailed(PlatformError):
    """Call of the payment provider that failed after retries, or that the provider refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPayment:
    """Payment as the provider lists it. `order_id` and `environment` are from its metadata."""

    id: str
    is_unconfirmed: bool
    order_id: str | None
    environment: str | None


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Page of payments, the newest first. `more` is True if older ones follow."""

    payments: list[ListedPayment]
    more: bool


class PaymentProvider:
    """Calls within a rate limit. A call is repeated if it gets no response, a 409, a 429 or a 5xx.

    All methods raise PaymentProviderFailed.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        calls_per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._pace = Pace(calls_per_second, monotonic)
        self._sleep = sleep

    async def list(self, *, since: int, until: int, after: str | None, limit: int) -> PaymentPage:
        """Return the next payments created from `since` to before `until` (epoch seconds), older than `after`."""
        query: dict[str, str | int] = {"created[gte]": since, "created[lt]": until, "limit": min(limit, MAX_PAGE)}
        if after is not None:
            query["starting_after"] = after
        answer = _content(await self._call("GET", "/v1/payment_intents", params=query))
        return PaymentPage([_listed(each) for each in answer["data"]], bool(answer["has_more"]))

    async def cancel(self, payment_id: str) -> bool:
        """Cancel an unconfirmed payment. Return False if it can no longer be cancelled."""
        answer = await self._call(
            "POST", f"/v1/payment_intents/{payment_id}/cancel", data={"cancellation_reason": "abandoned"}
        )
        if _error(answer).get("code") == UNEXPECTED_STATE:
            return False
        _content(answer)
        return True

    async def _call(self, method: str, path: str, **request: Any) -> httpx2.Response:
        failure = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(full_jitter(attempt, base=RETRY_BASE_SECONDS, cap=RETRY_CAP_SECONDS))
            if (delay := self._pace.delay(1)) > 0:
                await self._sleep(delay)
            try:
                answer = await self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                failure = f"no response: {type(error).__name__}"
                continue
            if not _may_pass(answer.status_code):
                return answer
            failure = _described(answer)
        raise PaymentProviderFailed(f"the payment provider failed {ATTEMPTS} times; the last time: {failure}")


@asynccontextmanager
async def open_provider(settings: PaymentSettings, *, calls_per_second: float) -> AsyncIterator[PaymentProvider]:
    headers = {
        "Authorization": f"Bearer {settings.payment_api_key.get_secret_value()}",
        "Stripe-Version": API_VERSION,
    }
    base = settings.payment_api_base or PROVIDER
    transport = httpx2.AsyncHTTPTransport(proxy=proxy_for(base))
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT_SECONDS, transport=transport) as http:
        yield PaymentProvider(http, calls_per_second=calls_per_second)


def _may_pass(status: int) -> bool:
    return status in {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS} or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _content(answer: httpx2.Response) -> Mapping[str, Any]:
    """Return the JSON object of a successful response. Raises PaymentProviderFailed."""
    content = _json(answer)
    if answer.status_code != HTTPStatus.OK or not content:
        raise PaymentProviderFailed(f"the payment provider refused the request: {_described(answer)}")
    return content


def _described(answer: httpx2.Response) -> str:
    """Return status, code and request id. The provider's message may contain a part of the key."""
    parts = [answer.status_code, _error(answer).get("code"), answer.headers.get("Request-Id")]
    return " ".join(str(part) for part in parts if part is not None)


def _error(answer: httpx2.Response) -> Mapping[str, Any]:
    error = _json(answer).get("error")
    return error if isinstance(error, dict) else {}


def _json(answer: httpx2.Response) -> Mapping[str, Any]:
    """Return the response's JSON object; an empty one if it is something else, such as a proxy's page."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _listed(intent: Mapping[str, Any]) -> ListedPayment:
    metadata = intent["metadata"]
    return ListedPayment(
        id=intent["id"],
        is_unconfirmed=intent["status"] in UNCONFIRMED,
        order_id=metadata.get("order_id"),
        environment=metadata.get("environment"),
    )
