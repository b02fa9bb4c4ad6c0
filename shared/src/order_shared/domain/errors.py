"""Base classes of errors, and errors that several features raise.

PlatformError
├── DomainError        a business rule forbids the request; each feature has its own subclasses
└── StorageUnavailable DynamoDB did not complete the request: the outcome of a write is unknown
"""


class PlatformError(Exception):
    """Base class of the platform's errors."""

    @property
    def cause(self) -> str:
        """Stable name of the error in metrics and log lines."""
        return type(self).__name__


class DomainError(PlatformError):
    """The request is well formed, but a business rule or the current state forbids it."""


class StorageUnavailable(PlatformError):
    """DynamoDB was unreachable or rejected every attempt, or the items changed too often during the request.

    A write may or may not have been applied. Repeat it with the same idempotency key to find out. `contended` means
    that DynamoDB responds, but throttles requests or reports conflicts with other writers of the same items.
    """

    def __init__(self, message: str, *, contended: bool = False) -> None:
        super().__init__(message)
        self.contended = contended
