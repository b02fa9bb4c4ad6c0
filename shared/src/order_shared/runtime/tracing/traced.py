"""The ports of the publisher and of an AWS transport over other ones, with spans."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from aiodynamo.credentials import Credentials
from aiodynamo.http.types import HttpImplementation, Response
from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from order_shared.aws.service import Transport
from order_shared.domain.order.events import Event
from order_shared.messaging.publisher import EventPublisher, Settled, ignore

if TYPE_CHECKING:
    from order_shared.runtime.tracing.spans import SpanTracing


def fail(span: Span, kind: str) -> None:
    """Mark the span as failed, by the kind of the error only: a text may quote what no trace should hold."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


class TracedPublisher:
    """Each message is a span of its order's trace, which ends when the message is settled. The message names it."""

    def __init__(self, publisher: EventPublisher, tracing: "SpanTracing") -> None:
        self._publisher = publisher
        self._tracing = tracing

    def offer(self, event: Event, on_settled: Settled = ignore) -> None:
        event, end_span = self._tracing.sending(event)
        self._publisher.offer(event, _both(end_span, on_settled))

    async def send(self, event: Event, on_settled: Settled = ignore) -> bool:
        event, end_span = self._tracing.sending(event)
        return await self._publisher.send(event, _both(end_span, on_settled))

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of a shutdown, not of a call
        await self._publisher.close(timeout)


def _both(first: Settled, second: Settled) -> Settled:
    def settled(error: str | None) -> None:
        first(error)
        second(error)

    return settled


class TracedTransport:
    """Each request is a span of its trace. Polls, sweeps and batches belong to none, and make none of their own."""

    def __init__(self, transport: Transport, tracing: "SpanTracing") -> None:
        self._transport = transport
        self._tracing = tracing

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def region(self) -> str:
        return self._transport.region

    @property
    def send(self) -> HttpImplementation:
        return self._transport.send

    @property
    def credentials(self) -> Credentials:
        return self._transport.credentials

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Response:
        if not trace.get_current_span().is_recording():
            return await self._transport.call(operation, payload)
        attributes = {"rpc.system": "aws-api", "rpc.service": self.name, "rpc.method": operation}
        with self._tracing.client(f"{self.name}.{operation}", attributes) as span:
            response = await self._transport.call(operation, payload)
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= HTTPStatus.BAD_REQUEST:
                fail(span, _error_code(response))
            return response


def _error_code(response: Response) -> str:
    """Return the error's name in AWS, such as `TransactionCanceledException`; the status if it has none."""
    try:
        return str(orjson.loads(response.body)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return str(response.status)
