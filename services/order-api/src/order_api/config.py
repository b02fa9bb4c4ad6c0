"""The API's settings, on top of those both services share."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from order_shared.config import Settings

MIN_SECRET_LENGTH = 16


class ApiSettings(Settings):
    jwt_issuer: str
    """The `iss` that a token must carry."""
    jwt_audience: str
    """The `aud` that a token must carry."""
    jwks_url: str
    """Where the issuer publishes its public keys."""

    cursor_secrets: Annotated[tuple[SecretStr, ...], NoDecode, Field(min_length=1)]
    """Comma separated. The first signs cursors, all verify them: add a new one in front to rotate."""

    cancel_window: timedelta = timedelta(hours=24)
    """How long after its confirmation an order may still be cancelled, as ISO 8601: `PT24H`."""

    accept_deadline_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How long placing an order, or one storage call of another request, may take before the answer is 503."""

    @field_validator("cursor_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("cursor_secrets")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET_LENGTH for secret in secrets):
            raise ValueError(f"each secret needs at least {MIN_SECRET_LENGTH} characters")
        return secrets
