"""Sampling by ratio that ignores the trace id, because a caller can choose the trace id."""

from secrets import randbits
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased


class _IndependentRatio(TraceIdRatioBased):
    """Sampler that compares a random number, instead of the trace id, with the ratio."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - the SDK's signature
        *arguments: Any,
        **named: Any,
    ) -> SamplingResult:
        return super().should_sample(parent_context, randbits(64), *arguments, **named)


def with_independent_draw(sampler: Sampler) -> Sampler:
    """Return a replacement for the sampler `traceidratio`; return any other sampler unchanged.

    The replacement decides for each span without a parent in this process, such as a request or a delivery. Its child
    spans follow that decision.
    """
    if not isinstance(sampler, TraceIdRatioBased):
        return sampler
    drawn = _IndependentRatio(sampler.rate)
    return ParentBased(drawn, remote_parent_sampled=drawn, remote_parent_not_sampled=drawn)
