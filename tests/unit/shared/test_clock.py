"""Time: whole microseconds, one text format that sorts by time, a clock that never repeats a time."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.clock import (
    EPOCH,
    MAX_MICROS,
    UniqueClock,
    from_micros,
    from_text,
    to_micros,
    to_millis,
    to_text,
    utc_now,
)

instants = st.integers(0, MAX_MICROS).map(from_micros)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, MAX_MICROS))
def test_microseconds_survive_conversion_to_a_datetime(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert to_millis(from_micros(micros)) == micros // 1000


@settings(max_examples=40, deadline=None)
@given(instants)
def test_a_time_survives_conversion_to_text(at: datetime) -> None:
    assert from_text(to_text(at)) == at


@settings(max_examples=40, deadline=None)
@given(instants, instants)
def test_texts_sort_by_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


@settings(max_examples=40, deadline=None)
@given(instants)
def test_every_text_has_the_same_length(at: datetime) -> None:
    assert len(to_text(at)) == len("2026-01-31T09:05:00.000120Z")


def test_zero_microseconds_are_written_out() -> None:
    assert to_text(datetime(2026, 1, 31, 9, 5, tzinfo=UTC)) == "2026-01-31T09:05:00.000000Z"


def test_another_zone_is_written_as_utc() -> None:
    at = datetime(2026, 1, 31, 9, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert to_text(at) == "2026-01-31T03:35:00.000000Z"


def test_the_first_and_the_last_possible_time() -> None:
    assert to_text(EPOCH) == "1970-01-01T00:00:00.000000Z"
    assert to_text(from_micros(MAX_MICROS)) == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T09:05:00Z",
        "2026-01-31T09:05:00.000120",
        "2026-01-31T09:05:00.000120+00:00",
        "2026-01-31 09:05:00.000120Z",
        "2026-02-30T09:05:00.000120Z",
        "2026-01-31T09:05:00.000120Z\n",
        "2026-01-31T09:05:00.00012Z",
        "2026-1-31T9:5:0.000120Z",
    ],
)
def test_any_other_text_format_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is strptime's
        from_text(text)


def test_the_current_time_is_aware_utc() -> None:
    assert utc_now().tzinfo is UTC


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=50))
def test_a_unique_clock_always_advances_even_if_the_machines_clock_does_not(readings: list[int]) -> None:
    source = iter(readings)
    clock = UniqueClock(lambda: next(source))
    given_out = [to_micros(clock()) for _ in readings]
    assert all(earlier < later for earlier, later in pairwise(given_out))
    assert all(at >= reading for at, reading in zip(given_out, readings, strict=True))


def test_a_unique_clock_follows_the_machines_clock() -> None:
    source = iter([10, 20, 30])
    clock = UniqueClock(lambda: next(source))
    assert [to_micros(clock()) for _ in range(3)] == [10, 20, 30]
