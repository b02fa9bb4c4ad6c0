"""Assembly of one notifier from its settings and adapters. `main` handles signals, sockets and connections."""

import asyncio
from datetime import timedelta

from order_notifier.appender import Appender, ChangedOrderUnreadable
from order_notifier.config import NotifierSettings
from order_notifier.handlers import make_handler
from order_notifier.metrics import NotifierMetrics
from order_notifier.webhook.courier import Courier
from order_notifier.webhook.deliveries import Deliveries, Options
from order_notifier.webhook.run import Tools
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.report import HandlingReport
from order_shared.runtime.adapters import Adapters
from order_shared.webhook_http.sender import WebhookSender

EXPECTED = frozenset({StorageUnavailable.__name__, ChangedOrderUnreadable.__name__})
"""Causes of failed handlings that occur without a defect: many writers of one log, or an order of a newer release."""


class Notifier:
    """Consumer of the change feed in one process, its appender, and its deliveries to webhook endpoints."""

    def __init__(
        self,
        settings: NotifierSettings,
        adapters: Adapters,
        metrics: NotifierMetrics,
        sender: WebhookSender | None = None,
        *,
        clock: Clock = utc_now,
    ) -> None:
        """Create a notifier. Without `sender`, or without keys of webhooks, it delivers nothing."""
        self._metrics = metrics
        box = settings.secret_box
        self._deliveries: Deliveries | None = None
        if sender is not None and box is not None:
            courier = Courier(adapters.orders, sender, box, on_unreadable=metrics.webhooks.left_out, clock=clock)
            self._deliveries = _deliveries(settings, adapters, metrics, courier, clock)
        self._appender = Appender(
            adapters.orders, adapters.event_writer, on_appended=self._appended, on_timelines=metrics.timelines.inc
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
        """Return the seconds since the slowest poller completed a loop, or the deliveries read the due endpoints."""
        return max(self._consumer.idle_seconds, self._deliveries.idle_seconds if self._deliveries else 0.0)

    def stop(self) -> None:
        """Stop receiving messages. `run` returns when the messages in progress are finished."""
        self._consumer.stop()
        if self._deliveries is not None:
            self._deliveries.stop()

    async def run(self) -> None:
        """Append events until `stop` is called. Return when drained."""
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(self._handlings.run())
            delivering = None if self._deliveries is None else group.create_task(self._deliveries.run())
            await self._consumer.run()
            await self._appender.close()
            if self._deliveries is not None and delivering is not None:
                await self._deliveries.close()
                await delivering
            reporting.cancel()

    def _appended(self, tenant: str, events: int) -> None:
        self._metrics.appended(events)
        if self._deliveries is not None and events:
            self._deliveries.appended(tenant)


def _deliveries(
    settings: NotifierSettings, adapters: Adapters, metrics: NotifierMetrics, courier: Courier, clock: Clock
) -> Deliveries:
    tools = Tools(
        leases=adapters.endpoint_leases,
        events=adapters.event_reader,
        courier=courier,
        lease=timedelta(seconds=settings.webhook_lease_seconds),
        stopping=asyncio.Event(),
        on_attempt=metrics.webhooks.attempted,
        clock=clock,
    )
    options = Options(
        places=settings.webhook_places,
        check_seconds=settings.webhook_check_seconds,
        drain_seconds=settings.drain_seconds,
    )
    return Deliveries(
        adapters.endpoints,
        tools,
        options,
        on_census=metrics.webhooks.counted,
        on_error=metrics.webhooks.errors.inc,
    )
