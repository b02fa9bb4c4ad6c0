"""Faults of single requests at the borders of the services, and a link that meets them.

Which requests meet a fault follows from the dice of their link, so a run can be repeated. A run that stops at the first
`limit` faults meets the same ones up to there.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TypeVar

from aws_json_client import ServiceError
from aws_json_client.errors import ConnectionFailed
from order_processor.payments.gateway import FailureReason, PaymentUnavailable
from order_shared.messaging.queue import QueueUnavailable
from tests.simulation.history import Border
from tests.simulation.link import Link
from tests.simulation.loop import SimulationLoop
from tests.simulation.tables import Conflict, Throttled

T = TypeVar("T")


class Fault(StrEnum):
    """What happens to one request."""

    LOST_REQUEST = "request lost"
    """It has no effect, and no response arrives."""
    LOST_RESPONSE = "response lost"
    LATE = "effect after the time-out"
    """The caller gives up, and the request takes effect afterwards."""
    SLOW = "slow"
    CONFLICT = "transaction conflict"
    THROTTLED = "throttled"
    SERVER_ERROR = "server error"
    UNEXPECTED = "unexpected error"
    """DynamoDB refuses the request as invalid: an error that nobody handles."""
    UNREADABLE = "response that nobody can read"
    """It takes effect, and then an error arrives that nobody handles."""
    REFUSED_ENTRY = "entry of a batch refused"
    REFUSED_DELETION = "deletion refused"
    DUPLICATE = "message sent twice"
    UNDELETED = "deleted message delivered again"
    EXPIRED = "visibility time-out over at once"
    SAVED_FAILURE = "failure saved under the idempotency key"


OF_EVERY_BORDER = (Fault.LOST_REQUEST, Fault.LOST_RESPONSE, Fault.LATE, Fault.SLOW, Fault.THROTTLED, Fault.SERVER_ERROR)
OF_BORDER: Mapping[Border, tuple[Fault, ...]] = {
    Border.TABLES: (*OF_EVERY_BORDER, Fault.CONFLICT, Fault.UNEXPECTED, Fault.UNREADABLE),
    Border.QUEUE: OF_EVERY_BORDER,
    Border.PROVIDER: OF_EVERY_BORDER,
}
"""Faults that a link applies. The queue and the provider apply the others themselves."""

TIME_OUTS: Mapping[Border, float] = {Border.TABLES: 2.5, Border.QUEUE: 5.0, Border.PROVIDER: 15.0}
"""Seconds after which the caller of a request gives up."""
LATEST_SECONDS = 20.0
"""Time after which a late request takes effect at the latest."""


@dataclass
class Faults:
    """`rates` is the share of requests, by kind. `limit` is the number of faults in all; None is no limit."""

    rates: Mapping[Fault, float]
    limit: int | None = None
    borders: frozenset[Border] = frozenset(Border)
    """Borders whose requests meet faults."""
    active: bool = True
    met: Counter[Fault] = field(default_factory=Counter)

    def strikes(self, fault: Fault, dice: Random) -> bool:
        """Return whether a request meets this fault, and count it."""
        rate = self.rates.get(fault)
        return rate is not None and self.active and dice.random() < rate and self._count(fault)

    def draw(self, border: Border, dice: Random) -> Fault | None:
        """Return the fault that a request meets at a border."""
        if not self.active or border not in self.borders:
            return None
        luck = dice.random()
        for fault in OF_BORDER[border]:
            luck -= self.rates.get(fault, 0.0)
            if luck < 0.0:
                return fault if self._count(fault) else None
        return None

    def _count(self, fault: Fault) -> bool:
        if self.limit is not None and self.met.total() >= self.limit:
            return False
        self.met[fault] += 1
        return True


@dataclass(frozen=True)
class FaultyLink(Link):
    loop: SimulationLoop
    faults: Faults
    border: Border

    async def call(self, effect: Callable[[], T]) -> T:
        return await self._meet(effect, super().call)

    async def read(self, effect: Callable[[], T]) -> T:
        return await self._meet(effect, super().read)

    def refuses_entry(self) -> bool:
        return self.faults.strikes(Fault.REFUSED_ENTRY, self.dice)

    def refuses_deletion(self) -> bool:
        return self.faults.strikes(Fault.REFUSED_DELETION, self.dice)

    def undeletes(self) -> bool:
        return self.faults.strikes(Fault.UNDELETED, self.dice)

    def duplicates(self) -> bool:
        return self.faults.strikes(Fault.DUPLICATE, self.dice)

    def expires(self) -> bool:
        return self.faults.strikes(Fault.EXPIRED, self.dice)

    def saves_failure(self) -> bool:
        return self.faults.strikes(Fault.SAVED_FAILURE, self.dice)

    async def _meet(self, effect: Callable[[], T], make: Callable[[Callable[[], T]], Awaitable[T]]) -> T:
        fault = self.faults.draw(self.border, self.dice)
        time_out = TIME_OUTS[self.border]
        if fault is None:
            return await make(effect)
        if fault is Fault.SLOW:
            await asyncio.sleep(self.dice.uniform(0.0, time_out))
            return await make(effect)
        await self._travel()
        if fault in {Fault.LOST_RESPONSE, Fault.UNREADABLE}:
            with suppress(Exception):
                effect()
        if fault is Fault.LATE:
            self.loop.start_on(self.loop.world, self._later(effect, self.dice.uniform(0.0, LATEST_SECONDS)))
        if fault in {Fault.LOST_REQUEST, Fault.LOST_RESPONSE, Fault.LATE}:
            await asyncio.sleep(time_out * self.dice.random() ** 3)
        else:
            await self._travel()
        raise self._error(fault)

    async def _later(self, effect: Callable[[], object], seconds: float) -> None:
        await asyncio.sleep(seconds)
        with suppress(Exception):
            effect()

    def _error(self, fault: Fault) -> Exception:
        if self.border is Border.QUEUE:
            return QueueUnavailable(fault)
        if self.border is Border.PROVIDER:
            return PaymentUnavailable(fault, REASONS.get(fault, FailureReason.NO_RESPONSE), is_outage=True)
        if fault is Fault.CONFLICT:
            return Conflict("a conflict by chance")
        if fault is Fault.THROTTLED:
            return Throttled("a partition by chance")
        if fault is Fault.SERVER_ERROR:
            return ServiceError("InternalServerError", 500, {})
        if fault in {Fault.UNEXPECTED, Fault.UNREADABLE}:
            return ServiceError("ValidationException", 400, {"message": "by chance"})
        return ConnectionFailed(TimeoutError())


REASONS = {Fault.THROTTLED: FailureReason.THROTTLED, Fault.SERVER_ERROR: FailureReason.PROVIDER_ERROR}
