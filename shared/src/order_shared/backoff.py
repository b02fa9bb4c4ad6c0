"""Waits between attempts."""

import random


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0), spread at random."""
    return random.uniform(0, doubled(attempt, base=base, cap=cap))  # noqa: S311 - spreads load, guards nothing


def doubled(attempt: int, *, base: float, cap: float) -> float:
    """Return `base` doubled `attempt` times, at most `cap`."""
    return min(cap, base * 2.0 ** min(attempt, 30))
