"""Errors that belong to no single feature.

PlatformError
├── DomainError        what the caller asked for cannot be; each feature has its own below this
└── StorageUnavailable DynamoDB did not answer in time: the outcome of a write is unknown
"""


class PlatformError(Exception):
    """Base of every error that this platform raises on purpose."""

    @property
    def cause(self) -> str:
        """The error's stable name in metrics and log lines."""
        return type(self).__name__


class DomainError(PlatformError):
    """The request is well formed, but the state of the business does not allow it."""


class StorageUnavailable(PlatformError):
    """DynamoDB could not be reached, or kept refusing, until the deadline.

    A write that ends so may or may not have been applied; repeating it under the same idempotency key
    finds out. `contended` says that DynamoDB responds, and that other writers of the same items were faster.
    """

    def __init__(self, message: str, *, contended: bool = False) -> None:
        super().__init__(message)
        self.contended = contended
