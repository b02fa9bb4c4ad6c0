"""What the document says in words."""

from collections.abc import Iterable
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

_INTRODUCTION = """\
Place orders and follow them; keep the products that they are made of.

**An order is durable before the answer, and takes effect once.** `POST /v1/orders` answers `202` once the order is
stored; soon after it is `confirmed`, or `rejected` with a `reason`. If the answer is lost, or is one that says
`"retryable": true`, send the same request with the same `Idempotency-Key` again: there will be one order.

## Who asks

Send a token of your issuer as `Authorization: Bearer …`. Tenant and customer come from the token and from nowhere
else; the orders of others are `404`. Each operation names the scope that it needs.

| scope | what it allows |
|---|---|
"""

_CONVENTIONS = """
## Conventions

- Resources carry `__typename`. Fields are `snake_case`, and new ones may be added at any time.
- Times are UTC with microseconds: `2026-01-31T09:05:00.000120Z`. As text they sort in the order of time.
- Money is a whole number of minor units, such as cents, of `currency` (ISO 4217).
- Lists come in pages: send `next_cursor` as `cursor`, with everything else unchanged, until it is null.
- A body has 64 KiB at most. An unknown field or query parameter is an error, not ignored.
- Every answer has an `X-Request-Id`: yours if you sent one, else a new one. Name it when you ask us for help.

## Errors

Every error is `application/problem+json` (RFC 9457). `code` is stable, `detail` is for people, `errors` points at each
fault of the request. `retryable` says that the same request may succeed later, unchanged. New codes may be added.

| code | status | retryable | title |
|---|---|---|---|
"""


def description(kinds: Iterable[ProblemKind]) -> str:
    scopes = "".join(f"| `{scope}` | {allows} |\n" for scope, allows in SCOPES.items())
    rows = "".join(
        f"| `{kind.code}` | {int(kind.status)} | {'yes' if kind.retryable else 'no'} | {kind.title} |\n"
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    )
    return _INTRODUCTION + scopes + _CONVENTIONS + rows
