"""The only map from errors to HTTP: every error answer is `application/problem+json` (RFC 9457)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from order_api.auth import InsufficientScope, InvalidToken, KeysUnavailable, Unauthenticated
from order_api.cursors import InvalidCursor
from order_api.idempotency import IdempotencyKeyMissing
from order_api.limits import BodyTooLarge, BodyTooSlow, Overloaded, RateLimited
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.regions import NotHomeRegion
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, StockShardsShrunk, UnknownSku
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.order.exceptions import CurrencyMismatch, OrderNotFound, ReferenceTaken
from order_shared.storage.item_schema import UnknownItemVersion

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:order-platform:problem:"
RETRY_AFTER_SECONDS = 1
MAX_ERRORS = 100


class ProblemError(BaseModel):
    """One fault of the request.

    `pointer` is a JSON pointer (RFC 6901) into the body, or `query:limit`, `path:sku`, `header:…`.
    """

    pointer: str = Field(examples=["/lines/0/quantity"])
    code: str = Field(examples=["less_than_equal"])
    detail: str = Field(examples=["Input should be less than or equal to 1000"])


class Problem(BaseModel):
    """Why a request was not carried out. `code` is stable; `detail` is for people."""

    type: str = Field(examples=[TYPE_PREFIX + "unknown_sku"])
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[ProblemError] = Field([], description=f"The first {MAX_ERRORS} faults of the request.")
    request_id: str
    retryable: bool = Field(description="The same request may succeed later, unchanged.")
    current_version: int | None = Field(None, description="With `version_mismatch`: the version the order is at.")
    home_region: str | None = Field(None, description="With `not_home_region`: the region that would carry it out.")


@dataclass(frozen=True)
class ProblemKind:
    status: HTTPStatus
    code: str
    title: str
    retryable: bool = False


VALIDATION_FAILED = ProblemKind(HTTPStatus.BAD_REQUEST, "validation_failed", "The request is not valid")
UNAVAILABLE = ProblemKind(
    HTTPStatus.SERVICE_UNAVAILABLE, "temporarily_unavailable", "Temporarily unavailable", retryable=True
)
INTERNAL_ERROR = ProblemKind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Internal error", retryable=True)
UNAUTHENTICATED = ProblemKind(HTTPStatus.UNAUTHORIZED, "unauthenticated", "Not authenticated")
MALFORMED = ProblemKind(HTTPStatus.BAD_REQUEST, "malformed_request", "The request is not valid HTTP")
TARGET_TOO_LONG = ProblemKind(HTTPStatus.REQUEST_URI_TOO_LONG, "uri_too_long", "The path and query are too long")
HEAD_TOO_LARGE = ProblemKind(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request_header_fields_too_large", "The headers are too large"
)

PROBLEMS: Mapping[type[PlatformError], ProblemKind] = {
    Unauthenticated: UNAUTHENTICATED,
    InvalidToken: UNAUTHENTICATED,
    InsufficientScope: ProblemKind(HTTPStatus.FORBIDDEN, "insufficient_scope", "The token's scope does not suffice"),
    NotHomeRegion: ProblemKind(HTTPStatus.MISDIRECTED_REQUEST, "not_home_region", "This region only reads"),
    IdempotencyKeyMissing: ProblemKind(
        HTTPStatus.BAD_REQUEST, "idempotency_key_missing", "The header Idempotency-Key is missing"
    ),
    InvalidCursor: ProblemKind(HTTPStatus.BAD_REQUEST, "invalid_cursor", "The cursor is not valid here"),
    UnsupportedSort: ProblemKind(HTTPStatus.BAD_REQUEST, "unsupported_sort", "This order of sorting is not supported"),
    StockShardsShrunk: VALIDATION_FAILED,
    OrderNotFound: ProblemKind(HTTPStatus.NOT_FOUND, "order_not_found", "No such order"),
    ProductNotFound: ProblemKind(HTTPStatus.NOT_FOUND, "product_not_found", "No such product"),
    ReferenceTaken: ProblemKind(HTTPStatus.CONFLICT, "reference_taken", "The reference is taken"),
    InsufficientStock: ProblemKind(HTTPStatus.CONFLICT, "insufficient_stock", "Not enough in stock"),
    UnknownSku: ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_sku", "No such product"),
    CurrencyMismatch: ProblemKind(HTTPStatus.UNPROCESSABLE_ENTITY, "currency_mismatch", "More than one currency"),
    AmountNotChargeable: ProblemKind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "amount_not_chargeable", "The total cannot be charged"
    ),
    NotCancellable: ProblemKind(HTTPStatus.CONFLICT, "not_cancellable", "The order cannot be cancelled"),
    VersionMismatch: ProblemKind(HTTPStatus.PRECONDITION_FAILED, "version_mismatch", "The order is at another version"),
    IdempotencyKeyReused: ProblemKind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", "The idempotency key was used for another request"
    ),
    StorageUnavailable: UNAVAILABLE,
    UnknownItemVersion: UNAVAILABLE,
    KeysUnavailable: UNAVAILABLE,
    Overloaded: UNAVAILABLE,
    RateLimited: ProblemKind(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many requests", retryable=True),
    BodyTooLarge: ProblemKind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", "The body is too large"),
    BodyTooSlow: ProblemKind(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The body came too slowly", retryable=True),
}

FRAMEWORK_PROBLEMS: Mapping[int, ProblemKind] = {
    HTTPStatus.BAD_REQUEST: VALIDATION_FAILED,
    HTTPStatus.NOT_FOUND: ProblemKind(HTTPStatus.NOT_FOUND, "not_found", "No such path"),
    HTTPStatus.METHOD_NOT_ALLOWED: ProblemKind(
        HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "The path does not answer this method"
    ),
}
"""The framework's own errors that can happen. Any other is named after its status phrase."""

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")

HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},  # what is left of the body would be taken for a request
}


def answers(*errors: type[PlatformError]) -> dict[int | str, dict[str, Any]]:
    """What a route declares of the errors it can answer, for the documentation."""
    kinds = [
        PROBLEMS[error] for error in (*errors, Unauthenticated, InsufficientScope, RateLimited, StorageUnavailable)
    ]
    kinds.append(VALIDATION_FAILED)
    by_status: dict[int, list[str]] = {}
    for kind in kinds:
        codes = by_status.setdefault(kind.status, [])
        if kind.code not in codes:
            codes.append(kind.code)
    return {
        status: {"model": Problem, "description": " or ".join(f"`{code}`" for code in codes)}
        for status, codes in sorted(by_status.items())
    }


def problem_response(
    scope: Mapping[str, Any],
    kind: ProblemKind,
    detail: str,
    *,
    errors: Sequence[ProblemError] = (),
    headers: Mapping[str, str] | None = None,
    current_version: int | None = None,
    home_region: str | None = None,
) -> JSONResponse:
    problem = Problem(
        type=TYPE_PREFIX + kind.code,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=scope["path"],
        code=kind.code,
        errors=list(errors),
        request_id=scope.get("state", {}).get("request_id", ""),
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
    """Makes every error of the app, the framework's own included, a problem."""
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
    """The answer to one of our own errors; raises it again if it is not meant for a customer."""
    kind = PROBLEMS.get(type(error))
    if kind is None:
        raise error  # an internal error, and logged as one
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("unavailable", error=str(error), cause=repr(error.__cause__))
        return problem_response(scope, kind, "Please try again in a moment.")
    return problem_response(
        scope,
        kind,
        str(error),
        headers=_headers(error),
        current_version=getattr(error, "current_version", None),
        home_region=getattr(error, "home_region", None),
    )


def _headers(error: PlatformError) -> Mapping[str, str]:
    """What the status alone does not say. RFC 6750 names what is wrong with a token."""
    match error:
        case InvalidToken():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        case InsufficientScope(scope=scope):
            return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        case RateLimited(retry_after=seconds):
            return {"Retry-After": str(seconds)}
        case _:
            return {}


async def _validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [
        ProblemError(pointer=_pointer(fault), code=fault["type"], detail=fault["msg"])
        for fault in error.errors()[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{fault.pointer or 'body'}: {fault.detail}" for fault in errors[:3])
    return problem_response(request.scope, VALIDATION_FAILED, detail, errors=errors)


def _pointer(fault: Mapping[str, Any]) -> str:
    where, *path = fault["loc"]
    if fault["type"] == "json_invalid":
        return ""  # what follows is a place in the text, not in the document
    if where == "body":
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return f"{where}:{'.'.join(map(str, path))}"


async def _framework_error(request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    kind = FRAMEWORK_PROBLEMS.get(status) or ProblemKind(status, status.phrase.lower().replace(" ", "_"), status.phrase)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
    return problem_response(request.scope, kind, str(error.detail), headers=headers)


def _methods_of(request: Request) -> list[str]:
    """What the path answers, over all its routes: the framework names those of the first only."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    return [
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]
