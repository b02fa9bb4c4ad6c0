"""Payment keys and URLs allowed in each environment, and the message of a rejection."""

import pytest

from order_processor.config import ProcessorSettings
from order_shared.runtime.config import load_settings

KINDS = {"live": ("sk_live_1", "rk_live_1"), "test": ("sk_test_1", "rk_test_1")}
TAKEN = {"local": "test", "dev": "test", "uat": "test", "prod": "live"}
OTHERS = ("pk_live_1", "pk_test_1", "whsec_1", "1")


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


def refusal(monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    """Return the message with which the start fails."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        load_settings(ProcessorSettings)
    return str(end.value)


@pytest.mark.parametrize(("env", "kind"), TAKEN.items())
def test_an_environment_accepts_its_kind_of_key(monkeypatch: pytest.MonkeyPatch, env: str, kind: str) -> None:
    for key in KINDS[kind]:
        monkeypatch.setenv("ORDER_ENV", env)
        monkeypatch.setenv("ORDER_PAYMENT_API_KEY", key)
        assert load_settings(ProcessorSettings).payment_api_key.get_secret_value() == key


@pytest.mark.parametrize(("env", "kind"), TAKEN.items())
def test_every_other_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, env: str, kind: str) -> None:
    wrong = [key for each, keys in KINDS.items() if each != kind for key in keys]
    for key in (*wrong, *OTHERS):
        said = refusal(monkeypatch, ORDER_ENV=env, ORDER_PAYMENT_API_KEY=key)
        right = f"with ORDER_ENV={env} it must be a {kind} key, such as sk_{kind}_… or rk_{kind}_…"
        assert said.endswith(f"\n  ORDER_PAYMENT_API_KEY: {right}")
        assert key not in said.replace(right, "").partition("ORDER_PAYMENT_API_KEY")[2]


@pytest.mark.parametrize("env", ["dev", "uat", "prod"])
@pytest.mark.parametrize(
    "address", ["http://payments.internal", "payments.internal", "ftp://payments.internal", "https://"]
)
def test_payments_go_by_https_outside_of_the_local_stack(
    monkeypatch: pytest.MonkeyPatch, env: str, address: str
) -> None:
    key = KINDS[TAKEN[env]][0]
    said = refusal(monkeypatch, ORDER_ENV=env, ORDER_PAYMENT_API_KEY=key, ORDER_PAYMENT_API_BASE=address)
    assert said.endswith(
        "\n  ORDER_PAYMENT_API_BASE: it must begin with https:// unless ORDER_ENV is local, such as "
        "https://payments.internal.example.com"
    )
    monkeypatch.setenv("ORDER_PAYMENT_API_BASE", "https://payments.internal")
    assert load_settings(ProcessorSettings).payment_api_base == "https://payments.internal"


def test_the_local_stack_pays_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "local")
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", "sk_test_1")
    monkeypatch.setenv("ORDER_PAYMENT_API_BASE", "http://127.0.0.1:8082")
    assert load_settings(ProcessorSettings).payment_api_base == "http://127.0.0.1:8082"


def test_payments_are_named_after_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature environment has the ORDER_ENV of dev, and a restore changes the table prefix."""
    monkeypatch.setenv("ORDER_ENV", "dev")
    monkeypatch.setenv("ORDER_TABLE_PREFIX", "restored-")
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", "sk_test_1")
    assert load_settings(ProcessorSettings).environment_of_payments == "dev"
    monkeypatch.setenv("ORDER_PAYMENT_ENVIRONMENT", "feat-login")
    assert load_settings(ProcessorSettings).environment_of_payments == "feat-login"
    said = refusal(monkeypatch, ORDER_PAYMENT_ENVIRONMENT="Feat Login")
    assert "ORDER_PAYMENT_ENVIRONMENT" in said
