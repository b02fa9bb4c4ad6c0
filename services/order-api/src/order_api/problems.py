"""Map errors to HTTP responses. Every error response is `application/problem+json` (RFC 9457)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from order_api.auth import InsufficientScope, InvalidToken, KeysUnavailable, Unauthenticated
from order_api.cursors import InvalidCursor
from order_api.event.exceptions import InvalidPosition, PositionGone
from order_api.idempotency import IdempotencyKeyMissing
from order_api.limits import BodyTooLarge, BodyTooSlow, Overloaded, RateLimited, StreamsFull, TooManyStreams
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.reader import Fault, InvalidRequest, UnsupportedMediaType, shorten
from order_api.regions import NotHomeRegion
from order_api.schemas import V1, Int64
from order_api.sentences import MAX_FAULTS, RULES, faults_of
from order_api.webhook.exceptions import UrlNotAllowed, VerifyFirst, WebhooksNotAvailable
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk, UnknownSku
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.order.exceptions import CurrencyMismatch, OrderNotFound, ReferenceTaken
from order_shared.domain.webhook.exceptions import (
    DeliveryNotFound,
    EndpointNotFound,
    TooManyDeliveries,
    TooManyEndpoints,
)
from order_shared.storage.item_schema import UnknownItemVersion

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
ERROR_PAGES = "/pages/errors"
"""Path of the pages that explain the problems: `type` is the URL of a problem's page."""
RETRY_AFTER_SECONDS = 1


class ProblemError(BaseModel):
    """One error in the request.

    `pointer` is a JSON pointer (RFC 6901) into the body, or `query:limit`, `path:sku`, `header:…`.
    """

    pointer: str = Field(examples=["/lines/0/quantity"])
    code: str = Field(examples=["less_than_equal"])
    detail: str = Field(examples=[f"{RULES['quantity']}; you sent 0"])


