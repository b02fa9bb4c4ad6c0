"""The port of tracing: what a service asks of it, and what it does for a process that does not trace."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from aws_json_client import Transport
from order_shared.domain.order.events import Event
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import EventPublisher

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing:
    """The traces of one process. Of one that does not trace, nothing is wrapped and no span is made.

    Whatever is wrong with the collector, the work goes on.
    """

    provider: "TracerProvider | None" = None
    """OpenTelemetry's provider; None if this process does not trace."""

    def traceparent(self) -> str | None:
        """Return the `traceparent` of the span under way, or None if there is none."""
        return None

    def describe(self, bound: Mapping[str, str]) -> None:
        """Add the values that are bound to log lines to the span under way; `order_id` becomes `order.id`."""

    def transport(self, transport: Transport) -> Transport:
        """Return the transport with a span for each request that belongs to a trace."""
        return transport

    def publisher(self, publisher: EventPublisher) -> EventPublisher:
        """Return the publisher with a span for each message."""
        return publisher

    def client(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Any]:  # noqa: ARG002 - for SpanTracing
        """Return the span of a request to another service, within what is under way."""
        return nullcontext()

    def handling(self, event: Event, delivery: Delivery) -> AbstractContextManager[Any]:  # noqa: ARG002 - for SpanTracing
        """Return the span of one delivery's handling: a child of its sending, whenever and by whom it is handled."""
        return nullcontext()

    async def aclose(self) -> None:
        """Send what is left."""


NO_TRACING = Tracing()
