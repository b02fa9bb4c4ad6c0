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
from order_api.openapi.examples import HEALTH_SCHEMAS
from order_api.openapi.headers import COMPONENTS as HEADERS
from order_api.openapi.headers import complete_headers
from order_api.openapi.operations import SECURITY_SCHEMES, complete_examples, complete_operation
from order_api.openapi.sharing import share_errors
from order_api.openapi.texts import TAGS, TITLE, description
from order_api.problems import KINDS
from order_shared.runtime.validation import OPTIONAL_TEXT_PATTERN, TEXT_PATTERN

LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
SERVERS: list[dict[str, str | Any]] = [
    {"url": "http://localhost:8000", "description": "The local stack."},
    {"url": "https://orders.example.com", "description": "An installation; use the address of yours."},
]
CONTACT = {"name": "Order platform", "url": "https://github.com/example/order-platform"}
LICENSE = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
PORTABLE_PATTERNS = {
    TEXT_PATTERN: r"^[^\x00-\x1f\x7f-\x9f]+$",
    OPTIONAL_TEXT_PATTERN: r"^[^\x00-\x1f\x7f-\x9f]*$",
}
"""Patterns that the engines of some languages do not support, and the closest ones that all support.

`description.md` names what the original forbids beyond that.
"""


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the app's routes. The result depends only on the code."""
    made = get_openapi(
        title=TITLE,
        version=version("order-api"),
        description=description(KINDS.values()),
        routes=app.routes,
        tags=TAGS,
        servers=SERVERS,
        contact=CONTACT,
        license_info=LICENSE,
    )
    declared = declared_access(app)
    made["components"]["schemas"] |= {**PROBLEM_SCHEMAS, **HEALTH_SCHEMAS}
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
    components["securitySchemes"] = SECURITY_SCHEMES
    share_errors(made)
    portable: dict[str, Any] = _portable(made)
    return portable


def _portable(part: Any) -> Any:
    """Return a part of the document with patterns that the regular expressions of every language support.

    Limits of integers become integers: FastAPI writes 1000.0.
    """
    if isinstance(part, list):
        return [_portable(each) for each in part]
    if not isinstance(part, dict):
        return part
    limits = LIMITS if part.get("type") == "integer" else ()
    return {
        key: PORTABLE_PATTERNS.get(value, value)
        if key == "pattern" and isinstance(value, str)
        else int(value)
        if key in limits
        else _portable(value)
        for key, value in part.items()
    }


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without the titles of its fields, which only repeat the names."""
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return schema
