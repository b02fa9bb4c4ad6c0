"""Composition root and entry point of the notifier."""

import asyncio
import signal
import socket
from contextlib import aclosing
from datetime import timedelta

import structlog
import uvloop

from order_notifier.config import NotifierSettings
from order_notifier.metrics import NotifierMetrics
from order_notifier.notifier import Notifier
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.config import load_settings
from order_shared.runtime.gc_tuning import freeze_heap
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.settings import reject
from order_shared.runtime.sockets import listen
from order_shared.runtime.tracing import open_tracing
from order_shared.runtime.tracing.port import Tracing
from order_shared.runtime.worker_health import health_server
from order_shared.webhook_http.sender import open_sender

log = structlog.get_logger(__name__)

MAX_IDLE_SECONDS = 90.0
"""Time without a completed loop after which a poller counts as stuck: longer than a long poll and its time-outs."""


def run() -> None:
    settings = load_settings(NotifierSettings)
    if home := settings.home_elsewhere:
        reject(f"AWS_REGION: order-notifier runs only in the home region {home}, not in {settings.aws_region}")
    tracing = open_tracing("order-notifier", settings.commit)
    configure_logging(settings.log_level)
    with listen(settings.host, settings.port) as listener:
        uvloop.run(serve(settings, listener, tracing))


async def serve(settings: NotifierSettings, listener: socket.socket, tracing: Tracing) -> None:
    """Append events until SIGTERM or SIGINT, then drain."""
    metrics = NotifierMetrics()
    metrics.name_build("order-notifier", settings.commit)
    async with (
        aclosing(tracing),
        open_adapters(
            settings,
            metrics,
            deadline=settings.storage_deadline_seconds,
            pollers=settings.pollers,
            tracing=tracing,
            lease=timedelta(seconds=settings.webhook_lease_seconds),
        ) as adapters,
        open_sender(local_receivers=settings.webhook_local_receivers) as sender,
    ):
        notifier = Notifier(settings, adapters, metrics, sender)
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, notifier.stop)
        async with health_server(
            listener,
            readiness=Readiness(required={"dynamodb": adapters.orders.ping}, optional={"sqs": adapters.queue.ping}),
            metrics=metrics,
            idle_seconds=lambda: notifier.idle_seconds,
            max_idle_seconds=MAX_IDLE_SECONDS,
        ):
            await adapters.event_writer.begin()
            log.info("notifying", queue=settings.queue_name)
            freeze_heap()
            await notifier.run()
            log.info("drained")
