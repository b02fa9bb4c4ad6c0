"""The headers of answers: each described once."""

from typing import Any

from order_api.openapi.examples import PENDING, REQUEST_ID, example_path

COMPONENTS: dict[str, Any] = {
    "Connection": {
        "description": "`close`: the connection ends with this answer.",
        "schema": {"type": "string", "const": "close"},
        "example": "close",
    },
    "ETag": {
        "description": "The order's version, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string"},
        "example": f'"{PENDING.version}"',
    },
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with this `Idempotency-Key` did it; else it is absent.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
    "Location": {
        "description": "Where the order is.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": example_path("/v1/orders/{order_id}"),
    },
    "Order-Release": {
        "description": "The release that served the request: the commit it was built from.",
        "schema": {"type": "string"},
        "example": "1f0c3a9be4d27f6a5b8c90d1e2f3a4b5c6d7e8f9",
    },
    "Preference-Applied": {
        "description": "What of `Prefer` was heeded.",
        "schema": {"type": "string"},
        "example": "wait=10",
    },
    "RateLimit": {
        "description": "What your tenant has left: `r` requests now, all of them again after `t` seconds.",
        "schema": {"type": "string"},
        "example": '"default";r=2499;t=1',
    },
    "RateLimit-Policy": {
        "description": "What your tenant may ask of one process: `q` requests at once, refilled in `w` seconds.",
        "schema": {"type": "string"},
        "example": '"default";q=2500;w=5',
    },
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "How to say who asks.",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
    "X-Request-Id": {
        "description": "The id of this request: yours, or a new one.",
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
}
BEFORE_THE_APPLICATION = frozenset({"414", "431"})
"""Answered before it is known who asks."""
_SPELLINGS = {name.lower(): name for name in COMPONENTS}


def complete_headers(operation: dict[str, Any]) -> None:
    """Adds those that come with every answer, and refers to the one description of each."""
    replays = any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    for status, answer in operation["responses"].items():
        headers = {_SPELLINGS.get(name.lower(), name): said for name, said in answer.get("headers", {}).items()}
        headers["X-Request-Id"] = {}
        if "security" in operation and status not in BEFORE_THE_APPLICATION:
            headers["RateLimit-Policy"] = {}
            if status != "401":
                headers["Order-Release"] = {}
                headers["RateLimit"] = {}
        if replays and status.startswith("2"):
            headers["Idempotent-Replayed"] = {}
        answer["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} if name in COMPONENTS else said
            for name, said in sorted(headers.items())
        }
