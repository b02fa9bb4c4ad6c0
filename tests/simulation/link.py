"""The way from one machine to a service and back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Link:
    """Takes up to `seconds` each way. A machine that dies before the way there has changed nothing."""

    host: str
    dice: Random
    seconds: float

    async def call(self, effect: Callable[[], T]) -> T:
        """Return what the service answers; its errors take their way back too."""
        await self._travel()
        try:
            return effect()
        finally:
            await self._travel()

    async def read(self, effect: Callable[[], T]) -> T:
        """Return what a read answers, after one way: when a machine dies makes no difference to it."""
        await self._travel()
        return effect()

    def refuses_entry(self) -> bool:
        """Return whether the queue refuses this entry of a batch."""
        return False

    def refuses_deletion(self) -> bool:
        """Return whether the queue refuses this entry of a batch of deletions."""
        return False

    def undeletes(self) -> bool:
        """Return whether the queue delivers a message again that is being deleted."""
        return False

    def duplicates(self) -> bool:
        """Return whether the queue has a message twice that is being sent."""
        return False

    def expires(self) -> bool:
        """Return whether the visibility time-out of a message is over as it arrives."""
        return False

    def saves_failure(self) -> bool:
        """Return whether the provider fails, and saves the failure under the idempotency key."""
        return False

    async def _travel(self) -> None:
        await asyncio.sleep(self.seconds * (0.2 + 0.8 * self.dice.random()))
