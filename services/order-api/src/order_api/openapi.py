"""The OpenAPI document, made true: what FastAPI assumes about errors is not how this API answers."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from order_api.problems import MEDIA_TYPE

FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
PROBLEM = "#/components/schemas/Problem"


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _corrected(made)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] = {
                status: _with_media_type(answer)
                for status, answer in operation["responses"].items()
                if "HTTPValidationError" not in str(answer)
            }
    for name in FRAMEWORK_SCHEMAS:
        document["components"]["schemas"].pop(name, None)
    return document


def _with_media_type(answer: dict[str, Any]) -> dict[str, Any]:
    content = answer.get("content", {})
    if content.get("application/json", {}).get("schema") == {"$ref": PROBLEM}:
        return {**answer, "content": {MEDIA_TYPE: content["application/json"]}}
    return answer
