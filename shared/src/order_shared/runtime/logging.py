"""Logging setup: JSON lines, or readable lines on a terminal. Logs of libraries have the same format.

The platform's own lines bypass the standard library's logging, which takes four times the CPU time. Only lines of
libraries use the standard library's logging.
"""

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson
import structlog

from order_shared.runtime.log_output import LogOutput, PipeOutput, open_output

if TYPE_CHECKING:
    from structlog.typing import Processor

NOISY = ("aiobotocore", "aiodynamo", "asyncio", "botocore", "httpcore", "httpx2", "stripe", "urllib3")
"""Loggers that are limited to warnings: at lower levels some of them log requests, which may contain tokens."""


class _TextOutput:
    """Text output for the handler of the standard library."""

    def __init__(self, output: LogOutput | PipeOutput) -> None:
        self._output = output

    def write(self, text: str) -> None:
        self._output.write(text.encode())

    def flush(self) -> None:
        self._output.flush()


def configure_logging(level: str) -> None:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stdout.isatty()
    renderer: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback), _encoded]
        if terminal
        else [_traceback_without_locals(), structlog.processors.JSONRenderer(serializer=_json)]
    )
    output = open_output(sys.stdout.buffer)
    structlog.configure(
        processors=[*shared, *renderer],
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", output)),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_TextOutput(output))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer, _decoded],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel("WARNING")


def _traceback_without_locals() -> structlog.processors.ExceptionRenderer:
    """Render tracebacks without local variables, which may contain tokens and bodies."""
    return structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def _json(event: Any, default: Callable[[Any], Any]) -> bytes:
    try:
        return orjson.dumps(event, default=default)
    except TypeError:  # such as an unpaired surrogate, or an integer above 64 bits
        return json.dumps(event, default=repr, skipkeys=True).encode()


def _encoded(_logger: object, _method: str, line: Any) -> Any:
    return line.encode()


def _decoded(_logger: object, _method: str, line: Any) -> Any:
    return line.decode()
