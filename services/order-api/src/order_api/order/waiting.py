"""Looking at an order until it is as somebody wants it: few reads, and none for who has gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from order_shared.domain.order.models import Order

MAX_WAIT_SECONDS = 20
"""Well below the idle time-outs on the way: a load balancer's is 60 s."""
MAX_WAITING = 500
"""Callers who wait at once in one process, well below `max_in_flight`; any more are answered as things are."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


def pauses() -> Iterator[float]:
    """Seconds between two reads, without end: most orders end at once, and the others are not asked after often.

    In `MAX_WAIT_SECONDS` there are 23 of them at most.
    """
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE)


async def wait_until(
    done: Callable[[Order], bool],
    order: Order,
    read: Callable[[], Awaitable[Order]],
    *,
    seconds: float,
    gave_up: Callable[[], Awaitable[bool]],
) -> Order:
    """The order once it is `done`, or as it is after `seconds`, or when the wait is given up."""
    deadline = time.monotonic() + seconds
    for pause in pauses():
        left = deadline - time.monotonic()
        if left <= 0 or done(order):
            break
        await asyncio.sleep(min(pause, left))
        if await gave_up():
            break
        order = await read()
    return order
