"""One delivery of a message, and the errors that a handler may raise for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property

from order_shared.domain.errors import PlatformError
from order_shared.entropy import random_uuid
from order_shared.messaging.queue import ReceivedMessage


class Unprocessable(PlatformError):
    """The message cannot be processed by any retry: it is sent to the dead-letter queue. `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Deferred(PlatformError):
    """The order waits in the outbox: its message is acknowledged, and the sweeper republishes it."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self._cause = cause

    @property
    def cause(self) -> str:
        return self._cause


class LeaseLost(PlatformError):
    """The message may be visible to other consumers, and one of them may be handling it."""


@dataclass(eq=False)
class Delivery:
    """One delivery of a message to this consumer, which holds the message until `held_until` (monotonic clock).

    `delay` returns the seconds until the next delivery, from the receive count. `lost` means that another
    consumer may have the message. `settled` means that the consumer has set when the message becomes visible again, so
    the heartbeat must not extend its visibility timeout.
    """

    message: ReceivedMessage
    held_until: float
    _: KW_ONLY
    delay: Callable[[int], int] = lambda _: 0
    lost: bool = False
    settled: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @cached_property
    def retry_in(self) -> int:
        """Seconds until the next delivery if the handling fails. Drawn once, at the first use."""
        return self.delay(self.message.receive_count)

    @cached_property
    def attempt_id(self) -> str:
        """Random id of this delivery: the owner of the order leases that its handling takes."""
        return random_uuid().hex

    @property
    def is_first(self) -> bool:
        return self.message.receive_count == 1

    @property
    def is_ours(self) -> bool:
        return not self.lost and not self.settled

    def ensure_held(self) -> None:
        """Check that this consumer still holds the message. Call this before each effect. Raises LeaseLost."""
        if self.lost or time.monotonic() >= self.held_until:
            raise LeaseLost(self.message.message_id)


Handler = Callable[[Delivery], Awaitable[None]]
