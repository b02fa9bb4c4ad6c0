"""Secrets without values. Operators set the values, so that neither the code nor Terraform's state contains one."""

from cdktn_provider_aws.secretsmanager_secret import SecretsmanagerSecret

from infra.constructs.workspace import Workspace
from infra.environments import Environment

CURSOR_SECRETS = "cursor-secrets"
PAYMENT_API_KEY = "payment-api-key"
WEBHOOK_KEYS = "webhook-keys"
SECRETS = {
    CURSOR_SECRETS: "What signs the cursors of lists; the first of several, separated by commas, signs",
    PAYMENT_API_KEY: "The payment provider's secret key",
    WEBHOOK_KEYS: "What encrypts the secrets of webhook endpoints; the first of several, separated by commas, encrypts",
}

RECOVERY_DAYS = 30


def make_secrets(stack: Workspace, environment: Environment, *, key_arn: str) -> dict[str, SecretsmanagerSecret]:
    """Create a secret `<environment>/<name>` for each name in `SECRETS`, and return the secrets by name."""
    return {
        secret: SecretsmanagerSecret(
            stack,
            f"{secret.replace('-', '_')}_secret",
            name=f"{environment.name}/{secret}",
            description=description,
            kms_key_id=key_arn,
            # An environment may be created again, and a secret that is scheduled for deletion would block its name.
            recovery_window_in_days=RECOVERY_DAYS if environment.protected else 0,
        )
        for secret, description in SECRETS.items()
    }
