"""The port of tracing: what a service asks of it, and what it does for a process that does not trace."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from aws_json_client import Transport
from order_shared.domain.order.events import Event
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import EventPublisher

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing(Protocol):
    """The traces of one process. Whatever is wrong with the collector, the work goes on."""

    @property
    def provider(self) -> "TracerProvider | None":
        """OpenTelemetry's provider; None if this process does not trace."""

    def traceparent(self) -> str | None:
        """Return the `traceparent` of the span under way, or None if there is none."""

    def describe(self, bound: Mapping[str, str]) -> None:
        """Add the values that are bound to log lines to the span under way."""

    def transport(self, transport: Transport) -> Transport:
        """Return the transport with a span for each request that belongs to a trace."""

    def publisher(self, publisher: EventPublisher) -> EventPublisher:
        """Return the publisher with a span for each message."""

    def client(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Any]:
        """Return the span of a request to another service."""

    def handling(self, event: Event, delivery: Delivery) -> AbstractContextManager[Any]:
        """Return the span of one delivery's handling, a child of its sending."""

    async def aclose(self) -> None:
        """Send what is left."""


class NoTracing:
    """The tracing of a process that does not trace: nothing is wrapped, and no span is made."""

    provider = None

    def traceparent(self) -> str | None:
        return None

    def describe(self, bound: Mapping[str, str]) -> None:
        pass

    def transport(self, transport: Transport) -> Transport:
        return transport

    def publisher(self, publisher: EventPublisher) -> EventPublisher:
        return publisher

    def client(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Any]:  # noqa: ARG002 - the port's
        return nullcontext()

    def handling(self, event: Event, delivery: Delivery) -> AbstractContextManager[Any]:  # noqa: ARG002 - the port's
        return nullcontext()

    async def aclose(self) -> None:
        pass


NO_TRACING = NoTracing()
