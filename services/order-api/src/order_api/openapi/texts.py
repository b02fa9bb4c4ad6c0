"""What the document says in words."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from order_api.problems import ProblemKind

TITLE = "Order API"

TAGS: list[dict[str, Any]] = [
    {"name": "orders", "description": "Place orders, follow them, change your mind."},
    {"name": "products", "description": "What a shop sells, at what price, and how much of it there is."},
    {"name": "health", "description": "For load balancers and monitoring. No token is needed."},
]
"""In the order in which they are shown."""

SCOPES = {
    "orders:read": "look at your orders",
    "orders:write": "place and cancel orders",
    "orders:admin": "besides, look at and cancel any order of your tenant by its id",
    "products:read": "look at products and their stock",
    "products:write": "change products and their stock",
}


def description(kinds: Iterable[ProblemKind]) -> str:
    """Return the prose of `description.md`, with the tables of scopes and errors."""
    scopes = "".join(f"| `{scope}` | {allows} |\n" for scope, allows in SCOPES.items())
    rows = "".join(
        f"| `{kind.code}` | {int(kind.status)} | {'yes' if kind.retryable else 'no'} | {kind.title} |\n"
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    )
    return (files(__package__) / "description.md").read_text("utf-8").rstrip().format(scopes=scopes, errors=rows)
