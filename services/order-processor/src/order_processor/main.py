"""Composition root and entry point of the processor."""

import asyncio
import signal
import socket
from contextlib import aclosing

import stripe
import structlog
import uvloop

from order_processor.config import ProcessorSettings
from order_processor.metrics import ProcessorMetrics
from order_processor.payments.stripe_gateway import StripeGateway
from order_processor.payments.traced_gateway import TracedGateway
from order_processor.processor import Processor
from order_shared.runtime.adapters import Adapters, open_adapters
from order_shared.runtime.config import load_settings
from order_shared.runtime.gc_tuning import freeze_heap
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.settings import reject
from order_shared.runtime.sockets import listen
from order_shared.runtime.tracing import open_tracing
from order_shared.runtime.tracing.port import Tracing
from order_shared.runtime.worker_health import health_server

log = structlog.get_logger(__name__)

MAX_IDLE_SECONDS = 90.0
"""Time without a completed loop after which a poller counts as stuck: longer than a long poll and its time-outs."""


def run() -> None:
    settings = load_settings(ProcessorSettings)
    if home := settings.home_elsewhere:
        reject(f"AWS_REGION: order-processor runs only in the home region {home}, not in {settings.aws_region}")
    tracing = open_tracing("order-processor", settings.commit)
    stripe.enable_telemetry = False  # telemetry writes to a home directory, which the container does not have
    configure_logging(settings.log_level)
    with listen(settings.host, settings.port) as listener:
        uvloop.run(serve(settings, listener, tracing))


async def serve(settings: ProcessorSettings, listener: socket.socket, tracing: Tracing) -> None:
    """Process messages until SIGTERM or SIGINT, then drain."""
    metrics = ProcessorMetrics()
    metrics.name_build("order-processor", settings.commit)
    payments = StripeGateway(
        settings.payment_api_key.get_secret_value(),
        settings.payment_api_base,
        environment=settings.environment_of_payments,
    )
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
        processor = Processor(settings, adapters, TracedGateway(payments, tracing), metrics, tracing=tracing)
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, processor.stop)
        await _process(settings, processor, adapters, metrics, listener)


async def _process(
    settings: ProcessorSettings,
    processor: Processor,
    adapters: Adapters,
    metrics: ProcessorMetrics,
    listener: socket.socket,
) -> None:
    async with health_server(
        listener,
        readiness=Readiness(required={"dynamodb": adapters.orders.ping}, optional={"sqs": adapters.queue.ping}),
        metrics=metrics,
        idle_seconds=lambda: processor.idle_seconds,
        max_idle_seconds=MAX_IDLE_SECONDS,
    ):
        log.info("processing", queue=settings.queue_name)
        freeze_heap()
        await processor.run()
        log.info("drained")
