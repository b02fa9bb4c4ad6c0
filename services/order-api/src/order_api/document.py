"""Serve the committed OpenAPI document. `make docs` generates it from the routes."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI

PROBLEM = "application/problem+json"


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document that this package contains. It is read at the first call only."""
    document: dict[str, Any] = json.loads(content())
    return document


@cache
def problem_examples() -> Mapping[str, Mapping[str, Any]]:
    """Return an example of each problem code that the document has one for."""
    document = published()
    responses = [
        *document["components"]["responses"].values(),
        *(
            response
            for operations in document["paths"].values()
            for operation in operations.values()
            for response in operation["responses"].values()
        ),
    ]
    return {
        code: example["value"]
        for response in reversed(responses)
        for code, example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).items()
    }


def content() -> bytes:
    """Return the document as it is stored."""
    return (files("order_api") / "openapi.json").read_bytes()


def install(app: FastAPI) -> None:
    """Serve the document at `/openapi.json`."""
    app.openapi = published  # type: ignore[method-assign]  # documented by FastAPI as the way to replace the document
