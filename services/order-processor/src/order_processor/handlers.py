"""Map messages to flows, and errors of flows to those that the consumer knows.

The error that a handler raises determines how the consumer settles the message: see `messaging.consumer`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars

from order_processor.order import flows
from order_processor.order.flows import FlowContext
from order_processor.payments.gateway import PaymentUnavailable
from order_shared.domain.errors import PlatformError, StorageUnavailable
from order_shared.domain.order.messages import (
    CancellationRequested,
    ProcessingRequested,
    UnreadableMessage,
    WorkMessage,
    parse_message,
)
from order_shared.messaging.consumer.consumer import CRASHED
from order_shared.messaging.delivery import Deferred, Delivery, Handler, Unprocessable
from order_shared.runtime.tracing import trace_id_of
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.storage.item_schema import UnknownItemVersion

Flow = Callable[[Any, Delivery, FlowContext], Awaitable[None]]
"""Flow of one message type. Its first argument is a message of the type that it is registered for."""

HANDLERS: Mapping[type[WorkMessage], Flow] = {ProcessingRequested: flows.place, CancellationRequested: flows.cancel}

log = structlog.get_logger(__name__)


def make_handler(context: FlowContext, tracing: Tracing = NO_TRACING) -> Handler:
    async def handle(delivery: Delivery) -> None:
        try:
            message = parse_message(delivery.message.body)
        except UnreadableMessage as error:
            raise Unprocessable(error.reason, error.detail) from error
        # Unbinding is not needed: the consumer handles each message in its own task and so in its own context.
        bind_contextvars(order_id=message.subject, tenant=message.tenantid)
        if trace_id := trace_id_of(message.traceparent):
            bind_contextvars(trace_id=trace_id)
        flow = HANDLERS.get(type(message))
        if flow is None:  # not counted as an attempt of the order; a release that supports the type can redrive it
            raise Unprocessable("unhandled_type", message.type)
        with tracing.handling(message, delivery):
            await _run(flow, message, delivery, context)

    return handle


async def _run(flow: Flow, message: WorkMessage, delivery: Delivery, context: FlowContext) -> None:
    """Run the flow. Convert its errors to those with which the consumer settles the message."""
    try:
        await flow(message, delivery, context)
    except UnreadableMessage as error:
        raise Unprocessable(error.reason, error.detail) from error
    except (PaymentUnavailable, StorageUnavailable, UnknownItemVersion) as error:
        if delivery.message.receive_count < flows.DEFER_AFTER:
            raise
        log.warning("message_deferred", error=str(error))
        raise Deferred(error.cause) from error
    except PlatformError:
        raise  # an expected error, such as a lost lease: not counted as a failure of the order
    except Exception as error:
        if not await flows.record_failure(error, message.customer, message.subject, delivery, context):
            raise
        log.exception("handler_crashed", message_id=delivery.message.message_id)
        raise Deferred(CRASHED) from error
