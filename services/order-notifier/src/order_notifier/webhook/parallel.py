"""Attempts for several orders at a time, and in sequence for each order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from order_notifier.webhook.places import SLOW_SECONDS, Place

PARALLEL_ORDERS = 10
"""Orders of one endpoint served at the same time."""

T = TypeVar("T")


async def in_parallel(
    groups: Sequence[Sequence[T]],
    attempt: Callable[[T], Awaitable[bool]],
    *,
    may_start: Callable[[], bool],
    place: Place,
) -> None:
    """Serve several groups at a time, each in sequence until an attempt returns False.

    Groups begin in their order. No attempt starts once `may_start` returns False. If the attempts take long, `place` is
    slowed down.
    """
    left = iter(groups)

    async def serve() -> None:
        for group in left:
            for each in group:
                if not may_start():
                    return
                if not await attempt(each):
                    break

    tasks = [asyncio.create_task(serve()) for _ in range(min(PARALLEL_ORDERS, len(groups)))]
    if not tasks:
        return
    try:
        _, late = await asyncio.wait(tasks, timeout=SLOW_SECONDS)
        if late:
            place.slow_down()
            await asyncio.wait(late)
        else:
            place.keep_pace()
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        task.result()
