"""Our consumer with a handler that does nothing, in a process that is otherwise the processor's: the same queue,
settings, logging and metrics; no health server and no sweeper. If `DISPATCH` is set, it reads each event first and
chooses by its type what to do, as the processor does.

`python -m tests.bench.ours`
"""

import asyncio
import os
import signal

import uvloop

from order_processor.config import ProcessorSettings
from order_processor.metrics import ProcessorMetrics
from order_shared.domain.order.messages import CancellationRequested, ProcessingRequested, WorkMessage, parse_message
from order_shared.messaging.consumer.consumer import Consumer
from order_shared.messaging.delivery import Delivery, Handler
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.config import load_settings
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.sockets import listen
from tests.bench.peers.tally import count


async def do_nothing(_delivery: Delivery) -> None:
    count()


async def _no_flow(_event: WorkMessage) -> None:
    count()


FLOWS = {ProcessingRequested: _no_flow, CancellationRequested: _no_flow}


async def dispatch(delivery: Delivery) -> None:
    event = parse_message(delivery.message.body)
    await FLOWS[type(event)](event)


async def serve(settings: ProcessorSettings, handler: Handler) -> None:
    metrics = ProcessorMetrics()
    async with open_adapters(
        settings, metrics, deadline=settings.storage_deadline_seconds, pollers=settings.pollers
    ) as adapters:
        consumer = Consumer(adapters.queue, handler, settings.consumer_options, metrics.consumer)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, consumer.stop)
        await consumer.run()


def main() -> None:
    settings = load_settings(ProcessorSettings)
    configure_logging(settings.log_level)
    with listen(settings.host, settings.port):  # nobody answers there; its line in the log says that we have begun
        uvloop.run(serve(settings, dispatch if os.environ.get("DISPATCH") else do_nothing))


if __name__ == "__main__":
    main()
