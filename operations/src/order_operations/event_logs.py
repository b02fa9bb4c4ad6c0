"""The logs of order events: list, compare with the orders, append what is missing, and raise the epoch."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from order_operations.pace import Pace
from order_operations.target import Target
from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import utc_now
from order_shared.domain.order.events import OrderEvent
from order_shared.storage.audit_trail import Operation
from order_shared.storage.event_log.comparison import Comparison
from order_shared.storage.event_log.items import RETENTION
from order_shared.storage.event_log.read import DynamoEventLogReader, EventFilter
from order_shared.storage.event_log.repair import EventLogRepair

SUBJECT = "events"
GRACE = timedelta(minutes=5)
"""Age from which a change must have its event. The messages of younger changes may be on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is compared: the changes since a time, of one tenant or all. At most `rate` orders are read per second."""

    tenant: str | None = None
    since: datetime | None = None
    grace: timedelta = GRACE
    rate: float = 500.0


class EventLogs:
    """The logs of one environment. All methods raise StorageUnavailable."""

    def __init__(
        self,
        repair: EventLogRepair,
        reader: DynamoEventLogReader,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Create the logs. `on_progress` receives the number of orders read so far."""
        self._repair = repair
        self._reader = reader
        self._monotonic = monotonic
        self._sleep = sleep
        self._on_progress = on_progress

    async def compare(self, scope: Scope) -> Comparison:
        now = utc_now()
        since = now - RETENTION if scope.since is None else scope.since
        return await self._repair.compare(self._paced(scope), since=since, until=now - scope.grace)

    async def rebuild(self, comparison: Comparison) -> int:
        """Append the missing events, and return how many were appended."""
        return await self._repair.rebuild(comparison.gaps)

    async def raise_epoch(self) -> tuple[int, int]:
        """Make every position of readers invalid. Return the new epoch and the number of logs."""
        return await self._repair.raise_epoch()

    async def list_events(self, tenant: str, limit: int, *, matching: EventFilter) -> list[OrderEvent]:
        """Return the last events of a tenant that match, up to `limit`, oldest first."""
        position = await self._reader.earliest(tenant)
        found: list[OrderEvent] = []
        while True:
            part = await self._reader.read(tenant, position, limit=1000, matching=matching)
            found = [*found, *(each.event for each in part.events)][-limit:]
            position = part.next
            if not part.more:
                return found

    async def _paced(self, scope: Scope) -> AsyncIterator[list[Item]]:
        pace, seen = Pace(scope.rate, self._monotonic), 0
        async for items in self._repair.pages_of_orders(scope.tenant):
            if (delay := pace.delay(len(items))) > 0:
                await self._sleep(delay)
            seen += len(items)
            self._on_progress(seen)
            yield items


def record_run(target: Target, verb: str, reason: str, detail: str) -> None:
    """Record an action in the audit trail. Call this before the action. Raises ClientError or BotoCoreError."""
    target.audit.record(
        Operation(subject=SUBJECT, at=utc_now(), actor=target.actor, verb=verb, reason=reason, detail=detail)
    )


@asynccontextmanager
async def open_event_logs(
    target: Target, *, on_progress: Callable[[int], None] = lambda _: None
) -> AsyncIterator[EventLogs]:
    async with target.open_tables() as dynamo:
        tables = target.settings.tables
        yield EventLogs(EventLogRepair(dynamo, tables), DynamoEventLogReader(dynamo, tables), on_progress=on_progress)
