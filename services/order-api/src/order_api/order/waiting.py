"""Wait for an order to reach a state, with few reads and without reads after the caller has disconnected."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from order_shared.domain.order.models import Order

MAX_WAIT_SECONDS = 20
"""Maximum wait. Well below every idle time-out up to the client, such as the load balancer's 60 s."""
MAX_WAITING = 500
"""Maximum number of waiting callers in one process, well below `max_in_flight`. Others get the order at once."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


def pauses() -> Iterator[float]:
    """Yield the pauses between reads, in seconds, without end. They grow, because most orders end within a short time.

    At most 23 pauses fit into `MAX_WAIT_SECONDS`.
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
    """Return the order as last read: once it is `done`, after `seconds`, or when `gave_up` returns True."""
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
