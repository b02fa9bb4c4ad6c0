"""The fake of ECS starts with the services and alarms that infra creates."""

from tests.infra.fake_start import COMMAND, PATH, text


def test_the_fake_starts_as_infra_creates_the_environments() -> None:
    assert PATH.read_text() == text(), f"If this is meant, run `{COMMAND}`."
