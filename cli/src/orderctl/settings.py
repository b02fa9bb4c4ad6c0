"""Settings of orderctl, in addition to those of the platform's storage and queues."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from order_shared.runtime.settings import ProgramSettings, Variable, load_settings

__all__ = ["ApiAccess", "DeploySettings", "load_settings"]


class ApiAccess(ProgramSettings):
    """Access of a customer's commands to the API."""

    api_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^/\s]", title="an http or https URL", examples=["https://api.example.com"]),
    ] = None
    """Base URL of the API."""
    token: SecretStr | None = None
    """Bearer token of the customer."""

    @field_validator("token")
    @classmethod
    def _require_header_value(cls, token: SecretStr | None) -> SecretStr | None:
        return checked_token(token)


class DeploySettings(ProgramSettings):
    """Settings of the commands that deploy a service, or create an environment."""

    aws_region: Annotated[
        str | None,
        Variable("AWS_REGION", "AWS_DEFAULT_REGION"),
        Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d+$", title="a region of AWS", examples=["eu-central-1"]),
    ] = None
    account_id: Annotated[str | None, Field(pattern=r"^\d{12}$", title="12 digits", examples=["111122223333"])] = None
    """The only account in which the commands change anything; any account if not set."""
    smoke_token: SecretStr | None = None
    """Bearer token of the smoke test, which places an order. Without it, the test does not."""
    deploy_look_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """Interval between two polls of ECS; shorter against a fake."""

    @field_validator("smoke_token")
    @classmethod
    def _require_header_value(cls, token: SecretStr | None) -> SecretStr | None:
        return checked_token(token)


def checked_token(token: SecretStr | None) -> SecretStr | None:
    """Return the token. Raises ValueError if it is no header value."""
    value = token.get_secret_value() if token else "-"
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("the token has characters that are not allowed in a header: only ASCII, and no blanks")
    return token
