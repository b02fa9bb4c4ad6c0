"""Assembly of one notifier from its settings and adapters. `main` handles signals, sockets and connections."""

import asyncio

from order_notifier.appender import Appender, ChangedOrderUnreadable
from order_notifier.config import NotifierSettings
from order_notifier.handlers import make_handler
from order_notifier.metrics import NotifierMetrics
from order_shared.domain.errors import StorageUnavailable
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.report import HandlingReport
from order_shared.runtime.adapters import Adapters

EXPECTED = frozenset({StorageUnavailable.__name__, ChangedOrderUnreadable.__name__})
"""Causes of failed handlings that occur without a defect: many writers of one log, or an order of a newer release."""


class Notifier:
    """Consumer of the change feed in one process, and its appender."""

    def __init__(self, settings: NotifierSettings, adapters: Adapters, metrics: NotifierMetrics) -> None:
        self._appender = Appender(
            adapters.orders, adapters.event_writer, on_appended=metrics.appended, on_timelines=metrics.timelines.inc
        )
        self._handlings = HandlingReport(expected=EXPECTED)
        self._consumer = Consumer(
            adapters.queue,
            make_handler(self._appender),
            settings.consumer_options,
            metrics.consumer,
            self._handlings.count,
            Backlog(),
        )

    @property
    def idle_seconds(self) -> float:
        """Return the seconds since the slowest poller completed a loop."""
        return self._consumer.idle_seconds

    def stop(self) -> None:
        """Stop receiving messages. `run` returns when the messages in progress are finished."""
        self._consumer.stop()

    async def run(self) -> None:
        """Append events until `stop` is called. Return when drained."""
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(self._handlings.run())
            await self._consumer.run()
            reporting.cancel()
        await self._appender.close()
