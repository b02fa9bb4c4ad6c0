"""Tracing that keeps its spans for tests."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from order_shared.runtime.tracing.spans import SpanTracing


class Traces:
    """`tracing` is for a service; the spans that have ended are kept here."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = SpanTracing(provider)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """Return the last span of each name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}
