"""One message while it is ours, and what a handler may say about it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field

from order_shared.domain.errors import PlatformError
from order_shared.messaging.queue import ReceivedMessage


class Unprocessable(PlatformError):
    """No repetition helps: the message goes to the dead letters. `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Deferred(PlatformError):
    """The order waits in the outbox: acknowledge its message, and the sweeper publishes it again. `cause` says why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self._cause = cause

    @property
    def cause(self) -> str:
        return self._cause


class LeaseLost(PlatformError):
    """The message became visible to others; what it asks for is theirs to do."""


@dataclass(eq=False)
class Delivery:
    """One message while it is ours. `held_until` is on the monotonic clock.

    `lost` says that somebody else may have it, `settled` that its next visibility is decided.
    """

    message: ReceivedMessage
    held_until: float
    _: KW_ONLY
    lost: bool = False
    settled: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_first(self) -> bool:
        return self.message.receive_count == 1

    @property
    def is_ours(self) -> bool:
        return not self.lost and not self.settled

    def ensure_held(self) -> None:
        """Called before each effect. Raises LeaseLost once somebody else may have the message."""
        if self.lost or time.monotonic() >= self.held_until:
            raise LeaseLost(self.message.message_id)


Handler = Callable[[Delivery], Awaitable[None]]
