"""Assembly of one processor from its settings and adapters. `main` handles signals, sockets and connections."""

import asyncio
from datetime import timedelta

from order_processor.config import ProcessorSettings
from order_processor.handlers import make_handler
from order_processor.metrics import ProcessorMetrics
from order_processor.order.flows import FlowContext
from order_processor.payments.gateway import FailureReason, PaymentGateway
from order_processor.payments.guarded_gateway import GuardedGateway
from order_processor.schedule import SweepSchedule
from order_processor.sweeper import Sweeper
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.errors import StorageUnavailable
from order_shared.messaging.backlog import Backlog
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.consumer.report import HandlingReport
from order_shared.messaging.publisher import Publisher
from order_shared.runtime.adapters import Adapters
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.storage.item_schema import UnknownItemVersion

FLUSH_SECONDS = 5.0

EXPECTED = frozenset(
    {
        StorageUnavailable.__name__,
        UnknownItemVersion.__name__,
        f"payment_{FailureReason.KEY_REUSED}",
        f"payment_{FailureReason.PENDING}",
        f"payment_{FailureReason.PACED}",
    }
)
"""Causes of failed handlings that occur without a defect: many concurrent orders of one product, an order written by a
newer release, a payment that another release has created, a slow bank, or a reached call rate."""


def make_handling_report() -> HandlingReport:
    """Return a report whose field `payments_refused` counts requests that the payment provider refused.

    The cause of such a refusal is an error on our side.
    """
    return HandlingReport(expected=EXPECTED, named={"payments_refused": f"payment_{FailureReason.REFUSED}"})


class Processor:
    """Consumer and sweeper of one process, and the dependencies that they share."""

    def __init__(
        self,
        settings: ProcessorSettings,
        adapters: Adapters,
        payments: PaymentGateway,
        metrics: ProcessorMetrics,
        *,
        clock: Clock = utc_now,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        backlog = Backlog()
        schedule = SweepSchedule(timedelta(seconds=settings.sweep_base_seconds))
        context = FlowContext(
            adapters.orders,
            adapters.inventory,
            GuardedGateway(payments, calls_per_second=settings.payment_calls_per_second),
            clock,
            timedelta(seconds=settings.lease_seconds),
            schedule,
            metrics.order_ended,
            metrics.payment_failed,
        )
        self._handlings = make_handling_report()
        self._consumer = Consumer(
            adapters.queue,
            make_handler(context, tracing),
            settings.consumer_options,
            metrics.consumer,
            self._handlings.count,
            backlog,
        )
        self._publisher = tracing.publisher(
            Publisher(
                adapters.queue,
                former_types=adapters.former_message_types,
                on_batch=metrics.publish_batch.observe,
                on_failure=metrics.publish_failures.inc,
            )
        )
        self._sweeper = Sweeper(
            adapters.orders,
            self._publisher,
            metrics,
            clock=clock,
            backlog=backlog,
            depth=adapters.queue.depth,
            schedule=schedule,
            interval=timedelta(seconds=settings.sweep_interval_seconds),
            open_shards=settings.open_shards,
        )

    @property
    def idle_seconds(self) -> float:
        """Return the seconds since the slowest poller completed a loop."""
        return self._consumer.idle_seconds

    def stop(self) -> None:
        """Stop receiving messages and sweeping. `run` returns when the messages in progress are finished."""
        self._consumer.stop()
        self._sweeper.stop()

    async def run(self) -> None:
        """Process messages and sweep until `stop` is called. Return when drained."""
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(self._handlings.run())
            sweeping = group.create_task(self._sweeper.run())
            await self._consumer.run()
            sweeping.cancel()  # it was asked to stop; only a dependency that does not respond still blocks it
            reporting.cancel()
        await self._publisher.close(FLUSH_SECONDS)
