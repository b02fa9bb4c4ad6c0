"""Traces: from a request, over the queue and the sweeper, to each write and payment.

They are off unless the environment names a collector, by OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`. Off, nothing is imported and nothing is wrapped for them; the trace that a
caller names is carried all the same, from the request to the message and into the log lines of both services.
"""

import os
import re
from collections.abc import Mapping

from order_shared.runtime.tracing.port import NO_TRACING, Tracing

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00: version, trace id, span id, flags."""


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace that is named; None for none, and for what is no `traceparent`."""
    named = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return named and named[1]


def is_tracing_enabled(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces. A collector is never guessed: without one there are none."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    match environment.get("OTEL_TRACES_EXPORTER", "otlp"):
        case "otlp" | "":
            names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            return any(environment.get(name) for name in names)
        case "console":
            return True
        case "none":
            return False
        case other:
            raise SystemExit(f"OTEL_TRACES_EXPORTER: it may be otlp, console or none, and is {other!r:.40}")


def open_tracing(service: str, version: str) -> Tracing:
    """Return the tracing that the environment asks for. Ends the process if its settings are invalid."""
    if not is_tracing_enabled(os.environ):
        return NO_TRACING
    from order_shared.runtime.tracing.spans import SpanTracing  # noqa: PLC0415 - a process that does not trace imports none of it

    return SpanTracing.exporting(service, version, os.environ)
