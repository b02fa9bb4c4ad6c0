"""The port of an AWS transport over another one, each request a span of the trace that it belongs to."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from aws_json_client import Answer, ResponseError, Transport
from order_shared.runtime.tracing.span_errors import fail

if TYPE_CHECKING:
    from order_shared.runtime.tracing.spans import SpanTracing


class TracedTransport:
    """Polls, sweeps and batches belong to no order's trace, and make none of their own."""

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
        """Return an error response instead of raising it: the span names its code, and not the exception's class."""
        try:
            return await self._transport.call(operation, payload)
        except ResponseError as error:
            return error
