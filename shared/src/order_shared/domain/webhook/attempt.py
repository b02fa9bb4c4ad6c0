"""Result of one request to a webhook endpoint."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

GONE = 410
"""Status with which a receiver asks never to be called again."""


class AttemptError(StrEnum):
    """Reason why a request has no complete response."""

    INVALID_URL = "invalid_url"
    ADDRESS_NOT_PUBLIC = "address_not_public"
    NAME_NOT_FOUND = "name_not_found"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    INVALID_RESPONSE = "invalid_response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to a receiver. `status` is None without the head of a response."""

    at: datetime
    status: int | None
    error: AttemptError | None
    milliseconds: int
    response: str
    """First kilobyte of the response's body, as printable text."""

    @property
    def succeeded(self) -> bool:
        """True for a response of 200 to 299. A redirect is a failure."""
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        return self.error is None and self.status == GONE
