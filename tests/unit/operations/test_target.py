import os

import pytest

from order_operations import target
from order_operations.target import Target, WrongRegion


def test_operations_are_refused_on_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDER_HOME_REGION", "eu-central-1")
    with pytest.raises(
        WrongRegion, match="AWS_REGION is eu-west-1, but operations must run in the home region eu-central-1"
    ):
        Target.of_environment()


def test_operations_run_in_the_home_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDER_HOME_REGION", "eu-central-1")
    assert Target.of_environment().settings.aws_region == "eu-central-1"


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_an_operator_without_a_passwd_entry_has_a_number(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def missing() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", missing)
    assert target.user().startswith(f"{os.getuid()}@")
