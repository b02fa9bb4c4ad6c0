"""What a container is given is what its service's settings read: nothing unknown, nothing missing."""

import pytest

from infra.environments import Egress
from order_api.config import ApiSettings
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_shared.runtime.config import Settings
from order_shared.runtime.settings import InvalidConfiguration, load_settings
from order_shared.runtime.settings import variables as field_variables
from order_shared.runtime.tracing import is_tracing_enabled
from order_shared.tables import order_changes, order_queue
from tests.infra.containers import Container, containers
from tests.infra.synthesis import REFERENCE, none

PAYMENT_KEY = "ORDER_PAYMENT_API_KEY"
SETTINGS: dict[str, type[Settings]] = {
    "order-api": ApiSettings,
    "order-processor": ProcessorSettings,
    "order-notifier": NotifierSettings,
}
SECRET = "what-an-operator-has-put-in"
WEBHOOK_KEY = "what-an-operator-has-put-in-43-characters-_="
LIVE_KEY, TEST_KEY = "sk_live_of_an_operator", "sk_test_of_an_operator"


def variables(kind: type[Settings]) -> set[str]:
    """Every environment variable that these settings read."""
    return {variable for name, field in kind.model_fields.items() for variable in field_variables(name, field)}


def given(container: Container) -> dict[str, str]:
    """As the process sees it: references resolved, secrets filled in."""
    settings = {name: REFERENCE.sub("resolved", value) for name, value in container.settings.items()}
    filled = {
        **dict.fromkeys(container.secrets, SECRET),
        **payment_key(container.environment.stage),
        "ORDER_WEBHOOK_KEYS": WEBHOOK_KEY,
    }
    return {**settings, **{name: filled[name] for name in container.secrets}}


def payment_key(stage: str) -> dict[str, str]:
    """The payment provider's key that an environment takes."""
    return {PAYMENT_KEY: LIVE_KEY if stage == "prod" else TEST_KEY}


