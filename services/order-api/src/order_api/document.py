"""Serve the committed OpenAPI document. `make docs` generates it from the routes."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document that this package contains. It is read at the first call only."""
    document: dict[str, Any] = json.loads(content())
    return document


def content() -> bytes:
    """Return the document as it is stored."""
    return (files("order_api") / "openapi.json").read_bytes()


def install(app: FastAPI) -> None:
    """Serve the document at `/openapi.json`."""
    app.openapi = published  # type: ignore[method-assign]  # documented by FastAPI as the way to replace the document
