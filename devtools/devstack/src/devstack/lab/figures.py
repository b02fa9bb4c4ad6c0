"""Figures of an experiment: the checker's verdict on the history, the tables, the payments and the event log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from devstack.lab.books import Books, orders_of
from devstack.lab.experiment import STOCK, Experiment
from devstack.lab.history import Evidence, Fault, History, judge
from order_shared.aws.dynamodb import Item
from order_shared.domain.clock import utc_now
from order_shared.storage.event_log.repair import SCAN_LIMIT, EventLogRepair

EVENT_GRACE = timedelta(seconds=15)
"""Age from which a change must have its event. The events of younger changes may be on their way."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    at: datetime
    wanted: int = 0
    accepted: int = 0
    ended: int = 0
    lost: int = 0
    doubled: int = 0
    charged_twice: int = 0
    events_missing: int = 0
    messages: int = 0
    letters: int = 0
    stock_wrong: int = 0
    is_settled: bool = False
    details: tuple[str, ...] = ()
    """The contradictions that the checker found."""
    services: Mapping[str, str]
    """State of each process in a word."""


@dataclass(frozen=True)
class Checker:
    books: Books
    repair: EventLogRepair

    async def figures(self, experiment: Experiment, services: Mapping[str, str]) -> Figures:
        """Return the figures as of now. What customers know is read first, so that nothing later can look lost."""
        at = utc_now()
        accepted, wanted, was_placing = experiment.accepted, len(experiment.history.purchases), experiment.is_placing
        told = experiment.history.copy_of_told()
        items = await self.books.items()
        orders = orders_of(experiment.tenant, items)
        others = {item["order_id"] for item in items} - {order.order_id for order in orders}
        payments = await self.books.payments(since=int(experiment.started_at.timestamp()))
        has_stock = not was_placing and not any(order.is_open for order in orders) and bool(orders)
        evidence = Evidence(
            orders=orders,
            stock_before=STOCK if has_stock else {},
            stock_after=await self.books.stock(experiment.tenant) if has_stock else {},
            payments=[payment for payment in payments if payment.order_id not in others],
        )
        verdict = judge(History(experiment.history.purchases, told), evidence, is_settled=has_stock)
        own = [item for item in items if item["customer_key"].startswith(f"{experiment.tenant}#")]
        comparison = await self.repair.compare(
            _pages(own), since=experiment.started_at - EVENT_GRACE, until=at - EVENT_GRACE
        )
        messages, letters = await asyncio.gather(self.books.messages(), self.books.letters())
        ended = {order.order_id for order in orders if not order.is_open}
        return Figures(
            at=at,
            wanted=wanted,
            accepted=len(accepted),
            ended=len(accepted & ended),
            lost=verdict.faults[Fault.LOST],
            doubled=verdict.faults[Fault.DUPLICATED],
            charged_twice=verdict.faults[Fault.MONEY],
            stock_wrong=verdict.faults[Fault.STOCK],
            events_missing=sum(len(gap.events) for gap in comparison.gaps),
            messages=messages,
            letters=letters,
            is_settled=has_stock,
            details=tuple(verdict.details),
            services=services,
        )


async def _pages(items: list[Item]) -> AsyncIterator[list[Item]]:
    for start in range(0, len(items), SCAN_LIMIT):
        yield items[start : start + SCAN_LIMIT]
