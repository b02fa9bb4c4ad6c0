"""Error responses of the fake, with the error codes of AWS."""


class ApiError(Exception):
    """Error response. boto3 clients read `code` as `error.response["Error"]["Code"]`."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
