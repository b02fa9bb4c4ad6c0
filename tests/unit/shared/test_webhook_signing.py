"""Signatures of webhooks, verified by the public library of Standard Webhooks."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from order_shared.domain.clock import utc_now
from order_shared.domain.webhook.secret_box import CannotOpenSecret, FernetBox, Sealed
from order_shared.domain.webhook.signing import InvalidWebhookSecret, new_secret, sign, signed_headers

BODY = '{"type":"order.confirmed.v1","data":{"reference":"grün 漢字"}}'.encode()
OLD_KEY, NEW_KEY = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZC0=", "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldy0="


def test_the_example_of_the_specification_has_its_signature() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    body = b'{"test": 2432232314}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=200))
def test_the_public_library_verifies_with_the_old_and_the_new_secret(text: str) -> None:
    body = json.dumps({"text": text}).encode()
    old, new = new_secret(), new_secret()
    headers = signed_headers([new, old], "ord_1.2.confirmed", utc_now(), body)
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_nothing_that_is_signed_can_be_changed(change: str) -> None:
    secret, at = new_secret(), utc_now()
    headers = signed_headers([secret], "ord_1.2.confirmed", at, BODY)
    if change != "body":
        earlier = str(int((at - timedelta(seconds=1)).timestamp()))
        headers |= {change: {"webhook-timestamp": earlier}.get(change, headers[change].upper())}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" " if change == "body" else BODY, headers)


def test_an_old_request_is_refused() -> None:
    secret = new_secret()
    headers = signed_headers([secret], "ord_1.2.confirmed", utc_now() - timedelta(minutes=6), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers)


def test_secrets_are_random_and_of_the_right_form() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(each.startswith("whsec_") and len(each) == len("whsec_") + 44 for each in secrets)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_another_secret_is_refused(secret: str) -> None:
    with pytest.raises(InvalidWebhookSecret):
        sign([secret], "msg_1", utc_now(), b"{}")


def test_a_sealed_secret_is_opened_after_the_key_was_rotated() -> None:
    secret = new_secret()
    sealed = FernetBox([OLD_KEY]).seal(secret)
    assert secret not in sealed
    assert FernetBox([NEW_KEY, OLD_KEY]).open(sealed) == secret
    with pytest.raises(CannotOpenSecret):
        FernetBox([NEW_KEY]).open(sealed)


def test_the_first_key_seals() -> None:
    assert FernetBox([NEW_KEY]).open(FernetBox([NEW_KEY, OLD_KEY]).seal("secret")) == "secret"


@pytest.mark.parametrize("text", ["", "nonsense", "\N{SNOWMAN}"])
def test_what_was_not_sealed_cannot_be_opened(text: str) -> None:
    with pytest.raises(CannotOpenSecret):
        FernetBox([NEW_KEY]).open(Sealed(text))
