"""Waiting for an order to reach a state: few reads, and none for a caller that has disconnected."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from order_shared.domain.order.models import Order

MAX_WAIT_SECONDS = 20
"""Well below the idle time-outs between us and the client: the load balancer's is 60 s."""
MAX_WAITING = 500
"""Callers that wait at once in one process, well below `max_in_flight`. Others get the order as it is."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


def pauses() -> Iterator[float]:
    """Yield the seconds between two reads, without end: short ones first, since most orders end at once.

    `MAX_WAIT_SECONDS` has room for 23 of them at most.
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
    """Return the order once it is `done`, after `seconds`, or when the wait is given up."""
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
