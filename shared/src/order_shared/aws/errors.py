"""Errors as AWS's JSON services name them, and which of them may pass.

Sources: botocore's retry handlers (`botocore/retries/standard.py`, `botocore/data/_retry.json`) and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
"""

from collections.abc import Mapping

import orjson

REFUSED_KEY_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
"""AWS does not accept the key: it has ended before its time, or is so new that it is not known everywhere."""

TRANSIENT_CODES: Mapping[str, str] = {
    **dict.fromkeys(REFUSED_KEY_CODES, "credentials"),
    **dict.fromkeys(("InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"), "clock"),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException"), "access_denied"),
    **dict.fromkeys(
        (
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        "throttled",
    ),
    **dict.fromkeys(
        ("ReplicatedWriteConflictException", "TransactionConflictException", "TransactionInProgressException"),
        "conflict",
    ),
    **dict.fromkeys(("RequestTimeout", "RequestTimeoutException"), "timeout"),
}
"""Why the same request may succeed later, as a metric label, by the error's code. A permission that is missing counts
as an outage: it is a fault of the deployment, and no order is to blame."""

_REFUSED_KEY_TEXTS = tuple(code.encode() for code in REFUSED_KEY_CODES)


def error_code(body: bytes) -> str | None:
    """Return the code of an error answer, such as `ThrottlingException`; None if AWS's service did not write it."""
    try:
        kind = orjson.loads(body)["__type"]
    except (ValueError, KeyError, TypeError):
        return None
    return kind.rpartition("#")[2] if isinstance(kind, str) else None


def refuses_key(status: int, body: bytes) -> bool:
    """Return whether an answer says that the key it was asked with is not accepted."""
    if status not in {400, 401, 403} or not any(text in body for text in _REFUSED_KEY_TEXTS):
        return False
    return error_code(body) in REFUSED_KEY_CODES
