"""How a span shows an error: by its kind only, since a text may quote what no trace should hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, StatusCode


def fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


@contextmanager
def noting_errors(span: Span) -> Iterator[None]:
    """Mark the span as failed if the block raises."""
    try:
        yield
    except BaseException as error:
        fail(span, type(error).__name__)
        raise
