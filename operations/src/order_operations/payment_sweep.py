"""Cancel payments that were created but never confirmed, and that no order can still use.

A processor that is killed between the creation of a payment and the write of its id leaves such a payment, and so does
a creation that was answered with an error. Without a confirmation no money moves, but the payment stays at the
provider.

A payment is cancelled if it is unconfirmed, at least ABANDONED_AFTER old, and not the payment of its order. Its
metadata must name this environment. The metadata of the last release names the order only: such a payment is cancelled
only if the order is in the tables of this environment. Even a wrong cancellation moves no money, because an order
whose payment was cancelled creates another one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from order_operations.payment_provider import MAX_PAGE, ListedPayment, PaymentProvider, open_provider
from order_operations.target import Target
from order_shared.domain.clock import Clock, utc_now
from order_shared.runtime.config import PaymentSettings
from order_shared.storage.audit_trail import Operation
from order_shared.storage.payment_sweeps import PaymentSweepStore, SweepProgress

ABANDONED_AFTER = timedelta(hours=48)
"""Age of an abandoned payment: the day for which the provider keeps an idempotency key, and another day."""

SUBJECT = "payments#sweep"


@dataclass(slots=True, kw_only=True)
class SweepTally:
    """Result of a sweep of payments created before `until` (epoch seconds).

    `cancelled` has the ids of cancelled payments, or of those that a dry run would cancel. `kept` counts unconfirmed
    payments of orders, `others` unconfirmed payments of other environments and systems.
    """

    until: int
    read: int = 0
    cancelled: list[str] = field(default_factory=list)
    kept: int = 0
    others: int = 0
    is_complete: bool = False


class PaymentSweep:
    """Sweep of one environment's payments, page by page, in a number of runs."""

    def __init__(
        self,
        provider: PaymentProvider,
        store: PaymentSweepStore,
        *,
        environment: str,
        clock: Clock = utc_now,
        on_progress: Callable[[SweepTally], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._store = store
        self._environment = environment
        self._clock = clock
        self._on_progress = on_progress

    async def run(self, *, limit: int, from_start: bool = False, dry_run: bool = False) -> SweepTally:
        """Examine up to `limit` payments, from where the last run stopped, or from the oldest with `from_start`.

        A dry run cancels and stores nothing. Raises PaymentProviderFailed and StorageUnavailable; the next run
        continues with the page that failed.
        """
        progress = SweepProgress() if from_start else await self._store.progress()
        until = progress.until or int((self._clock() - ABANDONED_AFTER).timestamp())
        tally = SweepTally(until=until)
        while not tally.is_complete and tally.read < limit:
            page = await self._provider.list(
                since=progress.since, until=until, after=progress.after, limit=min(MAX_PAGE, limit - tally.read)
            )
            for payment in page.payments:
                await self._examine(payment, tally, dry_run=dry_run)
            tally.read += len(page.payments)
            tally.is_complete = not (page.more and page.payments)
            if tally.is_complete:
                progress = SweepProgress(since=until)
            else:
                progress = replace(progress, until=until, after=page.payments[-1].id)
            if not dry_run:
                await self._store.save(progress)
            self._on_progress(tally)
        return tally

    async def _examine(self, payment: ListedPayment, tally: SweepTally, *, dry_run: bool) -> None:
        if not payment.is_unconfirmed:
            return
        if payment.order_id is None or payment.environment not in {None, self._environment}:
            tally.others += 1
            return
        stored = await self._store.payment_of(payment.order_id)
        if stored is None and payment.environment is None:
            tally.others += 1
        elif stored is not None and stored.id == payment.id:
            tally.kept += 1
        elif dry_run or await self._provider.cancel(payment.id):
            tally.cancelled.append(payment.id)


def record_sweep(target: Target, settings: PaymentSettings, reason: str) -> None:
    """Record a run in the audit trail, before it cancels anything. Raises botocore's errors."""
    target.audit.record(
        Operation(
            subject=SUBJECT,
            at=utc_now(),
            actor=target.actor,
            verb="payments.sweep",
            reason=reason,
            detail=f"environment {settings.environment_of_payments}",
        )
    )


async def run_sweep(
    target: Target,
    settings: PaymentSettings,
    *,
    calls_per_second: float,
    limit: int,
    from_start: bool,
    reason: str | None,
    on_progress: Callable[[SweepTally], None] = lambda _: None,
) -> SweepTally:
    """Sweep, or only count what a sweep would cancel if there is no reason. Raises what `PaymentSweep.run` raises."""
    if reason is not None:
        await asyncio.to_thread(record_sweep, target, settings, reason)
    async with (
        target.open_tables() as dynamo,
        open_provider(settings, calls_per_second=calls_per_second) as provider,
    ):
        store = PaymentSweepStore(dynamo, target.settings.tables)
        environment = settings.environment_of_payments
        sweep = PaymentSweep(provider, store, environment=environment, on_progress=on_progress)
        return await sweep.run(limit=limit, from_start=from_start, dry_run=reason is None)
