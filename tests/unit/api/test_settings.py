"""API settings that are valid only in the local stack."""

import pytest

from order_api.config import ApiSettings
from order_shared.runtime.config import load_settings

KEYS = "http://login.example.com/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def _complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "ORDER_JWT_ISSUER": "https://login.example.com/",
        "ORDER_JWT_AUDIENCE": "orders",
        "ORDER_CURSOR_SECRETS": "a-secret-for-tests",
        "ORDER_JWKS_URL": KEYS,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("env", ["dev", "uat", "prod"])
def test_keys_are_fetched_by_https_outside_of_the_local_stack(monkeypatch: pytest.MonkeyPatch, env: str) -> None:
    monkeypatch.setenv("ORDER_ENV", env)
    with pytest.raises(SystemExit) as end:
        load_settings(ApiSettings)
    assert str(end.value).endswith(
        "\n  ORDER_JWKS_URL: it must begin with https:// unless ORDER_ENV is local, such as "
        "https://login.example.com/.well-known/jwks.json"
    )
    monkeypatch.setenv("ORDER_JWKS_URL", KEYS.replace("http:", "https:"))
    assert load_settings(ApiSettings).env == env


def test_the_local_stack_fetches_keys_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "local")
    assert load_settings(ApiSettings).jwks_url == KEYS


@pytest.mark.parametrize("env", ["dev", "uat", "prod"])
@pytest.mark.parametrize("issuer", ["http://login.example.com/", "login.example.com"])
def test_an_issuer_is_discovered_by_https_outside_of_the_local_stack(
    monkeypatch: pytest.MonkeyPatch, env: str, issuer: str
) -> None:
    monkeypatch.setenv("ORDER_ENV", env)
    monkeypatch.setenv("ORDER_JWKS_URL", "")
    assert load_settings(ApiSettings).jwks_url == ""
    monkeypatch.setenv("ORDER_JWT_ISSUER", issuer)
    with pytest.raises(SystemExit) as end:
        load_settings(ApiSettings)
    assert end.value.code == 2
    assert str(end.value).endswith(
        ":\n  ORDER_JWT_ISSUER: it must begin with https:// unless ORDER_ENV is local, such as "
        "https://login.example.com/; or set ORDER_JWKS_URL"
    )
    monkeypatch.setenv("ORDER_JWKS_URL", KEYS.replace("http:", "https:"))
    assert load_settings(ApiSettings).jwt_issuer == issuer


def test_the_local_stack_discovers_an_issuer_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "local")
    monkeypatch.setenv("ORDER_JWKS_URL", "")
    monkeypatch.setenv("ORDER_JWT_ISSUER", "http://127.0.0.1:8083")
    assert not load_settings(ApiSettings).keys_need_https


def test_the_claims_of_scopes_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(ApiSettings).jwt_scope_claims == ("scope",)
    monkeypatch.setenv("ORDER_JWT_SCOPE_CLAIMS", "scp, roles")
    assert load_settings(ApiSettings).jwt_scope_claims == ("scp", "roles")


def test_there_is_no_lame_duck_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "local")
    assert load_settings(ApiSettings).lame_duck_seconds == 0
