"""The headers of answers: each described once."""

from typing import Any

from order_api.openapi.examples import PENDING, REQUEST_ID, example_path


def _header(description: str, example: str | int, **schema: Any) -> dict[str, Any]:
    """Return the description of a header, which is a string unless the schema says otherwise."""
    return {"description": description, "schema": {"type": "string", **schema}, "example": example}


COMPONENTS: dict[str, Any] = {
    "Connection": _header("`close`: the connection ends with this answer.", "close", const="close"),
    "ETag": _header("The order's version, for `If-Match` and `If-None-Match`.", f'"{PENDING.version}"'),
    "Idempotent-Replayed": _header(
        "`true` if an earlier request with this `Idempotency-Key` did it; else it is absent.", "true", const="true"
    ),
    "Location": _header("Where the order is.", example_path("/v1/orders/{order_id}"), format="uri-reference"),
    "Order-Release": _header(
        "The release that served the request: the commit it was built from.", "1f0c3a9be4d27f6a5b8c90d1e2f3a4b5c6d7e8f9"
    ),
    "Preference-Applied": _header("What of `Prefer` was heeded.", "wait=10"),
    "RateLimit": _header(
        "What your tenant has left: `r` requests now, all of them again after `t` seconds.", '"default";r=2499;t=1'
    ),
    "RateLimit-Policy": _header(
        "What your tenant may ask of one process: `q` requests at once, refilled in `w` seconds.",
        '"default";q=2500;w=5',
    ),
    "Retry-After": _header("Seconds after which it is worth trying again.", 1, type="integer", minimum=1),
    "WWW-Authenticate": _header("How to say who asks.", "Bearer"),
    "X-Request-Id": _header("The id of this request: yours, or a new one.", REQUEST_ID),
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
