"""Sampling of traces that callers cannot influence."""

from secrets import randbits
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased


class _IndependentRatio(TraceIdRatioBased):
    """Sampler that draws a random number instead of using the trace id: a caller could choose an id that is sampled."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - the SDK's signature
        *arguments: Any,
        **named: Any,
    ) -> SamplingResult:
        return super().should_sample(parent_context, randbits(64), *arguments, **named)


def with_independent_draw(sampler: Sampler) -> Sampler:
    """Replace `traceidratio` by one random draw per request, which its child spans follow. Return others unchanged."""
    if not isinstance(sampler, TraceIdRatioBased):
        return sampler
    drawn = _IndependentRatio(sampler.rate)
    return ParentBased(drawn, remote_parent_sampled=drawn, remote_parent_not_sampled=drawn)
