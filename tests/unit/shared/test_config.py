"""Settings from the environment: derived names, and messages for invalid settings."""

import os

import pytest
from pydantic import ValidationError

from devstack.stack import local_session
from order_shared.runtime.config import Environment, Settings, load_settings
from order_shared.tables import TableNames


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set only the region, which has no default."""
    for name in [name for name in os.environ if name.upper().startswith(("AWS_", "ORDER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


def names_of(settings: Settings) -> tuple[str, str, str]:
    return settings.table_prefix, settings.queue_name, settings.dlq_name


def test_with_only_a_region_the_environment_is_local() -> None:
    settings = load_settings(Settings)
    assert settings.env is Environment.LOCAL
    assert names_of(settings) == ("local-", "local-orders", "local-orders-dead")
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 0, "INFO")
    assert settings.sweep_base_seconds == 15.0
    assert (settings.dynamodb_endpoint, settings.sqs_endpoint) == (None, None)


def test_names_are_derived_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "prod")
    settings = load_settings(Settings)
    assert names_of(settings) == ("prod-", "prod-orders", "prod-orders-dead")
    assert settings.tables == TableNames.with_prefix("prod-")


def test_names_are_derived_from_the_prefix_if_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_ENV", "dev")
    monkeypatch.setenv("ORDER_TABLE_PREFIX", "mine-")
    settings = load_settings(Settings)
    assert names_of(settings) == ("mine-", "mine-orders", "mine-orders-dead")
    assert settings.tables.orders == "mine-orders"


def test_each_name_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_QUEUE_NAME", "work")
    monkeypatch.setenv("ORDER_DLQ_NAME", "graveyard")
    assert names_of(load_settings(Settings)) == ("local-", "work", "graveyard")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORDER_TABLE_PREFIX", "ORDER_QUEUE_NAME", "ORDER_DLQ_NAME", "ORDER_HOME_REGION"):
        monkeypatch.setenv(name, "")
    assert names_of(load_settings(Settings)) == ("local-", "local-orders", "local-orders-dead")


def test_names_given_in_code_follow_the_same_rules() -> None:
    assert names_of(Settings(env=Environment.UAT, aws_region="eu-central-1")) == (
        "uat-",
        "uat-orders",
        "uat-orders-dead",
    )


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_an_empty_aws_endpoint_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " ")
    settings = load_settings(Settings)
    assert (settings.dynamodb_endpoint, settings.sqs_endpoint) == (None, None)


def test_an_empty_region_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "")
    with pytest.raises(SystemExit, match="AWS_REGION"):
        load_settings(Settings)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert load_settings(Settings).aws_region == "eu-west-1"


def test_aws_default_region_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert load_settings(Settings).aws_region == "us-east-1"


@pytest.mark.parametrize(("home", "elsewhere"), [(None, None), ("eu-central-1", None), ("us-east-1", "us-east-1")])
def test_this_region_is_the_home_region_by_default(
    monkeypatch: pytest.MonkeyPatch, home: str | None, elsewhere: str | None
) -> None:
    if home is not None:
        monkeypatch.setenv("ORDER_HOME_REGION", home)
    assert load_settings(Settings).home_elsewhere == elsewhere


@pytest.mark.parametrize(("given", "keys"), [(None, 16), ("16", 16), ("128", 128)])
def test_16_keys_of_the_outbox_are_written_unless_128_are_chosen(
    monkeypatch: pytest.MonkeyPatch, given: str | None, keys: int
) -> None:
    if given is not None:
        monkeypatch.setenv("ORDER_OPEN_SHARDS", given)
    assert load_settings(Settings).open_shards == keys


def test_another_number_of_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_OPEN_SHARDS", "64")
    with pytest.raises(SystemExit, match="ORDER_OPEN_SHARDS: must be one of 16, 128, such as 16"):
        load_settings(Settings)


def test_one_endpoint_serves_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    settings = load_settings(Settings)
    assert settings.dynamodb_endpoint == settings.sqs_endpoint == "http://127.0.0.1:4566"


def test_a_service_specific_endpoint_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324")
    settings = load_settings(Settings)
    assert (settings.dynamodb_endpoint, settings.sqs_endpoint) == ("http://127.0.0.1:8000", "http://127.0.0.1:9324")


def test_a_missing_region_ends_the_process_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(SystemExit, match="AWS_REGION"):
        load_settings(Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDER_ENV", "s3cret"),
        ("ORDER_PORT", "s3cret"),
        ("ORDER_PORT", "65536"),
        ("ORDER_PORT", "-1"),
        ("ORDER_LOG_LEVEL", "s3cret"),
        ("ORDER_SWEEP_BASE_SECONDS", "0"),
        ("ORDER_HOME_REGION", "home"),
    ],
)
def test_an_invalid_setting_is_reported_by_name_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        load_settings(Settings)
    assert f"{name}: " in str(end.value)
    assert "s3cret" not in str(end.value)


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("ORDER_PORT", "many")
    with pytest.raises(SystemExit) as end:
        load_settings(Settings)
    assert len(str(end.value).splitlines()) == 3


@pytest.mark.parametrize("around", ["{}\n", " {}", "\t{}\r\n"], ids=["line end", "blank", "tab"])
def test_white_space_around_a_value_is_removed(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    """An editor or `echo` leaves it in a secret."""
    monkeypatch.setenv("ORDER_TABLE_PREFIX", around.format("mine-"))
    monkeypatch.setenv("ORDER_PORT", around.format("8080"))
    monkeypatch.setenv("AWS_REGION", around.format("eu-west-1"))
    settings = load_settings(Settings)
    assert (settings.table_prefix, settings.port, settings.aws_region) == ("mine-", 8080, "eu-west-1")


def test_a_line_break_within_a_value_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_QUEUE_NAME", "s3cret\norders")
    with pytest.raises(SystemExit) as end:
        load_settings(Settings)
    assert "ORDER_QUEUE_NAME: " in str(end.value)
    assert "s3cret" not in str(end.value)


def test_settings_are_immutable() -> None:
    settings = load_settings(Settings)
    with pytest.raises(ValidationError):
        settings.host = "0.0.0.0"  # type: ignore[misc]  # noqa: S104 - it is refused, and nothing listens


def test_a_client_that_is_not_installed_is_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioboto3 is not installed: it excludes the newest botocore, which the tests use."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("ORDER_AWS_CLIENT", "aioboto3")
    with pytest.raises(
        SystemExit, match=r"ORDER_AWS_CLIENT: aioboto3 is not installed; install order-shared\[aioboto3\]"
    ):
        load_settings(Settings)


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("AWS_REGION", "mars-north-1", "unknown AWS region mars-north-1"),
        ("AWS_PROFILE", "nobody", "The config profile (nobody) could not be found"),
        (
            "AWS_ENDPOINT_URL",
            "http://aws.test/path",
            "the endpoint of dynamodb must have a scheme, a host and an optional port",
        ),
        ("AWS_ENDPOINT_URL_SQS", "sqs.test", "the endpoint of sqs must have a scheme, a host and an optional port"),
    ],
)
def test_an_invalid_region_profile_or_endpoint_ends_the_process_with_a_message(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert fault in str(ended.value)


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_the_local_stack_ignores_the_users_aws_settings(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "true")
    sqs = local_session().client("sqs", endpoint_url="http://127.0.0.1:1")
    assert sqs.meta.endpoint_url == "http://127.0.0.1:1"
    sqs.close()
