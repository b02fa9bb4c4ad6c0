"""Tracing: a trace continues from the request, through the queue and the sweeper, to each DynamoDB request and payment.

Tracing is disabled unless OpenTelemetry's variables configure a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`) or output to
the console (`OTEL_TRACES_EXPORTER=console`). `OTEL_TRACES_SAMPLER` and `OTEL_SERVICE_NAME` are optional. When disabled,
no module of OpenTelemetry is imported and no adapter is wrapped. A caller's `traceparent` is still passed from the
request to the message and to the log lines of both services.
"""

import os
import re
from collections.abc import Mapping

from order_shared.runtime.tracing.port import NO_TRACING, Tracing

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00: version, trace id, span id, flags."""


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a `traceparent`; None if the `traceparent` is absent or invalid."""
    named = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return named and named[1]


def is_tracing_enabled(environment: Mapping[str, str]) -> bool:
    """Return whether the environment enables tracing. No collector is used by default.

    Raises SystemExit for an unsupported OTEL_TRACES_EXPORTER.
    """
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
            raise SystemExit(f"OTEL_TRACES_EXPORTER must be otlp, console or none, not {other!r:.40}")


def open_tracing(service: str, version: str) -> Tracing:
    """Return the tracing that the environment configures. Raises SystemExit for an unsupported exporter or protocol."""
    if not is_tracing_enabled(os.environ):
        return NO_TRACING
    from order_shared.runtime.tracing.spans import SpanTracing  # noqa: PLC0415 - imported only if tracing is enabled

    return SpanTracing.exporting(service, version, os.environ)
