"""Delays between attempts."""

import random


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """Return a random delay, in seconds, after failed attempt number `attempt` (from 0)."""
    return random.uniform(0, doubled(attempt, base=base, cap=cap))  # noqa: S311 - no security purpose


def doubled(attempt: int, *, base: float, cap: float) -> float:
    """Return `base` doubled `attempt` times, at most `cap`."""
    return min(cap, base * 2.0 ** min(attempt, 30))
