"""Port of tracing, and its implementation for a process with tracing disabled."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from aws_json_client import Transport
from order_shared.domain.order.messages import WorkMessage
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import MessagePublisher

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing:
    """Tracing of one process. This base class implements disabled tracing: it wraps nothing and creates no spans.

    An error of the collector must not affect the traced work.
    """

    provider: "TracerProvider | None" = None
    """OpenTelemetry's provider; None if tracing is disabled."""

    def traceparent(self) -> str | None:
        """Return the `traceparent` of the current span, or None if there is none."""
        return None

    def describe(self, bound: Mapping[str, str]) -> None:
        """Set the log context `bound` as attributes of the current span; `order_id` becomes `order.id`."""

    def transport(self, transport: Transport) -> Transport:
        """Return a transport that creates a child span for each request while the current span is recorded."""
        return transport

    def publisher(self, publisher: MessagePublisher) -> MessagePublisher:
        """Return a publisher that creates a span for each message and passes the message on."""
        return publisher

    def client(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Any]:  # noqa: ARG002 - used by SpanTracing
        """Return a context manager for the span of a request to another service, a child of the current span."""
        return nullcontext()

    def handling(self, message: WorkMessage, delivery: Delivery) -> AbstractContextManager[Any]:  # noqa: ARG002 - used by SpanTracing
        """Return a context manager for the span of handling one delivery, a child of the span that sent the message."""
        return nullcontext()

    async def aclose(self) -> None:
        """Export the spans that have not been exported yet."""


NO_TRACING = Tracing()
