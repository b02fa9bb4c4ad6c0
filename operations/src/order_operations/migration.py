"""The backfill: sees to every item of a table, segment by segment, at a rate, from where the last one stopped."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aws_json_client import RetryPolicy
from order_operations.pace import Pace
from order_operations.target import STORAGE_DEADLINE, Target
from order_shared.aws.dynamodb import Item, open_dynamo
from order_shared.domain.clock import utc_now
from order_shared.storage.audit_trail import Operation
from order_shared.storage.item_schema import version_of
from order_shared.storage.migrations import Checkpoint, MigratedTable, Migration, Segment

SEGMENTS = 8
MAX_PAGE = 25
"""Items of a segment that are rewritten at once."""


@dataclass(slots=True)
class Tally:
    """What was seen, by version as it was read, and how many of these were rewritten."""

    versions: Counter[int] = field(default_factory=Counter)
    rewritten: int = 0

    @property
    def seen(self) -> int:
        return self.versions.total()

    def newer_than(self, version: int) -> int:
        return sum(count for each, count in self.versions.items() if each > version)

    def older_than(self, version: int) -> int:
        return sum(count for each, count in self.versions.items() if each < version)


class Backfill:
    """`rate` bounds the items that are read per second, and so those that are rewritten."""

    def __init__(
        self,
        migration: Migration,
        *,
        rate: float,
        segments: int = SEGMENTS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_progress: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._migration = migration
        self._segments = [Segment(number=number, of=segments) for number in range(segments)]
        self._pace = Pace(rate, monotonic)
        self._sleep = sleep
        self._page = max(1, min(MAX_PAGE, int(rate)))
        self._on_progress = on_progress
        self._tally = Tally()

    async def count(self) -> Tally:
        """Reads all items and changes nothing, the checkpoints included."""
        await self._in_each_segment(self._count)
        return self._tally

    async def rewrite(self, *, from_start: bool = False) -> Tally:
        """Rewrites all items of older versions. Broken off anywhere, it goes on there when it is called again.

        What an earlier run has seen to is not read again, unless `from_start`. Raises StorageUnavailable.
        """
        if from_start:
            await asyncio.gather(*(self._migration.save(segment, Checkpoint()) for segment in self._segments))
        await self._in_each_segment(self._rewrite)
        return self._tally

    async def _in_each_segment(self, work: Callable[[Segment], Awaitable[None]]) -> None:
        """The first failure breaks the others off, and is raised."""
        tasks = [asyncio.ensure_future(work(segment)) for segment in self._segments]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self, segment: Segment) -> None:
        after: Item | None = None
        while True:
            page = await self._migration.read(segment, after, self._page)
            await self._see(page.items)
            self._on_progress(self._tally)
            if page.after is None:
                return
            after = page.after

    async def _rewrite(self, segment: Segment) -> None:
        checkpoint = await self._migration.checkpoint(segment)
        while not checkpoint.done:
            page = await self._migration.read(segment, checkpoint.after, self._page)
            await self._see(page.items)
            old = [item for item in page.items if version_of(item) < self._migration.newest]
            rewritten = await asyncio.gather(*map(self._migration.rewrite, old))
            self._tally.rewritten += sum(rewritten)  # not around an await: other segments count meanwhile
            checkpoint = Checkpoint(page.after, done=page.after is None)
            await self._migration.save(segment, checkpoint)
            self._on_progress(self._tally)

    async def _see(self, items: Sequence[Item]) -> None:
        if (delay := self._pace.delay(len(items))) > 0:
            await self._sleep(delay)
        self._tally.versions.update(map(version_of, items))


def record_run(target: Target, migration: Migration, table: MigratedTable, reason: str) -> None:
    """Record who begins a run; to be called before anything is rewritten. Raises botocore's errors."""
    target.audit.record(
        Operation(
            subject=f"migration#{table}",
            at=utc_now(),
            actor=target.actor,
            verb="migrate",
            reason=reason,
            detail=f"to version {migration.newest}",
        )
    )


@asynccontextmanager
async def open_migrations(
    target: Target, tables: Sequence[MigratedTable]
) -> AsyncIterator[dict[MigratedTable, Migration]]:
    settings = target.settings
    retries = RetryPolicy(deadline=STORAGE_DEADLINE)
    async with open_dynamo(
        target.credentials, region=settings.aws_region, endpoint=settings.dynamodb_endpoint, retries=retries
    ) as dynamo:
        yield {table: Migration.of(dynamo, settings.tables, table) for table in tables}
