"""Migration of every open or parked order to the 16 outbox keys that the last release reads, at a limited rate."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from order_operations.pace import Pace
from order_operations.target import Target
from order_shared.domain.clock import utc_now
from order_shared.domain.errors import PlatformError
from order_shared.storage.audit_trail import Operation
from order_shared.storage.key_migration import EntryPage, KeyMigration
from order_shared.storage.outbox import DEFAULT_SHARDS
from order_shared.tables import DEFAULT_OPEN_SHARDS

if TYPE_CHECKING:
    from order_shared.aws.dynamodb import Item

SUBJECT = "migration#open_orders"
MAX_PAGE = 25
"""Maximum number of orders that are moved concurrently."""

PASS_PAUSE_SECONDS = 2.0
"""Time between two passes over the index, which is eventually consistent."""

EMPTY_PASSES = 2
"""Consecutive passes that must find no order before the run ends."""

MAX_PASSES = 10


class StillWritten(PlatformError):
    def __init__(self, found: int) -> None:
        super().__init__(
            f"{found} orders have other keys than the {DEFAULT_OPEN_SHARDS} after {MAX_PASSES} passes: some process "
            f"still writes them. Set ORDER_OPEN_SHARDS to {DEFAULT_OPEN_SHARDS} for every service, wait until no older "
            "task runs, and run this command again"
        )


class KeyMigrationRun:
    """Run of the migration. At most `rate` orders are moved per second.

    `on_progress` receives the number of orders moved so far.
    """

    def __init__(
        self,
        migration: KeyMigration,
        *,
        rate: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._migration = migration
        self._pace = Pace(rate, monotonic)
        self._page = max(1, min(MAX_PAGE, int(rate)))
        self._sleep = sleep
        self._on_progress = on_progress
        self._moved = 0

    async def count(self) -> int:
        """Return the number of orders to move, without moving them. Raises StorageUnavailable."""
        return sum([len(page.items) async for page in self._pages(MAX_PAGE)])

    async def run(self) -> int:
        """Move all orders and return the number of moved orders.

        Raises StorageUnavailable, and StillWritten if no EMPTY_PASSES of MAX_PASSES passes in a row were empty.
        """
        empty = found = 0
        for number in range(MAX_PASSES):
            if number:
                await self._sleep(PASS_PAUSE_SECONDS)
            found = await self._pass()
            empty = 0 if found else empty + 1
            if empty == EMPTY_PASSES:
                return self._moved
        raise StillWritten(found)

    async def _pass(self) -> int:
        """Move every order that the index contains under other keys. Return the number of its entries."""
        found = 0
        async for page in self._pages(self._page):
            if (delay := self._pace.delay(len(page.items))) > 0:
                await self._sleep(delay)
            moved = await asyncio.gather(*map(self._migration.move, page.items))
            self._moved += sum(moved)
            found += len(page.items)
            self._on_progress(self._moved)
        return found

    async def _pages(self, limit: int) -> AsyncIterator[EntryPage]:
        for open_shard in DEFAULT_SHARDS:
            after: Item | None = None
            while True:
                page = await self._migration.read(open_shard, after, limit)
                if page.items:
                    yield page
                if page.after is None:
                    break
                after = page.after


def record_key_migration(target: Target, reason: str) -> None:
    """Record a run in the audit trail. Call this before the run. Raises ClientError or BotoCoreError."""
    target.audit.record(
        Operation(
            subject=SUBJECT,
            at=utc_now(),
            actor=target.actor,
            verb="migrate-keys",
            reason=reason,
            detail=f"to {DEFAULT_OPEN_SHARDS} keys",
        )
    )


@asynccontextmanager
async def open_key_migration(target: Target) -> AsyncIterator[KeyMigration]:
    async with target.open_tables() as dynamo:
        yield KeyMigration(dynamo, target.settings.tables)
