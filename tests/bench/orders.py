"""Orders as they are posted: whole requests, made beforehand so that making them is not measured."""

import json
import uuid
from collections.abc import Sequence

from devstack.issuer import Issuer

Lines = dict[str, int]
"""Quantities by SKU."""

TWO_LINES: Lines = {"TEA-GREEN-100": 2, "POT-GLASS": 1}


def order_requests(issuer: Issuer, tenant: str, wanted: Sequence[Lines], *, customers: int = 1) -> list[bytes]:
    """A `POST /v1/orders` of each, with a key of its own.

    Each customer, with one token, sends a share of them in a row: so new tokens come evenly, not all at the beginning.
    """
    tokens = [issuer.token(tenant, f"customer-{number}") for number in range(customers)]
    return [order_request(tokens[number * customers // len(wanted)], lines) for number, lines in enumerate(wanted)]


def order_request(token: str, lines: Lines) -> bytes:
    body = json.dumps({"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]}).encode()
    head = (
        "POST /v1/orders HTTP/1.1",
        "Host: orders",
        f"Authorization: Bearer {token}",
        f"Idempotency-Key: {uuid.uuid4()}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