class Problem(BaseModel):
    """Reason why a request failed. `code` is stable; `detail` is for people."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].append("errors"))

    type: str = Field(
        json_schema_extra={"format": "uri-reference"},
        description="Address of the page that explains the code.",
        examples=[f"{ERROR_PAGES}/unknown_sku"],
    )
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[ProblemError] = Field([], description=f"The first {MAX_FAULTS} errors in the request.")
    request_id: str
    retryable: bool = Field(description="Whether the same request may succeed later without changes.")
    current_version: Int64 | None = Field(None, description="With `version_mismatch`: the current version.")
    home_region: str | None = Field(None, description="With `not_home_region`: the region to send the request to.")


@dataclass(frozen=True, kw_only=True)
class ProblemKind:
    status: HTTPStatus
    code: str
    title: str
    retryable: bool = False


VALIDATION_FAILED = ProblemKind(
    status=HTTPStatus.BAD_REQUEST, code="validation_failed", title="The request is not valid"
)
UNAVAILABLE = ProblemKind(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="temporarily_unavailable",
    title="Temporarily unavailable",
    retryable=True,
)
INTERNAL_ERROR = ProblemKind(
    status=HTTPStatus.INTERNAL_SERVER_ERROR, code="internal_error", title="Internal error", retryable=True
)
UNAUTHENTICATED = ProblemKind(status=HTTPStatus.UNAUTHORIZED, code="unauthenticated", title="Not authenticated")
MALFORMED = ProblemKind(status=HTTPStatus.BAD_REQUEST, code="malformed_request", title="The request is not valid HTTP")
TARGET_TOO_LONG = ProblemKind(
    status=HTTPStatus.REQUEST_URI_TOO_LONG, code="uri_too_long", title="The path and query are too long"
)
HEAD_TOO_LARGE = ProblemKind(
    status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    code="request_header_fields_too_large",
    title="The headers are too large",
)

PROBLEMS: Mapping[type[PlatformError], ProblemKind] = {
    Unauthenticated: UNAUTHENTICATED,
    InvalidToken: UNAUTHENTICATED,
    InsufficientScope: ProblemKind(
        status=HTTPStatus.FORBIDDEN, code="insufficient_scope", title="The token lacks the required scope"
    ),
    NotHomeRegion: ProblemKind(
        status=HTTPStatus.MISDIRECTED_REQUEST, code="not_home_region", title="This region is read-only"
    ),
    IdempotencyKeyMissing: ProblemKind(
        status=HTTPStatus.BAD_REQUEST, code="idempotency_key_missing", title="The Idempotency-Key header is missing"
    ),
    InvalidCursor: ProblemKind(status=HTTPStatus.BAD_REQUEST, code="invalid_cursor", title="The cursor is not valid"),
    InvalidPosition: ProblemKind(
        status=HTTPStatus.BAD_REQUEST, code="invalid_position", title="The position is not valid"
    ),
    PositionGone: ProblemKind(status=HTTPStatus.GONE, code="position_expired", title="The position has expired"),
    UnsupportedSort: ProblemKind(
        status=HTTPStatus.BAD_REQUEST, code="unsupported_sort", title="The sort order is not supported"
    ),
    InvalidRequest: VALIDATION_FAILED,
    UnsupportedMediaType: ProblemKind(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        code="unsupported_media_type",
        title="The body is not declared as unencoded JSON",
    ),
    StockShardsShrunk: ProblemKind(
        status=HTTPStatus.CONFLICT, code="stock_shards_reduced", title="The number of stock shards cannot decrease"
    ),
    OrderNotFound: ProblemKind(status=HTTPStatus.NOT_FOUND, code="order_not_found", title="Order not found"),
    ProductNotFound: ProblemKind(status=HTTPStatus.NOT_FOUND, code="product_not_found", title="Product not found"),
    ReferenceTaken: ProblemKind(
        status=HTTPStatus.CONFLICT, code="reference_taken", title="The reference is already used"
    ),
    InsufficientStock: ProblemKind(status=HTTPStatus.CONFLICT, code="insufficient_stock", title="Insufficient stock"),
    UnknownSku: ProblemKind(status=HTTPStatus.UNPROCESSABLE_ENTITY, code="unknown_sku", title="Unknown SKU"),
    CurrencyMismatch: ProblemKind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY, code="currency_mismatch", title="The order has more than one currency"
    ),
    AmountNotChargeable: ProblemKind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY, code="amount_not_chargeable", title="The total cannot be charged"
    ),
    NotCancellable: ProblemKind(
        status=HTTPStatus.CONFLICT, code="not_cancellable", title="The order cannot be cancelled"
    ),
    VersionMismatch: ProblemKind(
        status=HTTPStatus.PRECONDITION_FAILED, code="version_mismatch", title="The version does not match"
    ),
    WebhooksNotAvailable: ProblemKind(
        status=HTTPStatus.NOT_FOUND, code="webhooks_not_available", title="This environment sends no webhooks"
    ),
    EndpointNotFound: ProblemKind(
        status=HTTPStatus.NOT_FOUND, code="webhook_endpoint_not_found", title="Webhook endpoint not found"
    ),
    DeliveryNotFound: ProblemKind(status=HTTPStatus.NOT_FOUND, code="delivery_not_found", title="Delivery not found"),
    TooManyEndpoints: ProblemKind(
        status=HTTPStatus.CONFLICT, code="too_many_webhook_endpoints", title="Too many webhook endpoints"
    ),
    TooManyDeliveries: ProblemKind(
        status=HTTPStatus.CONFLICT, code="too_many_deliveries", title="Too many deliveries wait"
    ),
    VerifyFirst: ProblemKind(
        status=HTTPStatus.CONFLICT, code="webhook_endpoint_inactive", title="The webhook endpoint receives no events"
    ),
    UrlNotAllowed: ProblemKind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY, code="url_not_allowed", title="Webhooks cannot be sent to this URL"
    ),
    IdempotencyKeyReused: ProblemKind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        code="idempotency_key_reused",
        title="The idempotency key was used for another request",
    ),
    StorageUnavailable: UNAVAILABLE,
    UnknownItemVersion: UNAVAILABLE,
    KeysUnavailable: UNAVAILABLE,
    Overloaded: UNAVAILABLE,
    StreamsFull: UNAVAILABLE,
    TooManyStreams: ProblemKind(
        status=HTTPStatus.TOO_MANY_REQUESTS, code="too_many_streams", title="Too many open streams", retryable=True
    ),
    RateLimited: ProblemKind(
        status=HTTPStatus.TOO_MANY_REQUESTS, code="rate_limited", title="Too many requests", retryable=True
    ),
    BodyTooLarge: ProblemKind(
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="payload_too_large", title="The request body is too large"
    ),
    BodyTooSlow: ProblemKind(
        status=HTTPStatus.REQUEST_TIMEOUT,
        code="request_timeout",
        title="The request body arrived too slowly",
        retryable=True,
    ),
}

FRAMEWORK_PROBLEMS: Mapping[int, ProblemKind] = {
    HTTPStatus.BAD_REQUEST: VALIDATION_FAILED,
    HTTPStatus.NOT_FOUND: ProblemKind(status=HTTPStatus.NOT_FOUND, code="not_found", title="Path not found"),
    HTTPStatus.METHOD_NOT_ALLOWED: ProblemKind(
        status=HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed", title="The path does not support this method"
    ),
}
"""Problems of the framework's errors, by status. The problem of any other status uses its status phrase."""

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")

POINTERS: Mapping[type[PlatformError], str] = {
    IdempotencyKeyMissing: "header:idempotency-key",
    IdempotencyKeyReused: "header:idempotency-key",
    VersionMismatch: "header:if-match",
    InvalidCursor: "query:cursor",
    UnsupportedSort: "query:sort",
    ReferenceTaken: "/reference",
    AmountNotChargeable: "/payment_token",
    InsufficientStock: "/delta",
    StockShardsShrunk: "/stock_shards",
    UrlNotAllowed: "/url",
}
"""Place of an error that is always at the same place."""

HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},  # otherwise the rest of the body would be parsed as a request
}


