"""Errors of the client.

OrderClientError
├── Unreachable           no response in time: the request may or may not have taken effect
├── UnexpectedAnswer      the response is not one that this API returns
├── StillOpen             the order did not reach the expected state within the time-out
├── InvalidWebhook        a request to a receiver has no valid signature (`order_client.webhooks`)
├── EndedOtherwise        the order ended in another state, and can no longer reach the expected one
└── Problem               error response of the API (RFC 9457)
    ├── InvalidRequest    400, 413 and similar: `errors` lists the invalid parts of the request
    ├── Unauthenticated   401: the token is missing or not valid
    ├── Forbidden         403: the token lacks the required scope
    ├── NotFound          404: the order or product does not exist, or belongs to another customer
    ├── PositionExpired   410: events after the position may be missing; begin again as its docstring says
    ├── Conflict          409: such as reference_taken, not_cancellable, insufficient_stock
    ├── VersionMismatch   412: the order or endpoint now has `current_version`
    ├── Unprocessable     422: unknown_sku, currency_mismatch, idempotency_key_reused
    ├── RateLimited       429: too many requests, after all retries
    └── Unavailable       408, 5xx: temporarily unavailable, after all retries

Invalid arguments that the client detects itself raise ValueError.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

import httpx2
from pydantic import BaseModel, ValidationError

from order_client.models import Fault, Order
from order_client.retries import retry_after

GATEWAY_STATUSES = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Retryable statuses that a load balancer in front of the API returns without a problem document."""


class OrderClientError(Exception):
    idempotency_key: str | None = None
    """Idempotency key of `place_order`. Within 24 hours, repeating the call with this key places no second order."""


class Unreachable(OrderClientError):
    pass


class UnexpectedAnswer(OrderClientError):
    pass


class StillOpen(OrderClientError):
    """The order did not reach the expected state within the time-out. `order` is its last known state."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.id} is still {order.status}")
        self.order = order


class EndedOtherwise(OrderClientError):
    """The order can no longer reach the expected state. `order` is its state."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.id} is {order.status}, and will not reach the expected state")
        self.order = order


class Problem(OrderClientError):
    """Error response. `code` is stable, `detail` is for people, and operators can find the request by `request_id`.

    If `retryable` is true, the same request may succeed later without changes; `retry_after` is the number of seconds
    to wait, if the API returned one.
    """

    status_code: ClassVar[HTTPStatus | None] = None
    """Status that raises this class. Other statuses raise InvalidRequest below 500, and Unavailable from 500."""

    def __init__(self, body: "_Body", *, status: int, request_id: str, retryable: bool, wait: float | None) -> None:
        super().__init__(f"{body.code}: {body.detail}")
        self.status = status
        self.code = body.code
        self.detail = body.detail
        self.errors = body.errors
        self.request_id = request_id
        self.retryable = retryable
        self.retry_after = wait
        self.current_version = body.current_version

    @classmethod
    def of(cls, response: httpx2.Response) -> "Problem":
        """Return the error of a response with an error status, even if it has no problem document."""
        try:
            body = _Body.model_validate_json(response.content)
        except ValidationError:
            phrase = response.reason_phrase or f"HTTP {response.status_code}"
            body = _Body(code=phrase.lower().replace(" ", "_"), detail=phrase)
        return cls._of(
            body,
            response.status_code,
            request_id=response.headers.get("X-Request-Id", ""),
            wait=retry_after(response.headers.get("Retry-After")),
        )

    @classmethod
    def of_document(cls, document: str) -> "Problem":
        """Return the error of a problem document in a stream. Raises ValidationError for another text."""
        body = _Body.model_validate_json(document)
        return cls._of(body, body.status or 0)

    @classmethod
    def _of(cls, body: "_Body", status: int, *, request_id: str = "", wait: float | None = None) -> "Problem":
        usual = InvalidRequest if status < HTTPStatus.INTERNAL_SERVER_ERROR else Unavailable
        retryable = status in GATEWAY_STATUSES if body.retryable is None else body.retryable
        return _PROBLEMS.get(status, usual)(
            body, status=status, request_id=body.request_id or request_id, retryable=retryable, wait=wait
        )


class InvalidRequest(Problem):
    pass


class Unauthenticated(Problem):
    status_code = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    status_code = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    status_code = HTTPStatus.NOT_FOUND


class PositionExpired(Problem):
    """Events after the position may be missing: it is older than 30 days, or the log of events was restored.

    Read once with `after="latest"` and keep the position, list the orders to see what changed, then continue from the
    kept position.
    """

    status_code = HTTPStatus.GONE


class Conflict(Problem):
    status_code = HTTPStatus.CONFLICT


class VersionMismatch(Problem):
    status_code = HTTPStatus.PRECONDITION_FAILED


class Unprocessable(Problem):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY


class RateLimited(Problem):
    status_code = HTTPStatus.TOO_MANY_REQUESTS


class Unavailable(Problem):
    status_code = HTTPStatus.REQUEST_TIMEOUT


class _Body(BaseModel):
    """Fields of a problem document that the client reads."""

    code: str
    detail: str
    status: int | None = None
    errors: tuple[Fault, ...] = ()
    request_id: str = ""
    retryable: bool | None = None
    current_version: int | None = None


_PROBLEMS: Mapping[int | None, type[Problem]] = {kind.status_code: kind for kind in Problem.__subclasses__()}
