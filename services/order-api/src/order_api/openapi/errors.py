"""The errors of each operation: every code that it can answer, with the problem that the code really makes of it."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.openapi.models import Schema
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from order_api import problems
from order_api.auth import InsufficientScope, Unauthenticated
from order_api.cursors import InvalidCursor
from order_api.dependencies import Access
from order_api.idempotency import IdempotencyKeyMissing
from order_api.limits import BodyTooLarge, BodyTooSlow, RateLimited
from order_api.openapi.examples import CONFIRMED, REFERENCE, REJECTED, REQUEST_ID, SKU, example_path
from order_api.order.exceptions import NotCancellable, UnsupportedSort, VersionMismatch
from order_api.problems import (
    MEDIA_TYPE,
    PROBLEMS,
    VALIDATION_FAILED,
    Problem,
    ProblemError,
    ProblemKind,
    error_response,
    problem_response,
)
from order_api.refusals import DOCUMENTED
from order_api.regions import NotHomeRegion
from order_shared.domain.errors import PlatformError
from order_shared.domain.idempotency import IdempotencyKeyReused
from order_shared.domain.inventory.exceptions import InsufficientStock, ProductNotFound, UnknownSku
from order_shared.domain.money.charges import AmountNotChargeable
from order_shared.domain.order.exceptions import CurrencyMismatch, OrderNotFound, ReferenceTaken

KINDS: Mapping[str, ProblemKind] = {
    kind.code: kind
    for kind in (
        *(value for value in vars(problems).values() if isinstance(value, ProblemKind)),
        *problems.FRAMEWORK_PROBLEMS.values(),
        *PROBLEMS.values(),
    )
}
"""Every kind of problem that the code knows, by its code."""

OF_THE_CONNECTION = frozenset(refusal.kind.code for refusal in DOCUMENTED)
"""Refused before the path is known, and the connection is closed. Any request can meet them."""
OF_ANY = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR})
OF_A_BODY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
OF_A_TOKEN = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
OF_A_WRITE = frozenset({HTTPStatus.MISDIRECTED_REQUEST})
"""Every kind with such a status can be met by any request, by one with a body, with a token, by one that writes."""

_SAMPLES: tuple[PlatformError, ...] = (
    Unauthenticated("send a bearer token in the header Authorization"),
    InsufficientScope("orders:read"),
    NotHomeRegion("eu-central-1"),
    IdempotencyKeyMissing(),
    InvalidCursor(),
    UnsupportedSort("total", ["-created_at", "created_at"]),
    OrderNotFound(CONFIRMED.order_id),
    ProductNotFound(SKU),
    ReferenceTaken(REFERENCE),
    InsufficientStock(SKU, 3),
    UnknownSku([SKU]),
    CurrencyMismatch(["EUR", "USD"]),
    AmountNotChargeable("0.30 EUR is below 0.50 EUR, the payment provider's minimum"),
    NotCancellable(REJECTED),
    VersionMismatch(CONFIRMED.version),
    IdempotencyKeyReused(),
    RateLimited(1),
    BodyTooLarge(),
    BodyTooSlow(10),
)
SAMPLES: Mapping[str, PlatformError] = {PROBLEMS[type(sample)].code: sample for sample in _SAMPLES}
"""What is raised, by the code that it is answered with."""

DETAILS: Mapping[str, str] = {
    "internal_error": "Something went wrong on our side; the request id leads us to it.",
    "temporarily_unavailable": "Please try again in a moment.",
    **{refusal.kind.code: refusal.detail for refusal in DOCUMENTED},
}
"""What is said where no error of ours says it, by code."""

PROBLEM_SCHEMAS: Mapping[str, Any] = {
    name: jsonable_encoder(Schema(**schema), by_alias=True, exclude_none=True)
    for name, schema in models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")[
        1
    ]["$defs"].items()
}
"""The schema of every error answer and of its parts, in the form that FastAPI gives its own."""


def complete_errors(operation: dict[str, Any], path: str, access: Access | None, schemas: Mapping[str, Any]) -> None:
    """Add an answer for each status of the errors that the operation can meet, with an example per code."""
    responses: dict[str, Any] = operation["responses"]
    codes = {PROBLEMS[error].code for error in access.errors} if access else set()
    codes |= OF_THE_CONNECTION | {kind.code for kind in KINDS.values() if kind.status in _common(operation, access)}
    if access and _fault(operation, schemas) is not None:
        codes.add(VALIDATION_FAILED.code)
    kept = {status: answer for status, answer in responses.items() if "HTTPValidationError" not in str(answer)}
    by_status: dict[int, list[ProblemKind]] = {}
    for code in sorted(codes):
        by_status.setdefault(KINDS[code].status, []).append(KINDS[code])
    made = {str(int(status)): _answer(kinds, operation, path, schemas) for status, kinds in by_status.items()}
    operation["responses"] = dict(sorted({**made, **kept}.items()))


def _common(operation: Mapping[str, Any], access: Access | None) -> frozenset[HTTPStatus]:
    """Return the statuses that need no declaration."""
    of_a_body = OF_A_BODY if "requestBody" in operation else frozenset()
    of_a_token = OF_A_TOKEN if access else frozenset()
    of_a_write = OF_A_WRITE if access and access.writes else frozenset()
    return OF_ANY | of_a_body | of_a_token | of_a_write


def _scope(operation: Mapping[str, Any]) -> str | None:
    """What its caller needs, if anything."""
    return str(operation["security"][0]["bearer"][0]) if "security" in operation else None


def _answer(
    kinds: Iterable[ProblemKind], operation: Mapping[str, Any], path: str, schemas: Mapping[str, Any]
) -> dict[str, Any]:
    examples: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    for kind in kinds:
        response = _problem(kind, operation, path, schemas)
        examples[kind.code] = {"summary": kind.title, "value": json.loads(bytes(response.body))}
        headers |= {name: {} for name in _said(response.headers)}
    return {
        "description": "\n".join(f"- `{code}`: {example['summary']}." for code, example in examples.items()),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _problem(kind: ProblemKind, operation: Mapping[str, Any], path: str, schemas: Mapping[str, Any]) -> Response:
    """The very answer that this problem gets."""
    request = {"path": example_path(path), "state": {"request_id": REQUEST_ID}}
    detail = DETAILS.get(kind.code, f"{kind.title}.")
    if kind.code in OF_THE_CONNECTION:
        return problem_response(request | {"path": ""}, kind, detail, headers={"Connection": "close"})
    if kind is VALIDATION_FAILED and (fault := _fault(operation, schemas)):
        return problem_response(request, kind, f"{fault.pointer}: {fault.detail}", errors=[fault])
    sample = SAMPLES.get(kind.code)
    if isinstance(sample, InsufficientScope) and (scope := _scope(operation)):
        sample = InsufficientScope(scope)
    return error_response(request, sample) if sample else problem_response(request, kind, detail)


def _said(headers: Mapping[str, str]) -> list[str]:
    """Headers that mean something to the caller, in their usual spelling."""
    return ["-".join(part.title() for part in name.split("-")) for name in headers if not name.startswith("content-")]


def _fault(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> ProblemError | None:
    """A mistake that can be made in a request of this operation; None if it takes nothing that could be wrong."""
    if "requestBody" in operation:
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        required = schemas[reference.rpartition("/")[2]].get("required")
        if not required:
            return ProblemError(pointer="/unknown", code="extra_forbidden", detail="Extra inputs are not permitted")
        return ProblemError(pointer=f"/{required[0]}", code="missing", detail="Field required")
    parameters = operation["parameters"]
    faults = (_parameter_fault(each) for each in parameters if each["name"] != "Idempotency-Key")  # has its own error
    return next(filter(None, faults), None)


def _parameter_fault(parameter: Mapping[str, Any]) -> ProblemError | None:
    name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
    pointer, schema = f"{parameter['in']}:{name}", parameter["schema"]
    if "items" in schema:
        pointer, schema = f"{pointer}.0", schema["items"]
    if "maximum" in schema:
        most = schema["maximum"]
        return ProblemError(
            pointer=pointer, code="less_than_equal", detail=f"Input should be less than or equal to {most}"
        )
    if "pattern" in schema:
        detail = f"String should match pattern '{schema['pattern']}'"
        return ProblemError(pointer=pointer, code="string_pattern_mismatch", detail=detail)
    return None