def load(container: Container, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    with monkeypatch.context() as patch:
        for name in set().union(*map(variables, SETTINGS.values())):
            patch.delenv(name, raising=False)
        for name, value in {**given(container), **changes}.items():
            patch.setenv(name, value)
        return load_settings(SETTINGS[container.service])


def test_every_variable_is_a_setting_or_opentelemetrys() -> None:
    none(
        f"{container}: {name} is no setting of {container.service}"
        for container in containers()
        for name in given(container).keys() - variables(SETTINGS[container.service])
        if not name.startswith("OTEL_")
    )


def test_there_are_traces_where_the_environment_says_where_to() -> None:
    none(
        f"{container}: {container.settings}"
        for container in containers()
        if is_tracing_enabled(container.settings) is (container.environment.traces is None)
    )


def test_the_api_decides_what_is_traced_and_workers_follow() -> None:
    """What has no trace, as a message of an older release, is none of a worker's either."""
    samplers = {
        container.service: container.settings["OTEL_TRACES_SAMPLER"]
        for container in containers()
        if container.environment.traces is not None
    }
    follows = "parentbased_always_off"
    assert samplers == {"order-api": "traceidratio", "order-processor": follows, "order-notifier": follows}


def test_no_setting_is_given_twice() -> None:
    none(
        f"{container}: {name} is both a value and a secret"
        for container in containers()
        for name in container.settings.keys() & container.secrets.keys()
    )


def test_every_service_starts_with_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = []
    for container in containers():
        try:
            load(container, monkeypatch)
        except InvalidConfiguration as error:
            faults.append(f"{container}: {error}")
    none(faults)


def test_settings_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = []
    for container in containers():
        environment, settings = container.environment, load(container, monkeypatch)
        expected = (environment.stage, environment.table_prefix, environment.home, container.task.stack.region)
        actual = (settings.env, settings.table_prefix, settings.home_region, settings.aws_region)
        if (*actual, settings.open_shards) != (*expected, environment.open_shards):
            faults.append(f"{container}: {actual}, not {expected}")
    none(faults)


def test_each_service_uses_the_queue_of_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names follow from the prefix alone: one environment file then fits every service."""
    for container in containers():
        prefix, settings = container.environment.table_prefix, load(container, monkeypatch)
        feeds = container.service == "order-notifier"
        queue = order_changes(prefix).queue if feeds else order_queue(prefix)
        assert (settings.queue_name, settings.dlq_name) == (queue.name, queue.dead_letter_name), str(container)


def test_new_orders_are_stored_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = set()
    for container in containers():
        if container.service == "order-api":
            settings = load(container, monkeypatch)
            assert isinstance(settings, ApiSettings)
            assert settings.stores_history is container.environment.stores_history, str(container)
            stored.add(settings.stores_history)
    assert stored == {True, False}


def test_the_reference_is_shown_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for container in containers():
        if container.service == "order-api":
            settings = load(container, monkeypatch)
            assert isinstance(settings, ApiSettings)
            assert settings.shows_reference is container.environment.api_reference, str(container)
            shown[container.environment.name] = settings.shows_reference
    assert (shown["dev"], shown["prod"]) == (True, False)


def test_customers_tokens_are_judged_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = []
    for container in containers():
        if container.service != "order-api":
            continue
        settings, tokens = load(container, monkeypatch), container.environment.tokens
        assert isinstance(settings, ApiSettings)
        actual = (settings.jwt_issuer, settings.jwks_url, settings.jwt_audience)
        claims = (settings.jwt_tenant_claim, settings.jwt_customer_claim, ",".join(settings.jwt_scope_claims))
        expected = (tokens.tenant_claim, tokens.customer_claim, tokens.scope_claims)
        if (*actual, *claims) != (tokens.issuer, tokens.jwks_url, (tokens.audience,), *expected):
            faults.append(f"{container}: {actual}, not {tokens}")
    none(faults)


def test_the_payment_provider_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = []
    for container in containers():
        if container.service != "order-processor":
            continue
        settings = load(container, monkeypatch)
        assert isinstance(settings, ProcessorSettings)
        if settings.payment_api_base != container.environment.payments.api_base:
            faults.append(f"{container}: {settings.payment_api_base}, not {container.environment.payments.api_base}")
    none(faults)


def test_prod_takes_live_payment_keys_only_and_every_other_environment_test_keys_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = []
    for container in containers():
        if container.service != "order-processor":
            continue
        wrong = TEST_KEY if container.environment.name.partition("-")[0] == "prod" else LIVE_KEY
        try:
            load(container, monkeypatch, ORDER_PAYMENT_API_KEY=wrong)
        except InvalidConfiguration:
            continue
        faults.append(f"{container}: takes {wrong}")
    none(faults)


def test_payments_and_key_sets_are_reached_by_https_only() -> None:
    none(
        f"{container}: {name} is {value}"
        for container in containers()
        for name, value in container.settings.items()
        if name in {"ORDER_PAYMENT_API_BASE", "ORDER_JWKS_URL", "ORDER_JWT_ISSUER"} and not value.startswith("https://")
    )


def test_without_a_way_to_the_internet_payments_go_to_an_address_of_the_environment() -> None:
    closed = [
        container
        for container in containers()
        if container.environment.egress is Egress.ENDPOINTS and container.service == "order-processor"
    ]
    assert closed
    none(
        f"{container}: {container.settings}"
        for container in closed
        if "ORDER_PAYMENT_API_BASE" not in container.settings
    )


def test_each_setting_has_its_own_secret() -> None:
    expected = {
        "order-api": {"ORDER_CURSOR_SECRETS": "cursor_secrets_arn", "ORDER_WEBHOOK_KEYS": "webhook_keys_arn"},
        "order-processor": {"ORDER_PAYMENT_API_KEY": "payment_api_key_arn"},
        "order-notifier": {"ORDER_WEBHOOK_KEYS": "webhook_keys_arn"},
    }
    none(
        f"{container}: {container.secrets}"
        for container in containers()
        if {name: arn.rpartition(".")[2].rstrip("}") for name, arn in container.secrets.items()}
        != {
            name: arn
            for name, arn in expected[container.service].items()
            if name != "ORDER_WEBHOOK_KEYS" or container.environment.webhooks
        }
    )


def test_payments_are_named_after_their_environment_and_not_its_stage() -> None:
    """Environments of one stage share an account at the provider, and a sweep of payments must tell them apart."""
    none(
        f"{container}: {name}"
        for container in containers()
        if container.service == "order-processor"
        and (name := container.settings["ORDER_PAYMENT_ENVIRONMENT"]) != container.environment.name
    )