def problem_response(
    scope: Mapping[str, Any],
    kind: ProblemKind,
    detail: str,
    *,
    errors: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
    current_version: int | None = None,
    home_region: str | None = None,
) -> JSONResponse:
    """Return the response of a problem. `scope` has the path, and in `state` the request id and the public address."""
    state = scope.get("state", {})
    problem = Problem(
        type=f"{state.get('public_address', '')}{ERROR_PAGES}/{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=scope["path"],
        code=kind.code,
        errors=[ProblemError(**asdict(fault)) for fault in errors[:MAX_FAULTS]],
        request_id=state.get("request_id", ""),
        retryable=kind.retryable,
        current_version=current_version,
        home_region=home_region,
    )
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=kind.status,
        headers={**HEADERS.get(kind.status, {}), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Convert every error of the app and of the framework into a problem response."""
    handlers: dict[type[Exception], Callable[[Request, Any], Any]] = {
        PlatformError: _platform_error,
        RequestValidationError: _validation_error,
        HTTPException: _framework_error,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


async def _platform_error(request: Request, error: PlatformError) -> JSONResponse:
    return error_response(request.scope, error)


def error_response(scope: Mapping[str, Any], error: PlatformError) -> JSONResponse:
    """Return the problem response of an error. Raises the error again if no problem is defined for it."""
    kind = PROBLEMS.get(type(error))
    if kind is None:
        raise error  # RequestContext logs it and responds with internal_error
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("unavailable", error=str(error), cause=repr(error.__cause__))
        return problem_response(
            scope, kind, "The service is temporarily unavailable. Send the same request again in a moment."
        )
    return problem_response(
        scope,
        kind,
        str(error),
        errors=_faults(error, kind, scope.get("state", {}).get("document")),
        headers=_headers(error),
        current_version=getattr(error, "current_version", None),
        home_region=getattr(error, "home_region", None),
    )


def _headers(error: PlatformError) -> Mapping[str, str]:
    """Return the headers specific to the error, such as the `WWW-Authenticate` of RFC 6750."""
    match error:
        case InvalidToken():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        case InsufficientScope(scope=scope):
            return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        case RateLimited(retry_after=seconds) | TooManyStreams(retry_after=seconds):
            return {"Retry-After": str(seconds)}
        case _:
            return {}


def _faults(error: PlatformError, kind: ProblemKind, document: Any) -> Sequence[Fault]:
    """Return the places of an error. `document` is the valid body of the request, if it has one."""
    match error:
        case InvalidRequest(faults=faults):
            return faults
        case InvalidPosition(pointer=pointer):
            return [Fault(pointer=pointer, code=kind.code, detail=str(error))]
        case UnknownSku(details=details) | CurrencyMismatch(details=details):
            lines = enumerate(document["lines"]) if document else ()
            return [
                Fault(pointer=f"/lines/{index}/sku", code=kind.code, detail=details[line["sku"]])
                for index, line in lines
                if line["sku"] in details
            ]
        case _ if type(error) in POINTERS:
            return [Fault(pointer=POINTERS[type(error)], code=kind.code, detail=str(error))]
        case _:
            return ()


async def _validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the problem of a route without a scope. A ScopedRoute knows its models, so it names more."""
    return error_response(request.scope, InvalidRequest(faults_of(error.errors(), {})))


async def _framework_error(request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    kind = FRAMEWORK_PROBLEMS.get(status) or ProblemKind(
        status=status, code=status.phrase.lower().replace(" ", "_"), title=status.phrase
    )
    headers = dict(error.headers or {})
    detail = f"{kind.title}."
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request, request.scope["path"]))
        detail = f"the path does not support this method; allowed: {headers['Allow']}"
    elif status is HTTPStatus.NOT_FOUND:
        detail = f"there is no path {shorten(request.scope['path'])}{_path_hint(request)}"
    return problem_response(request.scope, kind, detail, headers=headers)


def _path_hint(request: Request) -> str:
    """Return a suggestion for an unknown path, with the methods of the suggested path."""
    path: str = request.scope["path"]
    known = [str(context.path) for context in iter_route_contexts(request.app.routes) if V1 in str(context.path)]
    shorter = path.rstrip("/")
    close = [shorter] if shorter != path else get_close_matches(path[:100], known, n=1)
    methods = _methods_of(request, close[0]) if close else ()
    return f"; did you mean {shorten(close[0])}? allowed: {', '.join(methods)}" if methods else ""


def _methods_of(request: Request, path: str) -> list[str]:
    """Return the methods of all routes of a path. The framework returns only those of the first route."""
    scopes = {method: {**request.scope, "method": method, "path": path} for method in METHODS}
    routes = request.app.routes
    found = {
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    }
    if "GET" in found:
        found.add("HEAD")
    return [method for method in METHODS if method in found]


KINDS: Mapping[str, ProblemKind] = {
    kind.code: kind
    for kind in (
        *(value for value in list(globals().values()) if isinstance(value, ProblemKind)),
        *FRAMEWORK_PROBLEMS.values(),
        *PROBLEMS.values(),
    )
}
"""All problem kinds, by code."""
