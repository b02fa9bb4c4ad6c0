"""The port over Stripe's PaymentIntents, by the official SDK.

What Stripe says of an error may quote the payment token, so none of its texts leaves this module: our errors carry
the kind, the status, the code and the request id, and are raised `from None`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import stripe
import structlog

from order_processor.payments.gateway import PaymentDeclined, PaymentUnavailable
from order_shared.exceptions import PlatformError

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 8.0
NETWORK_RETRIES = 1
DEADLINE_SECONDS = 15.0
"""One call of the port, with retries and lookups; create, confirm and void together stay below the lease of 60 s."""

UNEXPECTED_STATE = "payment_intent_unexpected_state"
ALREADY_REFUNDED = "charge_already_refunded"
MISSING = "resource_missing"


class StripeGateway:
    """One connection pool; `aclose` ends it. `api_base` None means Stripe itself."""

    def __init__(
        self,
        api_key: str,
        api_base: str | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._http = _HttpxClient(connect_seconds, request_seconds)
        stripe_client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=NETWORK_RETRIES,
            http_client=self._http,
        )
        self._intents = stripe_client.v1.payment_intents
        self._refunds = stripe_client.v1.refunds

    async def create(self, order_id: str, *, amount: int, currency: str) -> str:
        async with _calling(_refused):
            intent = await self._intents.create_async(
                {
                    "amount": amount,
                    "currency": currency.lower(),
                    "metadata": {"order_id": order_id},
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                },
                {"idempotency_key": f"{order_id}:create"},
            )
        return intent.id

    async def confirm(self, order_id: str, payment_id: str, token: str) -> None:
        async with _calling(_refused):
            status = await self._confirm(order_id, payment_id, token)
            if status != "succeeded":  # a replayed answer tells how it was, not how it is
                status = await self._status(payment_id)
        match status:
            case "succeeded":
                return
            case "canceled":
                raise PaymentDeclined("payment_canceled")
            case "requires_action":  # the customer is not here to act
                raise PaymentDeclined("authentication_required")
            case _:
                raise PaymentUnavailable(f"payment {payment_id} is {status}")

    async def void(self, order_id: str, payment_id: str) -> None:
        async with _calling(_unavailable):
            status = await self._status(payment_id)
            if status not in {"succeeded", "canceled"}:
                status = await self._cancel(order_id, payment_id)
            if status == "succeeded":
                await self._refund(order_id, payment_id)
            elif status != "canceled":
                raise PaymentUnavailable(f"payment {payment_id} cannot be cancelled while {status}")

    async def aclose(self) -> None:
        await self._http.close_async()

    async def _confirm(self, order_id: str, payment_id: str, token: str) -> str | None:
        """The status that the answer names; None if only the payment itself can tell."""
        try:
            intent = await self._intents.confirm_async(
                payment_id,
                {"payment_method": token, "off_session": True},
                {"idempotency_key": f"{order_id}:confirm"},
            )
        except (
            stripe.APIError,
            stripe.IdempotencyError,
        ) as error:  # Stripe may replay a 5xx for as long as the key lives
            log.warning("payment unclear", order_id=order_id, payment_id=payment_id, reason=_describe(error))
            return None
        except stripe.InvalidRequestError as error:
            if error.code != UNEXPECTED_STATE:
                raise
            return None
        return intent.status

    async def _status(self, payment_id: str) -> str:
        return (await self._intents.retrieve_async(payment_id)).status

    async def _cancel(self, order_id: str, payment_id: str) -> str:
        try:
            intent = await self._intents.cancel_async(payment_id, {}, {"idempotency_key": f"{order_id}:cancel"})
        except stripe.InvalidRequestError:  # it may have succeeded meanwhile
            return await self._status(payment_id)
        return intent.status

    async def _refund(self, order_id: str, payment_id: str) -> None:
        try:
            refund = await self._refunds.create_async(
                {"payment_intent": payment_id}, {"idempotency_key": f"{order_id}:refund"}
            )
        except stripe.InvalidRequestError as error:
            if error.code != ALREADY_REFUNDED:
                raise
        else:
            if refund.status in {"failed", "canceled"}:
                raise PaymentUnavailable(f"the refund of payment {payment_id} {refund.status}")


@asynccontextmanager
async def _calling(failure: Callable[[stripe.StripeError], PlatformError]) -> AsyncIterator[None]:
    """One call of the port: under its deadline, Stripe's errors as ours."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError:
        raise PaymentUnavailable(f"no answer within {DEADLINE_SECONDS:.0f} s") from None
    except stripe.StripeError as error:
        raise failure(error) from None


def _refused(error: stripe.StripeError) -> PlatformError:
    """A payment that is missing is a fault of ours, such as another account's API key, not the customer's."""
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError) and not (
        error.code == MISSING and error.param == "intent"
    ):
        return PaymentDeclined(error.code or "invalid_request")
    return _unavailable(error)


def _unavailable(error: stripe.StripeError) -> PlatformError:
    return PaymentUnavailable(_describe(error))


def _describe(error: stripe.StripeError) -> str:
    parts = [type(error).__name__, error.http_status, error.code, error.request_id]
    return " ".join(str(part) for part in parts if part is not None)


class _HttpxClient(stripe.HTTPClient):
    """The SDK's own has no time-out over a whole request, and passes the body in httpx's deprecated way."""

    name = "httpx"

    def __init__(self, connect_seconds: float, request_seconds: float) -> None:
        super().__init__()
        self._request_seconds = request_seconds
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(request_seconds, connect=connect_seconds),
            limits=httpx.Limits(max_connections=None),  # as many as messages are handled at once
        )

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            async with asyncio.timeout(self._request_seconds):
                response = await self._client.request(method, url, headers=headers, content=post_data)
        except (httpx.HTTPError, TimeoutError) as error:
            name = type(error).__name__
            raise stripe.APIConnectionError(name, should_retry=True) from error  # type: ignore[no-untyped-call] # SDK's
        return response.content, response.status_code, response.headers

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        await self._client.aclose()
