"""Backfill of a table: rewrites its items to the newest version, in parallel segments and at a limited rate.

An interrupted backfill resumes at its checkpoints.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from order_operations.pace import Pace
from order_operations.target import Target
from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import utc_now
from order_shared.storage.audit_trail import Operation
from order_shared.storage.item_schema import version_of
from order_shared.storage.migrations import Checkpoint, MigratedTable, Migration, Segment

SEGMENTS = 8
MAX_PAGE = 25
"""Maximum number of items of one segment that are rewritten concurrently."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of processed items: `versions` by the version that was read, and `rewritten` in total.

    `references` is the number of orders that hold their reference in another form than the normal one. `unlisted` is
    the number of orders that the lists of their tenants do not contain: those read, less those added since.
    """

    versions: Counter[int] = field(default_factory=Counter)
    references: int = 0
    unlisted: int = 0
    rewritten: int = 0

    @property
    def seen(self) -> int:
        return self.versions.total()

    def newer_than(self, version: int) -> int:
        return sum(count for each, count in self.versions.items() if each > version)

    def older_than(self, version: int) -> int:
        return sum(count for each, count in self.versions.items() if each < version)


class Backfill:
    """Backfill of one table. At most `rate` items are read, and so rewritten, per second."""

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
        """Return the tally of all items, without changing any item or checkpoint. Raises StorageUnavailable."""
        await self._in_each_segment(self._count)
        return self._tally

    async def rewrite(self, *, from_start: bool = False) -> Tally:
        """Rewrite all items of older versions, starting at the checkpoints, and return the tally of this call.

        `from_start` resets the checkpoints, so that all items are read again. Raises StorageUnavailable.
        """
        if from_start:
            await asyncio.gather(*(self._migration.save(segment, Checkpoint()) for segment in self._segments))
        await self._in_each_segment(self._rewrite)
        return self._tally

    async def _in_each_segment(self, work: Callable[[Segment], Awaitable[None]]) -> None:
        """Run `work` for all segments concurrently. The first error cancels it for the others, and is raised."""
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
            await self._tally_items(page.items)
            self._on_progress(self._tally)
            if page.after is None:
                return
            after = page.after

    async def _rewrite(self, segment: Segment) -> None:
        checkpoint = await self._migration.checkpoint(segment)
        while not checkpoint.done:
            page = await self._migration.read(segment, checkpoint.after, self._page)
            await self._tally_items(page.items)
            old = list(filter(self._migration.is_old, page.items))
            rewritten = await asyncio.gather(*map(self._migration.rewrite, old))
            listed = sum(done for item, done in zip(old, rewritten, strict=True) if self._migration.is_unlisted(item))
            self._tally.rewritten += sum(rewritten)  # no await in these statements: other segments change the tally too
            self._tally.unlisted -= listed
            checkpoint = Checkpoint(page.after, done=page.after is None)
            await self._migration.save(segment, checkpoint)
            self._on_progress(self._tally)

    async def _tally_items(self, items: Sequence[Item]) -> None:
        if (delay := self._pace.delay(len(items))) > 0:
            await self._sleep(delay)
        self._tally.versions.update(map(version_of, items))
        self._tally.references += sum(map(self._migration.has_old_reference, items))
        self._tally.unlisted += sum(map(self._migration.is_unlisted, items))


def record_run(target: Target, migration: Migration, table: MigratedTable, reason: str) -> None:
    """Record a run in the audit trail. Call this before the run. Raises ClientError or BotoCoreError."""
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
    async with target.open_tables() as dynamo:
        yield {table: Migration.of(dynamo, target.settings.tables, table) for table in tables}
