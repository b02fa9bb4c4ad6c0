"""Wait for a condition instead of for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.01


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]],
    what: str = "the condition",
    *,
    patience: float = PATIENCE_SECONDS,
    pause: float = PAUSE_SECONDS,
) -> None:
    """Return once the condition is true; fail after `patience` seconds, far more than a healthy test needs."""
    deadline = time.monotonic() + patience
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come to hold within {patience:.0f} s")
        await asyncio.sleep(pause)
