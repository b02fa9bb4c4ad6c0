"""Which share of the traces is kept, where callers have no say in it."""

from secrets import randbits
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased


class _Drawn(TraceIdRatioBased):
    """Draws a number of its own, where the SDK takes the trace's id: a caller may name one that is always kept."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - the SDK's signature
        *arguments: Any,
        **named: Any,
    ) -> SamplingResult:
        return super().should_sample(parent_context, randbits(64), *arguments, **named)


def with_independent_draw(sampler: Sampler) -> Sampler:
    """In place of `traceidratio`: one draw for a request, and what belongs to it follows. Any other is left alone."""
    if not isinstance(sampler, TraceIdRatioBased):
        return sampler
    drawn = _Drawn(sampler.rate)
    return ParentBased(drawn, remote_parent_sampled=drawn, remote_parent_not_sampled=drawn)
