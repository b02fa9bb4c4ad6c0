"""Map events to flows, and errors of flows to those that the consumer knows.

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
from order_shared.domain.order.events import Event, OrderCancelRequested, OrderPlaced, UnreadableEvent, parse_event
from order_shared.messaging.consumer.consumer import CRASHED
from order_shared.messaging.delivery import Deferred, Delivery, Handler, Unprocessable
from order_shared.runtime.tracing import trace_id_of
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.storage.item_schema import UnknownItemVersion

Flow = Callable[[Any, Delivery, FlowContext], Awaitable[None]]
"""Flow of one event type. Its first argument is an event of the type that it is registered for."""

HANDLERS: Mapping[type[Event], Flow] = {OrderPlaced: flows.place, OrderCancelRequested: flows.cancel}

log = structlog.get_logger(__name__)


def make_handler(context: FlowContext, tracing: Tracing = NO_TRACING) -> Handler:
    async def handle(delivery: Delivery) -> None:
        try:
            event = parse_event(delivery.message.body)
        except UnreadableEvent as error:
            raise Unprocessable(error.reason, error.detail) from error
        # Unbinding is not needed: the consumer handles each message in its own task and so in its own context.
        bind_contextvars(order_id=event.subject, tenant=event.tenantid)
        if trace_id := trace_id_of(event.traceparent):
            bind_contextvars(trace_id=trace_id)
        flow = HANDLERS.get(type(event))
        if flow is None:  # not counted as an attempt of the order; a release that supports the type can redrive it
            raise Unprocessable("unhandled_type", event.type)
        with tracing.handling(event, delivery):
            await _run(flow, event, delivery, context)

    return handle


async def _run(flow: Flow, event: Event, delivery: Delivery, context: FlowContext) -> None:
    """Run the flow. Convert its errors to those with which the consumer settles the message."""
    try:
        await flow(event, delivery, context)
    except UnreadableEvent as error:
        raise Unprocessable(error.reason, error.detail) from error
    except (PaymentUnavailable, StorageUnavailable, UnknownItemVersion) as error:
        if delivery.message.receive_count < flows.DEFER_AFTER:
            raise
        log.warning("message_deferred", error=str(error))
        raise Deferred(error.cause) from error
    except PlatformError:
        raise  # an expected error, such as a lost lease: not counted as a failure of the order
    except Exception as error:
        if not await flows.record_failure(error, event.customer, event.subject, delivery, context):
            raise
        log.exception("handler_crashed", message_id=delivery.message.message_id)
        raise Deferred(CRASHED) from error
