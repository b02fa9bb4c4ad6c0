"""Each environment's settings are a file, and say what infra and the local stack give their services."""

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from devstack.stack import service_settings
from infra.environments import ENVIRONMENTS
from order_api.config import ApiSettings
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_shared.runtime.settings import load_settings
from tests.infra.profiles import LOCAL, given, profiles, settings_of, written
from tests.infra.test_stack_settings import SECRET, payment_key, variables

if TYPE_CHECKING:
    from order_shared.runtime.config import Settings

SECRETS = {"ORDER_CURSOR_SECRETS", "ORDER_PAYMENT_API_KEY"}
NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""What `make up` adds because its services run as a person who may have files of AWS; a container has none."""
PLATFORM = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
"""AWS's own, which no settings read."""


def test_every_environment_has_a_profile_and_so_has_this_machine() -> None:
    assert profiles().keys() == {LOCAL, *ENVIRONMENTS}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_profile_says_what_infra_gives_the_tasks(name: str) -> None:
    """`make snapshot` writes it anew."""
    assert profiles()[name].read_text() == written(name)
    assert settings_of(name) == given(name)


def test_the_local_profile_says_what_make_up_gives_the_services() -> None:
    """But for the addresses: containers have names. compose.yaml's test looks at those."""
    profile = settings_of(LOCAL)
    aws, jwks_url, payments = (
        profile[name] for name in ("AWS_ENDPOINT_URL", "ORDER_JWKS_URL", "ORDER_PAYMENT_API_BASE")
    )
    told = service_settings(
        aws=aws,
        jwks_url=jwks_url,
        cursor_secrets=profile["ORDER_CURSOR_SECRETS"],
        webhook_keys=profile["ORDER_WEBHOOK_KEYS"],
    )
    assert {**profile, **NO_FILES} == {**told, "ORDER_PAYMENT_API_BASE": payments}


def test_each_profile_has_tables_of_its_own() -> None:
    prefixes = {name: settings_of(name)["ORDER_TABLE_PREFIX"] for name in profiles()}
    assert prefixes == {name: f"{name}-" for name in profiles()}


@pytest.mark.parametrize("name", profiles())
def test_a_shell_reads_the_same(name: str) -> None:
    command = ["bash", "-euc", 'set -a; . "$0"; exec env -0', str(profiles()[name])]
    shell = {"PATH": os.environ["PATH"]}
    told = subprocess.run(command, env=shell, stdout=subprocess.PIPE, text=True, check=True).stdout
    read = dict(line.split("=", 1) for line in told.split("\0") if line)
    assert settings_of(name).items() <= read.items()


@pytest.mark.parametrize("name", profiles())
def test_every_service_starts_with_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    services: tuple[type[Settings], ...] = (ApiSettings, ProcessorSettings, NotifierSettings)
    known = set().union(*map(variables, services))
    for setting in known:
        monkeypatch.delenv(setting, raising=False)
    for setting, value in {**dict.fromkeys(SECRETS, SECRET), **payment_key(name), **settings_of(name)}.items():
        monkeypatch.setenv(setting, value)
    assert settings_of(name).keys() - PLATFORM <= known
    loaded = [load_settings(service) for service in services]
    assert {settings.env for settings in loaded} == {name}
    assert loaded[0].queue_name == loaded[1].queue_name != loaded[2].queue_name
