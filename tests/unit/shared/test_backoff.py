"""Delays: doubled with each attempt, up to a limit, and randomized."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.backoff import doubled, full_jitter

attempts = st.integers(0, 10_000)
bases = st.floats(0.001, 60.0)
caps = st.floats(0.001, 3600.0)


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 15.0), (1, 30.0), (2, 60.0), (5, 480.0), (6, 900.0), (7, 900.0)])
def test_each_wait_is_twice_the_one_before_up_to_the_cap(attempt: int, seconds: float) -> None:
    assert doubled(attempt, base=15.0, cap=900.0) == seconds


@settings(max_examples=40, deadline=None)
@given(attempts, bases, caps)
def test_a_wait_is_positive_and_never_above_the_cap(attempt: int, base: float, cap: float) -> None:
    assert 0 < doubled(attempt, base=base, cap=cap) <= cap


@settings(max_examples=40, deadline=None)
@given(attempts, bases, caps)
def test_a_later_attempt_never_waits_less(attempt: int, base: float, cap: float) -> None:
    assert doubled(attempt, base=base, cap=cap) <= doubled(attempt + 1, base=base, cap=cap)


def test_an_endless_outage_does_not_overflow() -> None:
    assert doubled(10**9, base=15.0, cap=900.0) == 900.0


@settings(max_examples=40, deadline=None)
@given(attempts, bases, caps)
def test_jitter_never_lengthens_a_wait(attempt: int, base: float, cap: float) -> None:
    assert 0 <= full_jitter(attempt, base=base, cap=cap) <= doubled(attempt, base=base, cap=cap)


def test_concurrent_attempts_get_different_waits() -> None:
    assert len({full_jitter(3, base=1.0, cap=60.0) for _ in range(100)}) > 90
