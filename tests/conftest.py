"""What every run says of itself."""

import structlog

from tests import engines

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
"""Tracebacks without the values of all variables, which take seconds to render."""


def pytest_report_header() -> str:
    missing = engines.dynamodb_local_missing()
    return f"contract suite: skipped on DynamoDB Local, {missing}" if missing else "contract suite: on all engines"
