"""An error answer of the fake, by the code that AWS gives it."""


class ApiError(Exception):
    """`code` is the name that clients see in `response["Error"]["Code"]`."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
