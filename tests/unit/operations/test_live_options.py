"""The options of `orderctl top`."""

import pytest
from typer.testing import CliRunner

from orderctl.main import app


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--local", "--api", "http://a"], "--local finds the tasks itself"),
        (["--local", "--processor", "http://a"], "--local finds the tasks itself"),
        (["--tenant", "acme"], "must be given together"),
        (["--customer", "ada"], "must be given together"),
        (["--every", "0.1"], "--every"),
    ],
)
def test_contradicting_options_are_rejected(options: list[str], told: str) -> None:
    refused = CliRunner().invoke(app, ["top", *options])
    assert refused.exit_code == 2
    assert told in " ".join(refused.output.replace("│", "").split())


def test_the_help_explains_the_options() -> None:
    shown = CliRunner().invoke(app, ["top", "--help"])
    assert shown.exit_code == 0
    assert "Give the addresses of the tasks, not of the load balancer" in " ".join(shown.output.split())
