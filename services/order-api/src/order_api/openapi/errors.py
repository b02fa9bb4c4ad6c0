"""Error responses of each operation: every problem code that it can return, with an example from the service."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.openapi.models import Schema
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from order_api.auth import InsufficientScope, Unauthenticated
from order_api.cursors import InvalidCursor
from order_api.dependencies import Access
from order_api.event.exceptions import InvalidPosition, PositionGone
from order_api.idempotency import IdempotencyKeyMissing
from order_api.limits import BodyTooLarge, BodyTooSlow, RateLimited, TooManyStreams
from order_api.openapi.examples import CONFIRMED, REFERENCE, REJECTED, REQUEST_ID, SKU, example_path
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.problems import (
    KINDS,
    MEDIA_TYPE,
    PROBLEMS,
    VALIDATION_FAILED,
    Problem,
    ProblemKind,
    error_response,
    problem_response,
)
from order_api.reader import Fault, UnsupportedMediaType
from order_api.refusals import DOCUMENTED
from order_api.regions import NotHomeRegion
from order_api.sentences import RULES
from order_api.webhook.exceptions import UrlNotAllowed, VerifyFirst, WebhooksNotAvailable
from order_api.webhook.schemas import ENDPOINT_ID_EXAMPLE
from order_shared.domain.errors import PlatformError
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
from order_shared.domain.webhook.health import EndpointState
from order_shared.storage.event_log.read import ExpiredReason

CONNECTION_CODES = frozenset(refusal.kind.code for refusal in DOCUMENTED)
"""Codes of requests that are refused before the path is known. The connection then closes. Any request can get them."""
ANY_STATUSES = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR})
BODY_STATUSES = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
)
SAMPLE_BODY = {"lines": [{"sku": SKU, "quantity": 2}, {"sku": "POT-GLASS", "quantity": 1}]}
"""Body of the example errors that point at lines."""
TOKEN_STATUSES = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
WRITE_STATUSES = frozenset({HTTPStatus.MISDIRECTED_REQUEST})
"""Four groups of statuses: of any request, of requests with a body, of requests with a token, and of writes."""

_SAMPLES: tuple[PlatformError, ...] = (
    Unauthenticated("send a bearer token in the header Authorization"),
    InsufficientScope("orders:read"),
    NotHomeRegion("eu-central-1"),
    IdempotencyKeyMissing(),
    InvalidCursor(),
    InvalidPosition("query:after"),
    PositionGone(ExpiredReason.RETENTION),
    UnsupportedSort("total", ["-created_at", "created_at"]),
    OrderNotFound(CONFIRMED.order_id),
    ProductNotFound(SKU),
    ReferenceTaken(REFERENCE),
    InsufficientStock(SKU, 3),
    StockShardsShrunk(SKU, 1),
    UnknownSku([SKU]),
    CurrencyMismatch({SKU: "EUR", "POT-GLASS": "USD"}),
    AmountNotChargeable("0.30 EUR is below 0.50 EUR, the payment provider's minimum"),
    NotCancellable(REJECTED),
    VersionMismatch(CONFIRMED.version),
    WebhooksNotAvailable(),
    EndpointNotFound(ENDPOINT_ID_EXAMPLE),
    DeliveryNotFound(ENDPOINT_ID_EXAMPLE, 1042),
    TooManyEndpoints(),
    TooManyDeliveries(ENDPOINT_ID_EXAMPLE),
    VerifyFirst(ENDPOINT_ID_EXAMPLE, EndpointState.UNVERIFIED),
    UrlNotAllowed("url must have a public address"),
    IdempotencyKeyReused(),
    RateLimited(1),
    TooManyStreams(500),
    BodyTooLarge(),
    BodyTooSlow(10),
    UnsupportedMediaType("send the header Content-Type: application/json, once"),
)
SAMPLES: Mapping[str, PlatformError] = {PROBLEMS[type(sample)].code: sample for sample in _SAMPLES}
"""Example errors, by problem code."""

WRONG: Mapping[str, str] = {
    "sku": "-",
    "q": r"\u0085",
    "if-match": "1",
    "if-none-match": "1",
    "order-customer": "",
    "delivery_id": "-1",
}
"""Wrong values of parameters, for the example errors."""

DETAILS: Mapping[str, str] = {
    "internal_error": "An unexpected error occurred. Include the request id when you ask for support.",
    "temporarily_unavailable": "The service is temporarily unavailable. Send the same request again in a moment.",
    **{refusal.kind.code: refusal.detail for refusal in DOCUMENTED},
}
"""Details of problems that have no example error, by code."""

PROBLEM_SCHEMAS: Mapping[str, Any] = {
    name: jsonable_encoder(Schema(**schema), by_alias=True, exclude_none=True)
    for name, schema in models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")[
        1
    ]["$defs"].items()
}
"""Schemas of error responses and of their parts, in the same form as FastAPI's schemas."""


