"""Settings of the processor that conflict with each other or with its region."""

import pytest
from pydantic import ValidationError

from order_processor.config import ProcessorSettings
from order_processor.main import run
from order_shared.runtime.config import load_settings


def settings(**overrides: object) -> ProcessorSettings:
    return ProcessorSettings.model_validate({"aws_region": "eu-central-1", "payment_api_key": "sk_test_1"} | overrides)


@pytest.mark.parametrize(("pollers", "concurrency"), [(1, 1), (2, 20), (16, 160)])
def test_each_of_several_pollers_has_room_for_a_whole_poll(pollers: int, concurrency: int) -> None:
    assert settings(pollers=pollers, concurrency=concurrency).consumer_options.pollers == pollers


@pytest.mark.parametrize(
    "overrides",
    [{"pollers": 2, "concurrency": 19}, {"concurrency": 201}, {"drain_seconds": 20, "receive_wait_seconds": 20}],
)
def test_conflicting_settings_are_refused(overrides: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        settings(**overrides)


@pytest.mark.parametrize("key", ["sk_test_1\n", " sk_test_1", "sk_test_1\r\n"])
def test_whitespace_around_a_key_is_removed(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", key)
    assert load_settings(ProcessorSettings).payment_api_key.get_secret_value() == "sk_test_1"


@pytest.mark.parametrize("key", ["", " ", "\n", "sk_tëst", "sk test", "sk\ntest", "“sk_test”"])
def test_a_key_that_cannot_be_sent_keeps_the_processor_from_starting(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Every payment would fail as if the provider did not respond, while `/readyz` would return 200."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", key)
    with pytest.raises(SystemExit) as end:
        load_settings(ProcessorSettings)
    assert "ORDER_PAYMENT_API_KEY: " in str(end.value)
    assert not key.strip() or key.strip() not in str(end.value)


def test_it_does_not_start_outside_the_home_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("ORDER_HOME_REGION", "eu-central-1")
    monkeypatch.setenv("ORDER_PAYMENT_API_KEY", "sk_test_1")
    monkeypatch.setenv("ORDER_HOST", "192.0.2.1")  # not ours, so that whatever goes on from here fails
    with pytest.raises(
        SystemExit, match=r"AWS_REGION: order-processor runs only in the home region eu-central-1, not in eu-west-1$"
    ):
        run()
