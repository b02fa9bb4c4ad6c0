"""Idempotency-Key header, and lookup of the record of an earlier request with the same key."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from order_shared.domain.clock import Clock
from order_shared.domain.errors import PlatformError
from order_shared.domain.idempotency import IdempotencyKeyReused, IdempotencyRecord

_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # RFC 8941, section 3.3.3
_BARE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
MAX_KEY_LENGTH = 255
HEADER = "Idempotency-Key"


class IdempotencyKeyMissing(PlatformError):
    def __init__(self) -> None:
        super().__init__(
            "send one Idempotency-Key header of 1 to 255 printable ASCII characters; use a new key for each new request"
        )


def parse_idempotency_key(*headers: str) -> str:
    """Return the key, sent quoted or unquoted. `headers` are the values of all Idempotency-Key headers.

    Raises IdempotencyKeyMissing unless there is exactly one, and it is valid.
    """
    text = headers[0].strip(" \t") if len(headers) == 1 else ""
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r'\\(["\\])', r"\1", quoted[1])
    elif not _BARE.fullmatch(text):
        raise IdempotencyKeyMissing
    if not 1 <= len(text) <= MAX_KEY_LENGTH:
        raise IdempotencyKeyMissing
    return text


KEY_HEADER: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "description": "Required. For 24 hours a request with the same key and body takes effect once. A "
            "repetition returns the order, product or endpoint as it is now.",
            "schema": {"type": "string"},
        }
    ]
}
"""Value of a route's `openapi_extra`; `openapi.operations` completes it."""


async def earlier_record(
    find: Callable[[str], Awaitable[IdempotencyRecord | None]], key: str, fingerprint: str, clock: Clock
) -> IdempotencyRecord | None:
    """Return the unexpired record of this key, or None. Raises IdempotencyKeyReused if it is of a different request.

    Call this before responding with an error that depends on stored data: a repeated request must get its first
    response even if the data has changed since.
    """
    key_record = await find(key)
    if key_record is None or not key_record.is_live(clock()):
        return None
    if key_record.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return key_record
