"""The OpenAPI document, made true: FastAPI's own, completed from what the code really answers.

routes ─► FastAPI's document ─► each operation: id, scope, parameters as they are
                                └► each answer: schema, examples, headers, the errors' codes
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from order_api.dependencies import required_scopes
from order_api.openapi.errors import KINDS, complete_errors
from order_api.openapi.headers import COMPONENTS as HEADERS
from order_api.openapi.headers import complete_headers
from order_api.openapi.operations import BEARER, complete_examples, complete_operation
from order_api.openapi.texts import TAGS, TITLE, description

FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
SERVERS: list[dict[str, str | Any]] = [{"url": "/", "description": "Where this document comes from."}]


def install(app: FastAPI) -> None:
    """Makes it the document of the app, at `/openapi.json` and behind `/docs`; made once, when it is asked for."""

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = made  # type: ignore[method-assign]  # FastAPI's documented way


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the app's routes; equal for equal code."""
    made = get_openapi(
        title=TITLE,
        version=version("order-api"),
        description=description(KINDS.values()),
        routes=app.routes,
        tags=TAGS,
        servers=SERVERS,
    )
    scopes = required_scopes(app)
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            operation = made["paths"].get(context.path_format, {}).get(method.lower())
            if operation is not None:
                scope = scopes.get(context.endpoint) if context.endpoint else None
                complete_operation(operation, str(context.name), scope)
                complete_errors(operation, str(context.path_format), made["components"]["schemas"])
                complete_examples(operation)
                complete_headers(operation)
    components = made["components"]
    components["schemas"] = {
        name: _without_titles(schema)
        for name, schema in sorted(components["schemas"].items())
        if name not in FRAMEWORK_SCHEMAS
    }
    components["headers"] = HEADERS
    components["securitySchemes"] = {"bearer": BEARER}
    return made


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """A field's title is its name again."""
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return schema
