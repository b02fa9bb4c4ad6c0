"""Composition root and entry point of the processor."""

import asyncio
import signal
import socket
from contextlib import aclosing
from datetime import timedelta

import stripe
import structlog
import uvloop

from order_processor.config import ProcessorSettings
from order_processor.handlers import make_handler
from order_processor.handling_report import HandlingReport
from order_processor.health import health_server
from order_processor.metrics import ProcessorMetrics
from order_processor.order.flows import FlowContext
from order_processor.payments.gateway import PaymentGateway
from order_processor.payments.stripe_gateway import StripeGateway
from order_processor.payments.traced_gateway import TracedGateway
from order_processor.sweeper import Sweeper
from order_shared.domain.clock import utc_now
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.publisher import Publisher
from order_shared.runtime.adapters import Adapters, open_adapters
from order_shared.runtime.config import load_settings
from order_shared.runtime.gc_tuning import freeze_heap
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import answer_version
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.sockets import listen
from order_shared.runtime.tracing import open_tracing
from order_shared.runtime.tracing.port import Tracing

log = structlog.get_logger(__name__)

MAX_IDLE_SECONDS = 90.0
"""Time without a completed loop after which a poller counts as stuck: longer than a long poll and its time-outs."""

FLUSH_SECONDS = 5.0


def run() -> None:
    answer_version("order-processor")
    settings = load_settings(ProcessorSettings)
    if home := settings.home_elsewhere:
        raise SystemExit(f"order-processor runs only in the home region {home}; AWS_REGION is {settings.aws_region}")
    stripe.enable_telemetry = False  # telemetry writes to a home directory, which the container does not have
    configure_logging(settings.log_level)
    with listen(settings.host, settings.port) as listener:
        uvloop.run(serve(settings, listener))


async def serve(settings: ProcessorSettings, listener: socket.socket) -> None:
    """Process messages until SIGTERM or SIGINT, then drain."""
    metrics = ProcessorMetrics()
    metrics.name_build("order-processor", settings.commit)
    tracing = open_tracing("order-processor", settings.commit)
    payments = StripeGateway(settings.payment_api_key.get_secret_value(), settings.payment_api_base)
    async with (
        aclosing(tracing),
        aclosing(payments),
        open_adapters(
            settings,
            metrics,
            deadline=settings.storage_deadline_seconds,
            pollers=settings.pollers,
            tracing=tracing,
        ) as adapters,
    ):
        await _process(settings, adapters, TracedGateway(payments, tracing), metrics, listener, tracing)


async def _process(
    settings: ProcessorSettings,
    adapters: Adapters,
    payments: PaymentGateway,
    metrics: ProcessorMetrics,
    listener: socket.socket,
    tracing: Tracing,
) -> None:
    lease = timedelta(seconds=settings.lease_seconds)
    context = FlowContext(
        adapters.orders, adapters.inventory, payments, utc_now, lease, metrics.order_ended, metrics.payment_failed
    )
    handlings = HandlingReport()
    consumer = Consumer(
        adapters.queue, make_handler(context, tracing), settings.consumer_options, metrics.consumer, handlings.count
    )
    publisher = tracing.publisher(
        Publisher(adapters.queue, on_batch=metrics.publish_batch.observe, on_failure=metrics.publish_failures.inc)
    )
    sweeper = Sweeper(
        adapters.orders,
        publisher,
        metrics,
        clock=utc_now,
        lag_ms=lambda: consumer.lag_ms,
        depth=adapters.queue.depth,
        base=timedelta(seconds=settings.sweep_base_seconds),
        interval=timedelta(seconds=settings.sweep_interval_seconds),
        open_shards=settings.open_shards,
    )

    def stop() -> None:
        consumer.stop()
        sweeper.stop()

    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop)
    async with health_server(
        listener,
        readiness=Readiness(required={"dynamodb": adapters.orders.ping}, optional={"sqs": adapters.queue.ping}),
        metrics=metrics,
        idle_seconds=lambda: consumer.idle_seconds,
        max_idle_seconds=MAX_IDLE_SECONDS,
    ):
        log.info("processing", queue=settings.queue_name)
        freeze_heap()
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(handlings.run())
            sweeping = group.create_task(sweeper.run())
            await consumer.run()
            sweeping.cancel()  # it was asked to stop; only a dependency that does not respond still blocks it
            reporting.cancel()
        await publisher.close(FLUSH_SECONDS)
        log.info("drained")
