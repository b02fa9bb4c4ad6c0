"""Tracing with OpenTelemetry: spans for sent messages, handled messages, DynamoDB requests and payment calls.

Names and attributes follow OpenTelemetry's conventions. A span contains the type of an error but not its text, which
may quote data that must not be in traces. The log lines with the same trace id contain the text.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span as RecordedSpan
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aws_json_client import Transport
from order_shared.domain.order.messages import WorkMessage
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import MessagePublisher, Settled
from order_shared.runtime.tracing import TracingSettings
from order_shared.runtime.tracing.port import Tracing
from order_shared.runtime.tracing.sampling import with_independent_draw
from order_shared.runtime.tracing.traced import TracedPublisher, TracedTransport, fail

PROPAGATOR = TraceContextTextMapPropagator()
CLOSE_SECONDS = 3.0
MESSAGING = {"messaging.system": "aws_sqs"}
QUERY = "url.query"


class SpanTracing(Tracing):
    def __init__(self, provider: TracerProvider) -> None:
        self.provider = self._provider = provider
        provider.add_span_processor(_WithoutQueries())
        self._tracer = provider.get_tracer("order_shared")

    @classmethod
    def exporting(cls, service: str, version: str, settings: TracingSettings) -> Self:
        """Return tracing with the exporter, sampler and resource of OpenTelemetry's variables."""
        exporter: SpanExporter = (
            ConsoleSpanExporter()
            if settings.exporter == "console"
            else OTLPSpanExporter(timeout=settings.request_seconds)
        )
        named = Resource.create({"service.name": service, "service.version": version})
        provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        provider.sampler = with_independent_draw(provider.sampler)
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=settings.queue,
                schedule_delay_millis=settings.delay,
                max_export_batch_size=settings.batch,
                export_timeout_millis=settings.timeout,
            )
        )
        return cls(provider)

    async def aclose(self) -> None:
        """Export the remaining spans. Stop waiting after CLOSE_SECONDS, so that a collector cannot block the exit."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, CLOSE_SECONDS)

    def traceparent(self) -> str | None:
        return _traceparent(None)

    def describe(self, bound: Mapping[str, str]) -> None:
        trace.get_current_span().set_attributes(
            {name.replace("_", "."): value for name, value in bound.items() if name != "trace_id"}
        )

    def transport(self, transport: Transport) -> Transport:
        return TracedTransport(transport, self)

    def publisher(self, publisher: MessagePublisher) -> MessagePublisher:
        return TracedPublisher(publisher, self)

    def client(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Span]:
        return self._current(name, SpanKind.CLIENT, attributes)

    def sending(self, message: WorkMessage) -> tuple[WorkMessage, Settled]:
        """Start the span of sending a message.

        Return a copy of the message with the span as `traceparent`, and the callback that ends the span.

        The span's parent is the current span, such as a request. If there is no current span, as in the sweeper, the
        parent is the message's `traceparent`.
        """
        parent = None if trace.get_current_span().get_span_context().is_valid else _context_of(message)
        span = self._tracer.start_span(
            f"send {message.type}",
            context=parent,
            kind=SpanKind.PRODUCER,
            attributes={**MESSAGING, "messaging.operation.type": "send", "order.id": message.subject},
        )

        def sent(error: str | None) -> None:
            if error is not None:
                fail(span, error)
            span.end()

        return message.model_copy(update={"traceparent": _traceparent(trace.set_span_in_context(span))}), sent

    def handling(self, message: WorkMessage, delivery: Delivery) -> AbstractContextManager[Span]:
        attributes: dict[str, str | int] = {
            **MESSAGING,
            "messaging.operation.type": "process",
            "messaging.message.id": delivery.message.message_id,
            "messaging.aws_sqs.receive_count": delivery.message.receive_count,
            "order.id": message.subject,
            "tenant": message.tenantid,
        }
        return self._current(f"process {message.type}", SpanKind.CONSUMER, attributes, _context_of(message))

    @contextmanager
    def _current(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str | int], parent: Context | None = None
    ) -> Iterator[Span]:
        """Make a new span the current one until the end of the block. Mark the span as failed if the block raises."""
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                fail(span, type(error).__name__)
                raise


class _WithoutQueries(SpanProcessor):
    """Span processor that redacts the query string of a request, which may contain a search or even a token.

    The web framework's instrumentation records the query string.
    """

    def on_start(self, span: RecordedSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002 - signature of the SDK
        if QUERY in (span.attributes or ()):
            span.set_attribute(QUERY, "REDACTED")


def _traceparent(context: Context | None) -> str | None:
    """Return the `traceparent` of the span in `context`, or of the current span if `context` is None.

    Return None if there is no such span.
    """
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, context)
    return carrier.get("traceparent")


def _context_of(message: WorkMessage) -> Context:
    return PROPAGATOR.extract({"traceparent": message.traceparent or ""})
