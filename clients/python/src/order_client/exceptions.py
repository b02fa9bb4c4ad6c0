"""What can go wrong.

OrderClientError
├── Unreachable           no answer came in time: whether the request was carried out is not known
├── UnexpectedAnswer      whatever answered is not this API
├── StillOpen             waited for long enough, and the order has not come to its end
└── Problem               the API's own error (RFC 9457)
    ├── InvalidRequest    400, 413 and the like: `errors` says what is wrong, and where
    ├── Unauthenticated   401: no token, or one that does not hold
    ├── Forbidden         403: the token's scope does not suffice
    ├── NotFound          404: no such order or product, or another customer's
    ├── Conflict          409: reference_taken, not_cancellable, insufficient_stock
    ├── VersionMismatch   412: the order is at `current_version` by now
    ├── Unprocessable     422: unknown_sku, currency_mismatch, idempotency_key_reused
    ├── RateLimited       429: too many requests, also after all attempts
    └── Unavailable       408, 5xx: not now, also after all attempts

A mistake of the calling program that needs no server to be seen is a ValueError.
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
"""What a load balancer in front of the API answers by itself, without a problem document, and may be tried again."""


class OrderClientError(Exception):
    idempotency_key: str | None = None
    """Of the order that was to be placed: under the same key, the same call can be made again at any time."""


class Unreachable(OrderClientError):
    pass


class UnexpectedAnswer(OrderClientError):
    pass


class StillOpen(OrderClientError):
    """`order` is as it was seen last."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.id} is still {order.status}")
        self.order = order


class Problem(OrderClientError):
    """`code` is stable; `detail` is for people; `request_id` leads the operators to it.

    `retryable` says that the same request may succeed later, unchanged; `retry_after` when, in seconds from
    the answer, if the API said so.
    """

    status_code: ClassVar[HTTPStatus | None] = None
    """The status that this class stands for. Any other is an InvalidRequest below 500, and Unavailable from there."""

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
        """Of any answer with an error status, also of one that is no problem document."""
        try:
            body = _Body.model_validate_json(response.content)
        except ValidationError:
            phrase = response.reason_phrase or f"HTTP {response.status_code}"
            body = _Body(code=phrase.lower().replace(" ", "_"), detail=phrase)
        usual = InvalidRequest if response.is_client_error else Unavailable
        retryable = response.status_code in GATEWAY_STATUSES if body.retryable is None else body.retryable
        return _PROBLEMS.get(response.status_code, usual)(
            body,
            status=response.status_code,
            request_id=body.request_id or response.headers.get("X-Request-Id", ""),
            retryable=retryable,
            wait=retry_after(response.headers.get("Retry-After")),
        )


class InvalidRequest(Problem):
    pass


class Unauthenticated(Problem):
    status_code = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    status_code = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    status_code = HTTPStatus.NOT_FOUND


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
    """The problem document, as far as it is used."""

    code: str
    detail: str
    errors: tuple[Fault, ...] = ()
    request_id: str = ""
    retryable: bool | None = None
    current_version: int | None = None


_PROBLEMS: Mapping[int | None, type[Problem]] = {kind.status_code: kind for kind in Problem.__subclasses__()}
