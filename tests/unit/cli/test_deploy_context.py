"""Where the verbs work: by AWS's own variables, and only there."""

import pytest

from orderctl.deploy.context import DeployContext
from orderctl.exceptions import Refused


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "ORDER_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


@pytest.mark.parametrize("told", [{}, {"AWS_REGION": ""}], ids=["not set", "empty"])
def test_without_a_region_it_says_what_is_missing(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match="AWS_REGION"):
        DeployContext.open("dev", "order-api")
