"""Publisher and AWS transport that create spans around another publisher or transport."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from aws_json_client import Answer, ResponseError, Transport
from order_shared.domain.order.messages import WorkMessage
from order_shared.messaging.publisher import MessagePublisher, Settled, ignore

if TYPE_CHECKING:
    from order_shared.runtime.tracing.spans import SpanTracing


def fail(span: Span, kind: str) -> None:
    """Mark the span as failed, with the error type `kind`.

    The error's text is omitted, because it may quote data that must not be in traces.
    """
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


class TracedPublisher:
    """Publisher that creates a span for each message, and ends the span when the send succeeds or fails.

    The message's `traceparent` identifies the span.
    """

    def __init__(self, publisher: MessagePublisher, tracing: "SpanTracing") -> None:
        self._publisher = publisher
        self._tracing = tracing

    def offer(self, message: WorkMessage, on_settled: Settled = ignore) -> None:
        message, end_span = self._tracing.sending(message)
        self._publisher.offer(message, _both(end_span, on_settled))

    async def send(self, message: WorkMessage, on_settled: Settled = ignore) -> bool:
        message, end_span = self._tracing.sending(message)
        return await self._publisher.send(message, _both(end_span, on_settled))

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - limit of the shutdown
        await self._publisher.close(timeout)


def _both(first: Settled, second: Settled) -> Settled:
    def settled(error: str | None) -> None:
        first(error)
        second(error)

    return settled


class TracedTransport:
    """Transport that creates a child span for each request while the current span is recorded.

    Requests without a current span, such as those of a sweep, are not traced.
    """

    def __init__(self, transport: Transport, tracing: "SpanTracing") -> None:
        self.name = transport.name
        self._transport = transport
        self._tracing = tracing

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        if not trace.get_current_span().is_recording():
            return await self._transport.call(operation, payload)
        attributes = {"rpc.system": "aws-api", "rpc.service": self.name, "rpc.method": operation}
        with self._tracing.client(f"{self.name}.{operation}", attributes) as span:
            outcome = await self._outcome(operation, payload)
            if outcome.request_id:
                span.set_attribute("aws.request_id", outcome.request_id)
            status = outcome.status if isinstance(outcome, ResponseError) else HTTPStatus.OK
            span.set_attribute("http.response.status_code", status)
            if isinstance(outcome, ResponseError):
                fail(span, outcome.code)
        if isinstance(outcome, ResponseError):
            raise outcome
        return outcome

    async def _outcome(self, operation: str, payload: Mapping[str, Any]) -> Answer | ResponseError:
        """Make the request, and return an error response instead of raising it.

        The caller can then mark the span with the response's error code instead of the exception's class.
        """
        try:
            return await self._transport.call(operation, payload)
        except ResponseError as error:
            return error
