"""Metrics that both services share."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aws_json_client.errors import REASONS
from order_shared.domain.order.models import Order, Parking
from order_shared.runtime.metrics import Metrics
from tests.factories import NOON, make_order

DAY = timedelta(hours=24)


def seconds_to_the_end(order: Order) -> float | None:
    metrics = Metrics()
    metrics.order_ended(order, order.updated_at)
    return metrics.registry.get_sample_value("order_end_seconds_sum")


def confirmed(after: timedelta) -> Order:
    return make_order(at=NOON).confirm(NOON + after)


def test_the_time_to_end_starts_at_the_acceptance() -> None:
    assert seconds_to_the_end(confirmed(timedelta(seconds=2))) == 2


def test_the_time_to_cancel_starts_at_the_request() -> None:
    """The time before the request does not count."""
    asked_for = confirmed(timedelta(seconds=2)).request_cancel(NOON + DAY, due_at=0)
    assert seconds_to_the_end(asked_for.cancel(NOON + DAY + timedelta(seconds=3))) == 3


def test_the_time_to_end_starts_again_at_an_operators_retry() -> None:
    retried = replace(make_order(at=NOON), parking=Parking(retried_at=NOON + DAY))
    assert seconds_to_the_end(retried.confirm(NOON + DAY)) == DAY.total_seconds()


def test_an_order_that_is_open_for_a_day_is_within_the_buckets() -> None:
    metrics = Metrics()
    metrics.order_ended(confirmed(DAY), NOON + DAY)
    assert metrics.registry.get_sample_value("order_end_seconds_bucket", {"le": "86400.0"}) == 1


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_retry_series_exist_from_the_start(service: str) -> None:
    """A counter that first appears with the value 200 has no increase for an alarm."""
    registry = Metrics().registry
    for reason in REASONS:
        assert registry.get_sample_value("order_aws_retries_total", {"service": service, "reason": reason}) == 0
