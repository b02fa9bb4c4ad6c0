"""Build the OpenAPI document: FastAPI's document, completed with the responses that the code returns.

No service imports this package.

routes ─► FastAPI's document ─► each operation: id, scope, corrected parameters
                                └► each response: schema, examples, headers, declared errors
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from order_api.dependencies import declared_access
from order_api.openapi.errors import PROBLEM_SCHEMAS, complete_errors
from order_api.openapi.headers import COMPONENTS as HEADERS
from order_api.openapi.headers import complete_headers
from order_api.openapi.operations import BEARER, complete_examples, complete_operation
from order_api.openapi.texts import TAGS, TITLE, description
from order_api.problems import KINDS

FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
SERVERS: list[dict[str, str | Any]] = [{"url": "/", "description": "The server that serves this document."}]


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the app's routes. The result depends only on the code."""
    made = get_openapi(
        title=TITLE,
        version=version("order-api"),
        description=description(KINDS.values()),
        routes=app.routes,
        tags=TAGS,
        servers=SERVERS,
    )
    declared = declared_access(app)
    made["components"]["schemas"] |= PROBLEM_SCHEMAS
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            operation = made["paths"].get(context.path_format, {}).get(method.lower())
            if operation is not None:
                access = declared.get(context.endpoint) if context.endpoint else None
                complete_operation(operation, str(context.name), access.scope if access else None)
                complete_errors(operation, str(context.path_format), access, made["components"]["schemas"])
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
    """Return the schema without the titles of its fields, which only repeat the names."""
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return schema
