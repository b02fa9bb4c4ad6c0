"""One logging set-up: JSON lines, or readable lines on a terminal; libraries' logs in the same form.

Our own lines go straight to the output: the way through the standard library's logging, which carries those of
libraries, costs four times as much.
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
"""Some of them log what they send at lower levels: tokens among it."""


class _TextOutput:
    """The output for the standard library's handler, which writes text."""

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
    """Local variables hold tokens and bodies, which no log may."""
    return structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def _json(event: Any, default: Callable[[Any], Any]) -> bytes:
    try:
        return orjson.dumps(event, default=default)
    except TypeError:  # such as half a character, or a number beyond 64 bits
        return json.dumps(event, default=repr, skipkeys=True).encode()


def _encoded(_logger: object, _method: str, line: Any) -> Any:
    return line.encode()


def _decoded(_logger: object, _method: str, line: Any) -> Any:
    return line.decode()
