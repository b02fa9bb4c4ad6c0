"""How long to wait before trying again."""

import random


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 0): those who collided part ways."""
    return random.uniform(0, doubled(attempt, base=base, cap=cap))  # noqa: S311 - spreads load, guards nothing


def doubled(attempt: int, *, base: float, cap: float) -> float:
    """`base`, twice that, four times that …, never more than `cap`."""
    return min(cap, base * 2.0 ** min(attempt, 30))
