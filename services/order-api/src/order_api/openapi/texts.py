"""Texts of the OpenAPI document: title, tags, scopes and description."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from order_api.problems import ERROR_PAGES, ProblemKind

TITLE = "Order API"

TAGS: list[dict[str, Any]] = [
    {"name": "orders", "description": "Place, read, list and cancel orders."},
    {"name": "tenant", "description": "List and search the orders of all customers of a tenant."},
    {"name": "events", "description": "Follow what happens to orders, by a feed or a stream."},
    {"name": "webhooks", "description": "Have events sent to your servers, signed."},
    {"name": "products", "description": "Products, their prices and their stock."},
    {"name": "health", "description": "For load balancers and monitoring. No token is needed."},
]
"""Tags in display order."""

SCOPES = {
    "orders:read": "read your orders and their events",
    "orders:write": "place and cancel orders",
    "orders:admin": "list the orders of all customers of your tenant, and read their events; in addition to the scopes "
    "above, read and cancel any of them by its id",
    "orders:act": "in addition to the scopes above, act for the customer of your tenant in the header `Order-Customer`",
    "webhooks:write": "manage the webhook endpoints of your tenant, which receive the events of all its orders",
    "products:read": "read products and their stock",
    "products:write": "create and change products and their stock",
}


def description(kinds: Iterable[ProblemKind]) -> str:
    """Return the text of `description.md`, with the tables of scopes and errors."""
    scopes = "".join(f"| `{scope}` | {allows} |\n" for scope, allows in SCOPES.items())
    errors = error_rows(kinds, linked=True)
    return (files(__package__) / "description.md").read_text("utf-8").rstrip().format(scopes=scopes, errors=errors)


def error_rows(kinds: Iterable[ProblemKind], *, linked: bool) -> str:
    """Return the rows of the table of errors. If `linked`, each title refers to the page of its code."""
    rows = []
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        title = f"[{kind.title}]({ERROR_PAGES}/{kind.code})" if linked else kind.title
        rows.append(f"| `{kind.code}` | {int(kind.status)} | {'yes' if kind.retryable else 'no'} | {title} |\n")
    return "".join(rows)