def complete_errors(operation: dict[str, Any], path: str, access: Access | None, schemas: Mapping[str, Any]) -> None:
    """Add a response for each error status that the operation can return, with an example per code."""
    responses: dict[str, Any] = operation["responses"]
    codes = {PROBLEMS[error].code for error in access.errors} if access else set()
    codes |= CONNECTION_CODES | {kind.code for kind in KINDS.values() if kind.status in _common(operation, access)}
    if access and _fault(operation, schemas) is not None:
        codes.add(VALIDATION_FAILED.code)
    kept = {status: value for status, value in responses.items() if "HTTPValidationError" not in str(value)}
    by_status: dict[int, list[ProblemKind]] = {}
    for code in sorted(codes):
        by_status.setdefault(KINDS[code].status, []).append(KINDS[code])
    added = {str(int(status)): _response(kinds, operation, path, schemas) for status, kinds in by_status.items()}
    operation["responses"] = dict(sorted({**added, **kept}.items()))


def _common(operation: Mapping[str, Any], access: Access | None) -> frozenset[HTTPStatus]:
    """Return the error statuses that the operation can return without declaring them."""
    body_statuses = BODY_STATUSES if "requestBody" in operation else frozenset()
    token_statuses = TOKEN_STATUSES if access else frozenset()
    write_statuses = WRITE_STATUSES if access and access.writes else frozenset()
    return ANY_STATUSES | body_statuses | token_statuses | write_statuses


def _scope(operation: Mapping[str, Any]) -> str | None:
    """Return the required scope of the operation, or None."""
    return str(operation["security"][0]["bearer"][0]) if operation["security"] else None


def _response(
    kinds: Iterable[ProblemKind], operation: Mapping[str, Any], path: str, schemas: Mapping[str, Any]
) -> dict[str, Any]:
    examples: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    for kind in kinds:
        response = _problem(kind, operation, path, schemas)
        examples[kind.code] = {"summary": kind.title, "value": json.loads(bytes(response.body))}
        headers |= {name: {} for name in _header_names(response.headers)}
    return {
        "description": "\n".join(f"- `{code}`: {example['summary']}." for code, example in examples.items()),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _problem(kind: ProblemKind, operation: Mapping[str, Any], path: str, schemas: Mapping[str, Any]) -> Response:
    """Return the response that the service sends for this problem."""
    request = {"path": example_path(path), "state": {"request_id": REQUEST_ID, "document": SAMPLE_BODY}}
    detail = DETAILS.get(kind.code, f"{kind.title}.")
    if kind.code in CONNECTION_CODES:
        return problem_response(request | {"path": ""}, kind, detail, headers={"Connection": "close"})
    if kind is VALIDATION_FAILED and (fault := _fault(operation, schemas)):
        return problem_response(request, kind, f"{fault.pointer}: {fault.detail}", errors=[fault])
    sample = SAMPLES.get(kind.code)
    if isinstance(sample, InsufficientScope) and (scope := _scope(operation)):
        sample = InsufficientScope(scope)
    return error_response(request, sample) if sample else problem_response(request, kind, detail)


def _header_names(headers: Mapping[str, str]) -> list[str]:
    """Return the names of the headers except `Content-…`, in canonical spelling."""
    return ["-".join(part.title() for part in name.split("-")) for name in headers if not name.startswith("content-")]


def _fault(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Fault | None:
    """Return a possible validation error of the operation, or None if no input can be invalid."""
    if "requestBody" in operation:
        model = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        if required := schemas[model].get("required"):
            name = required[0]
            return Fault(pointer=f"/{name}", code="missing", detail=f"{name} is missing: {RULES[name]}")
        name = next(iter(schemas[model]["properties"]))
        return Fault(pointer=f"/{name}", code="bool_type", detail=f"{RULES[name]}; you sent 1")
    parameters = operation["parameters"]
    faults = (
        _parameter_fault(each) for each in parameters if each["name"] != "Idempotency-Key"
    )  # has its own problem code
    return next(filter(None, faults), None)


def _parameter_fault(parameter: Mapping[str, Any]) -> Fault | None:
    name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
    schema = parameter["schema"].get("items", parameter["schema"])
    pointer = f"{parameter['in']}:{name}"
    if "maximum" in schema:
        return Fault(pointer=pointer, code="less_than_equal", detail=f"{RULES[name]}; you sent {schema['maximum'] + 1}")
    if "pattern" in schema:
        return Fault(pointer=pointer, code="string_pattern_mismatch", detail=f"{RULES[name]}; you sent {WRONG[name]}")
    return None
