"""Settings of the processor that do not go together."""

import pytest
from pydantic import ValidationError

from order_processor.config import ProcessorSettings


def settings(**overrides: object) -> ProcessorSettings:
    return ProcessorSettings.model_validate({"aws_region": "eu-central-1", "payment_api_key": "sk_test_1"} | overrides)


@pytest.mark.parametrize(("pollers", "concurrency"), [(1, 1), (2, 20), (16, 160)])
def test_each_of_several_pollers_has_room_for_a_whole_poll(pollers: int, concurrency: int) -> None:
    assert settings(pollers=pollers, concurrency=concurrency).consumer_options.pollers == pollers


@pytest.mark.parametrize(
    "overrides",
    [{"pollers": 2, "concurrency": 19}, {"concurrency": 201}, {"drain_seconds": 20, "receive_wait_seconds": 20}],
)
def test_what_cannot_work_is_refused(overrides: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        settings(**overrides)
