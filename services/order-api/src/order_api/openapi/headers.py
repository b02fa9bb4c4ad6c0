"""Descriptions of the response headers, to which every response refers."""

from typing import Any

from order_api.openapi.examples import PENDING, REQUEST_ID, example_path


def _header(description: str, example: str | int, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    """Return a header object. Its type is string unless `schema` sets another.

    `required`: every response that names the header has it.
    """
    header = {"description": description, "schema": {"type": "string", **schema}, "example": example}
    return {**header, "required": True} if required else header


COMPONENTS: dict[str, Any] = {
    "Connection": _header("`close`: the server closes the connection after this response.", "close", const="close"),
    "ETag": _header(
        "The version of the order or endpoint, for `If-Match` and `If-None-Match`.",
        f'"{PENDING.version}"',
        required=True,
    ),
    "Idempotent-Replayed": _header(
        "`true` if an earlier request with this `Idempotency-Key` took effect; otherwise absent.", "true", const="true"
    ),
    "Location": _header(
        "Path of what was created.", example_path("/v1/orders/{order_id}"), required=True, format="uri-reference"
    ),
    "Order-Release": _header(
        "Release of the service that handled the request: the commit that it was built from.",
        "1f0c3a9be4d27f6a5b8c90d1e2f3a4b5c6d7e8f9",
    ),
    "Preference-Applied": _header("The preference of `Prefer` that was applied.", "wait=10"),
    "RateLimit": _header(
        "Remaining quota of your tenant: `r` requests now, the full quota after `t` seconds.", '"default";r=2499;t=1'
    ),
    "RateLimit-Policy": _header(
        "Rate limit of your tenant per process: `q` requests at once, refilled within `w` seconds.",
        '"default";q=2500;w=5',
    ),
    "Retry-After": _header("Seconds to wait before you send the request again.", 1, type="integer", minimum=1),
    "WWW-Authenticate": _header("Authentication scheme, with the error of the token if there is one.", "Bearer"),
    "X-Request-Id": _header("Request id: the one that you sent, or a new one.", REQUEST_ID, required=True),
}
BEFORE_THE_APPLICATION = frozenset({"414", "431"})
"""Statuses that are returned before authentication."""
_SPELLINGS = {name.lower(): name for name in COMPONENTS}


def complete_headers(operation: dict[str, Any]) -> None:
    """Add the common headers to each response, and replace each known header by a reference to its description."""
    replays = any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    for status, response in operation["responses"].items():
        headers = {_SPELLINGS.get(name.lower(), name): header for name, header in response.get("headers", {}).items()}
        headers["X-Request-Id"] = {}
        if operation["security"] and status not in BEFORE_THE_APPLICATION:
            headers["RateLimit-Policy"] = {}
            if status != "401":
                headers["Order-Release"] = {}
                headers["RateLimit"] = {}
        if replays and status.startswith("2"):
            headers["Idempotent-Replayed"] = {}
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} if name in COMPONENTS else header
            for name, header in sorted(headers.items())
        }
