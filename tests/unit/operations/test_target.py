import pytest

from order_operations.target import Target, WrongRegion


def test_replicas_are_not_operated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDER_HOME_REGION", "eu-central-1")
    with pytest.raises(WrongRegion, match="the home region is eu-central-1, and AWS_REGION is eu-west-1"):
        Target.of_environment()


def test_the_home_region_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDER_HOME_REGION", "eu-central-1")
    assert Target.of_environment().settings.aws_region == "eu-central-1"
