"""Settings of the services that send requests to webhook endpoints."""

import base64
import binascii
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from order_shared.domain.webhook.secret_box import FernetBox, SecretBox
from order_shared.runtime.config import Environment, Settings

KEY_BYTES = 32


class WebhookSettings(Settings):
    webhook_keys: Annotated[
        tuple[SecretStr, ...],
        Field(title="a list of secrets", examples=["cmVwbGFjZTogMzIgYnl0ZXMgb2YgdGhlIHN5c3RlbSE="]),
    ] = ()
    """Comma separated keys of Fernet, each the base64url of 32 random bytes, which encrypt the secrets of webhook
    endpoints. The first one encrypts, all of them decrypt. Without a key there are no webhooks. To rotate, put a new
    key first, and keep the former one."""
    webhook_local_receivers: bool = False
    """True if webhooks may be sent over http and to addresses of this machine. Only with `ORDER_ENV=local`."""

    @field_validator("webhook_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("webhook_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_key(each.get_secret_value()) for each in keys):
            raise ValueError(f"each key must be the base64url of {KEY_BYTES} random bytes: 44 characters")
        return keys

    @model_validator(mode="after")
    def _check_receivers(self) -> Self:
        """Reject receivers on this machine elsewhere: an endpoint could reach what only the service may reach."""
        if self.webhook_local_receivers and self.env is not Environment.LOCAL:
            raise ValueError("ORDER_WEBHOOK_LOCAL_RECEIVERS: only for ORDER_ENV=local; remove it")
        return self

    @property
    def secret_box(self) -> SecretBox | None:
        """Return the box for the secrets of endpoints, or None if this environment has no webhooks."""
        keys = [each.get_secret_value() for each in self.webhook_keys]
        return FernetBox(keys) if keys else None


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
