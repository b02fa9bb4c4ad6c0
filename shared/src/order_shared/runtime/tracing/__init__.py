"""Tracing: a trace continues from the request, through the queue and the sweeper, to each DynamoDB request and payment.

Tracing is disabled unless OpenTelemetry's variables configure a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`) or output to
the console (`OTEL_TRACES_EXPORTER=console`). `OTEL_TRACES_SAMPLER` and `OTEL_SERVICE_NAME` are optional. When disabled,
no module of OpenTelemetry is imported and no adapter is wrapped. A caller's `traceparent` is still passed from the
request to the message and to the log lines of both services.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from aws_json_client.proxies import proxy_for
from order_shared.runtime.settings import ProgramSettings, Variable, load_settings, reject
from order_shared.runtime.tracing.port import NO_TRACING, Tracing

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00: version, trace id, span id, flags."""


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a `traceparent`; None if the `traceparent` is absent or invalid."""
    named = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return named and named[1]


COUNT = Field(ge=0, le=1_000_000)
LENGTH = Field(ge=0, le=1_000_000, examples=[4096])


class TracingSettings(ProgramSettings):
    """OpenTelemetry's variables, read only if tracing is enabled. Its other variables are read by its SDK."""

    model_config = ConfigDict(defer_build=True)  # built only if tracing is enabled: it takes time of every start

    endpoint: Annotated[
        str | None,
        Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        Field(pattern=r"^https?://[^/\s]", title="an http or https URL", examples=["http://127.0.0.1:4318"]),
    ] = None
    """Collector of the traces. Tracing is disabled without it."""
    exporter: Annotated[Literal["otlp", "console", "none"], Variable("OTEL_TRACES_EXPORTER")] = "otlp"
    disabled: Annotated[bool, Variable("OTEL_SDK_DISABLED")] = False
    protocol: Annotated[
        Literal["http/protobuf"], Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    ] = "http/protobuf"
    sampler: Annotated[
        Literal[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
        Variable("OTEL_TRACES_SAMPLER"),
    ] = "parentbased_always_on"
    sampler_argument: Annotated[float, Variable("OTEL_TRACES_SAMPLER_ARG"), Field(ge=0, le=1)] = 1.0
    """Share of the traces that `…traceidratio` records."""
    queue: Annotated[int, Variable("OTEL_BSP_MAX_QUEUE_SIZE"), Field(ge=1, le=1_000_000)] = 2048
    """Spans that wait for their export; further ones are dropped."""
    batch: Annotated[int, Variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), Field(ge=1, le=1_000_000)] = 512
    delay: Annotated[
        int, Variable("OTEL_BSP_SCHEDULE_DELAY"), Field(ge=1, le=3_600_000, title="a whole number of milliseconds")
    ] = 5000
    """Time between two exports."""
    timeout: Annotated[
        int, Variable("OTEL_BSP_EXPORT_TIMEOUT"), Field(ge=1, le=3_600_000, title="a whole number of milliseconds")
    ] = 30000
    request_seconds: Annotated[
        float,
        Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        Field(gt=0, le=3600, title="a number of seconds above 0 and at most 3600"),
    ] = 10.0
    """Limit of one request to the collector."""

    # The SDK reads these limits of a span itself. They are checked here, because its import fails for a wrong one.
    attributes: Annotated[int, Variable("OTEL_ATTRIBUTE_COUNT_LIMIT"), COUNT] = 128
    span_attributes: Annotated[int, Variable("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"), COUNT] = 128
    event_attributes: Annotated[int, Variable("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"), COUNT] = 128
    link_attributes: Annotated[int, Variable("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"), COUNT] = 128
    events: Annotated[int, Variable("OTEL_SPAN_EVENT_COUNT_LIMIT"), COUNT] = 128
    links: Annotated[int, Variable("OTEL_SPAN_LINK_COUNT_LIMIT"), COUNT] = 128
    attribute_length: Annotated[int | None, Variable("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), LENGTH] = None
    span_attribute_length: Annotated[int | None, Variable("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"), LENGTH] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.batch > self.queue:
            raise ValueError(
                f"OTEL_BSP_MAX_QUEUE_SIZE: must be at least OTEL_BSP_MAX_EXPORT_BATCH_SIZE, which is {self.batch}, "
                f"such as {4 * self.batch}"
            )
        if self.endpoint:
            proxy_for(self.endpoint)  # fails for a proxy that cannot be used
        return self


def is_tracing_enabled(environment: Mapping[str, str]) -> bool:
    """Return whether the environment enables tracing. No collector is used by default.

    Raises SystemExit for an unsupported OTEL_TRACES_EXPORTER.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter not in ("otlp", "console", "none"):
        reject("OTEL_TRACES_EXPORTER: must be one of otlp, console, none, such as otlp")
    if exporter == "otlp":
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return any(environment.get(name, "").strip() for name in names)
    return exporter == "console"


def open_tracing(service: str, version: str) -> Tracing:
    """Return the tracing that the environment configures. Raises SystemExit for variables that cannot be used."""
    if not is_tracing_enabled(os.environ):
        return NO_TRACING
    settings = load_settings(TracingSettings)
    try:
        from order_shared.runtime.tracing.spans import SpanTracing  # noqa: PLC0415 - only if tracing is enabled

        return SpanTracing.exporting(service, version, settings)
    except (ValueError, RuntimeError) as error:  # for a variable that only the SDK knows
        reject(f"OTEL_…: OpenTelemetry cannot use its variables: {error}")
