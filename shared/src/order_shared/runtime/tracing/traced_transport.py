"""The port of an AWS transport over another one, each request a span of the trace that it belongs to."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from aiodynamo.credentials import Credentials
from aiodynamo.http.types import HttpImplementation, Response
from opentelemetry import trace

from order_shared.aws.service import Transport
from order_shared.runtime.tracing.span_errors import fail

if TYPE_CHECKING:
    from order_shared.runtime.tracing.spans import SpanTracing


class TracedTransport:
    """Polls, sweeps and batches belong to no order's trace, and make none of their own."""

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
