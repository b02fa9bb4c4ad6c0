"""The OpenAPI document that the service publishes: the committed one, which `make docs` writes from the routes."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI


@cache
def published() -> dict[str, Any]:
    """Return the document that is part of this package. It is read when somebody asks for it first."""
    document: dict[str, Any] = json.loads((files("order_api") / "openapi.json").read_bytes())
    return document


def install(app: FastAPI) -> None:
    """Serve the document at `/openapi.json` and behind `/docs`."""
    app.openapi = published  # type: ignore[method-assign]  # FastAPI's documented way
