"""Errors of a request. `AwsError.reason` is the reason why a retry may succeed.

Sources: botocore's retry handlers (`botocore/retries/standard.py`, `botocore/data/_retry.json`) and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

REFUSED_KEY_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
"""Error codes for a rejected key: the key has expired, or it is new and not yet known to all of AWS."""

TRANSIENT_CODES: Mapping[str, str] = {
    **dict.fromkeys(REFUSED_KEY_CODES, "credentials"),
    **dict.fromkeys(("InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"), "clock"),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException"), "access_denied"),
    **dict.fromkeys(
        (
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "LimitExceededException",
            "PriorRequestNotComplete",
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
"""Reason for a retry, by error code. The reasons are values of a metric label. A missing permission is retried too: its
cause is the deployment, not the request."""

TRANSIENT_CANCELLATIONS: Mapping[str, str] = {
    "TransactionConflict": "conflict",
    "ThrottlingError": "throttled",
    "ProvisionedThroughputExceeded": "throttled",
}
"""Reason for a retry, by DynamoDB's code for a cancelled transaction. botocore's retry table does not contain these
codes."""

TRANSIENT_STATUSES: Mapping[int, str] = {
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
}

REASONS = frozenset({*TRANSIENT_CODES.values(), "server_error", "network"})
"""Every reason for a retry."""


class AwsError(Exception):
    """Base of all errors of a request.

    `reason` is the reason why a retry may succeed; None if a retry is useless. `request_id` is AWS's request id, which
    AWS support asks for; None if no response arrived. `attempts` is the number of attempts including the failed one: if
    it is 1, no earlier attempt can have taken effect.
    """

    attempts: int = 1

    def __init__(self, message: str, *, reason: str | None, request_id: str | None = None) -> None:
        super().__init__(f"{message} (request {request_id})" if request_id else message)
        self.reason = reason
        self.request_id = request_id


class NoCredentials(AwsError):
    """No key to sign with was available in time. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(f"no credentials: {message}", reason="credentials")


class ConnectionFailed(AwsError):
    """No response arrived. The request may still have taken effect."""

    def __init__(self, error: OSError) -> None:
        reason = "timeout" if isinstance(error, TimeoutError) else "network"
        super().__init__(f"{type(error).__name__}: {error}", reason=reason)


class ResponseError(AwsError):
    """Unsuccessful response. `code` is the error code, and `status` the HTTP status."""

    def __init__(self, message: str, *, code: str, status: int, reason: str | None, request_id: str | None) -> None:
        super().__init__(f"{message}, status {status}", reason=reason, request_id=request_id)
        self.code = code
        self.status = status


class ServiceError(ResponseError):
    """An error that the AWS service returned, such as `ThrottlingException`.

    `content` is the JSON object in the response. The text of the exception omits AWS's message, which may quote stored
    values.
    """

    def __init__(self, code: str, status: int, content: Mapping[str, Any], *, request_id: str | None = None) -> None:
        reason = _reason(code, status, content)
        super().__init__(code, code=code, status=status, reason=reason, request_id=request_id)
        self.content = content


class ForeignResponse(ResponseError):
    """A response from a proxy, a load balancer or a captive portal instead of the AWS service.

    `code` is the HTTP status as text.
    """

    def __init__(self, status: int, *, request_id: str | None = None) -> None:
        reason = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else TRANSIENT_STATUSES.get(status)
        super().__init__(
            "response is not from AWS",
            code=str(int(status)),
            status=status,
            reason=reason or "network",
            request_id=request_id,
        )


class Unavailable(AwsError):
    """No attempt is left. `__cause__` is the last error."""

    def __init__(self, last: AwsError, attempts: int) -> None:
        super().__init__(f"{last.reason}, after {attempts} attempts: {last}", reason=last.reason)
        self.request_id = last.request_id


def _reason(code: str, status: int, content: Mapping[str, Any]) -> str | None:
    if code == "TransactionCanceledException":
        codes = [entry.get("Code") for entry in content.get("CancellationReasons", ())]
        return next((TRANSIENT_CANCELLATIONS[each] for each in codes if each in TRANSIENT_CANCELLATIONS), None)
    if code in TRANSIENT_CODES:
        return TRANSIENT_CODES[code]
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else TRANSIENT_STATUSES.get(status)
