"""When an open order is swept next, and when it is parked instead."""

from datetime import timedelta

import pytest

from order_processor.schedule import CAP, PARK_AFTER, SweepSchedule

SCHEDULE = SweepSchedule(timedelta(seconds=15))


@pytest.mark.parametrize(("sweeps", "minutes"), [(0, 0.25), (1, 0.5), (2, 1), (5, 8), (6, 15), (500, 15)])
def test_waits_double_up_to_the_cap(sweeps: int, minutes: float) -> None:
    assert SCHEDULE.wait(sweeps) == timedelta(minutes=minutes)


def test_the_sweeps_of_a_day_are_enough() -> None:
    sweeps = next(number for number in range(1000) if SCHEDULE.is_overdue(number))
    waited = sum((SCHEDULE.wait(number) for number in range(sweeps)), timedelta())
    assert PARK_AFTER <= waited < PARK_AFTER + CAP


def test_an_outage_takes_no_order_nearer_to_parking() -> None:
    assert SCHEDULE.in_outage(3) == 3
    assert SCHEDULE.wait(SCHEDULE.in_outage(90)) == CAP
    assert SCHEDULE.in_outage(90) == SCHEDULE.in_outage(50) < 10
