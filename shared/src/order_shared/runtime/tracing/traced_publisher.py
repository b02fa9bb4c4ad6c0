"""The port of the publisher over another one, each message a span of its order's trace."""

from typing import TYPE_CHECKING

from order_shared.domain.order.events import Event
from order_shared.messaging.publisher import EventPublisher, Settled, ignore

if TYPE_CHECKING:
    from order_shared.runtime.tracing.spans import SpanTracing


class TracedPublisher:
    """The message names the span of its sending, which ends when the message is settled."""

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
