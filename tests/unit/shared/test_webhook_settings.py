"""Settings of webhooks: keys of the right form, and receivers on this machine in the local stack only."""

import pytest
from pydantic import ValidationError

from order_shared.runtime.settings import read_settings
from order_shared.runtime.webhooks import WebhookSettings

LOCAL = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "ORDER_ENV": "local"}
OLD_KEY, NEW_KEY = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZC0=", "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldy0="


def settings(**given: str) -> WebhookSettings:
    return read_settings(WebhookSettings, LOCAL | given)


def test_without_a_key_there_are_no_webhooks() -> None:
    assert settings().secret_box is None


def test_the_first_key_encrypts_and_each_decrypts() -> None:
    before, after = settings(ORDER_WEBHOOK_KEYS=OLD_KEY), settings(ORDER_WEBHOOK_KEYS=f"{NEW_KEY}, {OLD_KEY}")
    assert before.secret_box is not None
    assert after.secret_box is not None
    assert after.secret_box.open(before.secret_box.seal("secret")) == "secret"


@pytest.mark.parametrize("key", ["short", OLD_KEY[:-4], OLD_KEY + OLD_KEY, f"{OLD_KEY},", "ä" * 44, OLD_KEY + "\n\n="])
def test_a_key_has_32_bytes(key: str) -> None:
    with pytest.raises(ValidationError):
        settings(ORDER_WEBHOOK_KEYS=key)


@pytest.mark.parametrize("env", ["dev", "uat", "prod"])
def test_receivers_on_this_machine_are_for_the_local_stack(env: str) -> None:
    assert settings(ORDER_WEBHOOK_LOCAL_RECEIVERS="true").webhook_local_receivers
    with pytest.raises(ValidationError, match="only for ORDER_ENV=local"):
        settings(ORDER_WEBHOOK_LOCAL_RECEIVERS="true", ORDER_ENV=env)
