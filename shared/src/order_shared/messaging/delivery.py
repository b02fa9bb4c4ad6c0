"""One message while it is ours, and what a handler may say about it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property

from order_shared.domain.errors import PlatformError
from order_shared.entropy import random_uuid
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

    `retry_in` is the number of seconds after which the message is delivered again if its handling fails; whoever
    schedules the order beside it uses the same number. `lost` means that somebody else may have the message, `settled`
    that its next visibility is decided.
    """

    message: ReceivedMessage
    held_until: float
    _: KW_ONLY
    retry_in: int = 0
    lost: bool = False
    settled: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @cached_property
    def attempt_id(self) -> str:
        """Id of this handling of the message, new for each delivery: the owner of the leases that it takes."""
        return random_uuid().hex

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
