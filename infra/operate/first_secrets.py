"""First values of an environment's secrets. No value is printed, logged or passed to another program."""

import base64
import secrets as randomness
from typing import Any

from infra.environments import Environment
from infra.operate.console import Change
from infra.operate.request import Verb, command
from infra.stacks import App
from orderctl.exceptions import Refused

CURSOR_SECRETS = "cursor-secrets"
PAYMENT_API_KEY = "payment-api-key"
WEBHOOK_KEYS = "webhook-keys"
SECRETS = (CURSOR_SECRETS, PAYMENT_API_KEY, WEBHOOK_KEYS)
"""Names of the secrets in the supporting stack, without their prefix `<environment>/`."""

CURSOR_SECRET_BYTES = 32
WEBHOOK_KEY_BYTES = 32  # of Fernet


def first_values(secretsmanager: Any, environment: Environment) -> dict[str, Change | None]:
    """Return, by secret name, the change that sets the secret's first value; None if it has a value already.

    Raises:
        Refused: if a secret does not exist, or has no value and only an operator can set one.
    """
    names = {secret: f"{environment.name}/{secret}" for secret in SECRETS}
    return {
        name: None if _has_value(secretsmanager, name) else _change(secretsmanager, environment, secret, name)
        for secret, name in names.items()
    }


def _change(secretsmanager: Any, environment: Environment, secret: str, name: str) -> Change:
    if secret == CURSOR_SECRETS:
        return lambda: _put(secretsmanager, name, randomness.token_hex(CURSOR_SECRET_BYTES))
    if secret == WEBHOOK_KEYS:
        key = base64.urlsafe_b64encode(randomness.token_bytes(WEBHOOK_KEY_BYTES)).decode()
        return lambda: _put(secretsmanager, name, key)
    # Only feature environments get a copied key: with a test key, prod would confirm orders that are not paid.
    source = name if environment.host is None else f"{environment.host}/{secret}"
    if source == name or not _has_value(secretsmanager, source):
        raise Refused(f"{source} has no value, and only you have it: set it in Secrets Manager first")
    return lambda: _put(secretsmanager, name, secretsmanager.get_secret_value(SecretId=source)["SecretString"])


def _put(secretsmanager: Any, name: str, value: str) -> None:
    secretsmanager.put_secret_value(SecretId=name, SecretString=value)


def _has_value(secretsmanager: Any, name: str) -> bool:
    try:
        described = secretsmanager.describe_secret(SecretId=name)
    except secretsmanager.exceptions.ResourceNotFoundException as error:
        owner = name.partition("/")[0]
        line = command(Verb.APPLY, owner, App.SUPPORTING)
        raise Refused(f"there is no secret {name}; first run: {line}") from error
    return bool(described.get("VersionIdsToStages"))
